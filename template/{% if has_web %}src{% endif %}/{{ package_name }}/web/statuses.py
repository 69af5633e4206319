"""Which error gives which status."""

from __future__ import annotations

from ..db.errors import (
    ConflictError,
    DataLayerError,
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)

# A subclass has its parent's status.
STATUSES: dict[type[DataLayerError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    InvalidValueError: 422,
    InvalidCursorError: 422,
    UnavailableError: 503,
}

MALFORMED = "The request does not have the documented shape."
UNEXPECTED = "Something went wrong here; it has been logged."


def status_of(error: DataLayerError) -> int:
    """Return the status of an error whose text may be shown, 500 for any other."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def headers_of(status: int) -> dict[str, str]:
    """Return what a client must be told beside the status."""
    return {"Retry-After": "1"} if status == 503 else {}
