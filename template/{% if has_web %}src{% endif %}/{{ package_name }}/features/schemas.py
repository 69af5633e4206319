"""The shapes of JSON that features share."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")

# PostgreSQL cannot store the zero character.
Text = Annotated[str, StringConstraints(max_length=100_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


def optional() -> Any:
    """Return a default for a field that may be left out of a change but cannot be null."""
    return Field(default=None, json_schema_extra=_hide_default)


def _hide_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class PageRead(BaseModel, Generic[T]):
    """Some rows in order; `next` is the cursor of the page after them, null on the last one."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    next: str | None


class PageQuery(BaseModel):
    """Which page is wanted: the one after a cursor, or the first."""

    model_config = ConfigDict(extra="forbid")

    after: Text | None = Field(default=None, max_length=1000)
    limit: int = Field(default=50, ge=1, le=200)
