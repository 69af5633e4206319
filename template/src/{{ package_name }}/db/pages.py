"""Pages of rows that follow a key instead of counting rows, and the cursors between them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

from .errors import InvalidCursorError

T = TypeVar("T")

_UNREADABLE = (ValueError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows in order, and the cursor of the page after them; None on the last page."""

    items: Sequence[T]
    next: str | None


def encode_cursor(values: Sequence[Any]) -> str:
    """Return the text that stands for the key of a page's last row."""
    texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, types: Sequence[type]) -> list[Any]:
    """Return the key that a cursor stands for; raises InvalidCursorError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        texts = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a cursor holds texts")
        return [_PARSERS[kind](text) for kind, text in zip(types, texts, strict=True)]
    except _UNREADABLE:
        raise InvalidCursorError("The cursor is not one that this service made.") from None


def _parse_datetime(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("a cursor's time has a zone")
    return value.astimezone(UTC)


def _parse_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("PostgreSQL cannot store the zero character")
    text.encode()
    return text


def _parse_int(text: str) -> int:
    value = int(text)
    if abs(value) >= 1 << 63:
        raise ValueError("no column holds so large a number")
    return value


# A column of another type cannot be the key of a page.
_PARSERS: dict[type, Any] = {
    UUID: UUID,
    int: _parse_int,
    str: _parse_text,
    Decimal: Decimal,
    datetime: _parse_datetime,
}
