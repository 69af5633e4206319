"""What can be done with things; each function is one transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...db.pages import Page
from ...db.repository import Row
from ...db.retry import repeated
from ..unit_of_work import UnitOfWork
from .models import Thing


@repeated
def create_thing(uow: UnitOfWork, thing: Thing) -> Thing:
    """Store a new thing."""
    with uow:
        uow.things.add(thing)
    return thing


@repeated
def read_thing(uow: UnitOfWork, thing_id: UUID) -> Row:
    """Return one thing; raises NotFoundError."""
    with uow.read_only():
        return uow.things.read_one(thing_id)


@repeated
def list_things(uow: UnitOfWork, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of things, oldest first; raises InvalidCursorError."""
    with uow.read_only():
        return uow.things.page(after=after, limit=limit)


@repeated
def change_thing(uow: UnitOfWork, thing_id: UUID, changes: dict[str, Any]) -> Thing:
    """Set some attributes of a thing; raises NotFoundError."""
    with uow:
        thing = uow.things.get_one(thing_id, for_update=True)
        for name, value in changes.items():
            setattr(thing, name, value)
    return thing


@repeated
def delete_thing(uow: UnitOfWork, thing_id: UUID) -> None:
    """Remove a thing; raises NotFoundError."""
    with uow:
        uow.things.delete(uow.things.get_one(thing_id, for_update=True))
