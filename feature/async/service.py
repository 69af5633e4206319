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
async def create_thing(uow: UnitOfWork, thing: Thing) -> Thing:
    """Store a new thing."""
    async with uow:
        uow.things.add(thing)
    return thing


@repeated
async def read_thing(uow: UnitOfWork, thing_id: UUID) -> Row:
    """Return one thing; raises NotFoundError."""
    async with uow.read_only():
        return await uow.things.read_one(thing_id)


@repeated
async def list_things(uow: UnitOfWork, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of things, oldest first; raises InvalidCursorError."""
    async with uow.read_only():
        return await uow.things.page(after=after, limit=limit)


@repeated
async def change_thing(uow: UnitOfWork, thing_id: UUID, changes: dict[str, Any]) -> Thing:
    """Set some attributes of a thing; raises NotFoundError."""
    async with uow:
        thing = await uow.things.get_one(thing_id, for_update=True)
        for name, value in changes.items():
            setattr(thing, name, value)
    return thing


@repeated
async def delete_thing(uow: UnitOfWork, thing_id: UUID) -> None:
    """Remove a thing; raises NotFoundError."""
    async with uow:
        await uow.things.delete(await uow.things.get_one(thing_id, for_update=True))
