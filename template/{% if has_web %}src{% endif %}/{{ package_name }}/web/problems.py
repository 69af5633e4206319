"""Which error gives which status, and errors as JSON in the standard's shape (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from ..db.errors import (
    ConflictError,
    DataLayerError,
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    OutcomeUnknownError,
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
MEDIA_TYPE = "application/problem+json"


class InvalidField(BaseModel):
    """Where the request is wrong, and why."""

    field: str
    reason: str


class Problem(BaseModel):
    """What went wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[InvalidField] | None = None


def status_of(error: DataLayerError) -> int:
    """Return the status of an error whose text may be shown, 500 for any other."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def headers_of(error: DataLayerError) -> dict[str, str]:
    """Return what a client must be told beside the status of an error."""
    # What may be stored already must not be sent again without a look.
    is_over = status_of(error) == 503 and not isinstance(error, OutcomeUnknownError)
    return {"Retry-After": "1"} if is_over else {}


def problem_json(
    status: int, detail: str, errors: list[InvalidField] | None = None
) -> dict[str, Any]:
    """Return the body of an answer that tells a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return body.model_dump(exclude_none=True)


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI says that any request may end in a problem."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = schema.pop("$defs")["InvalidField"]
    schema["properties"]["errors"] = {"type": "array", "items": fields}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        "4XX": {"description": "The request cannot be met", "content": content},
        "5XX": {"description": "The service cannot answer now", "content": content},
    }
