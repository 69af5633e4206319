"""What can be done with items; each function is one transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...db.pages import Page
from ...db.repository import Row
from ...db.retry import repeated
from ..unit_of_work import UnitOfWork
from .models import Item


@repeated
async def create_item(uow: UnitOfWork, item: Item) -> Item:
    """Store a new item."""
    async with uow:
        uow.items.add(item)
    return item


@repeated
async def read_item(uow: UnitOfWork, item_id: UUID) -> Row:
    """Return one item; raises NotFoundError."""
    async with uow.read_only():
        return await uow.items.read_one(item_id)


@repeated
async def list_items(uow: UnitOfWork, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of items, oldest first; raises InvalidCursorError."""
    async with uow.read_only():
        return await uow.items.page(after=after, limit=limit)


@repeated
async def change_item(uow: UnitOfWork, item_id: UUID, changes: dict[str, Any]) -> Item:
    """Set some attributes of an item; raises NotFoundError."""
    async with uow:
        item = await uow.items.get_one(item_id, for_update=True)
        for name, value in changes.items():
            setattr(item, name, value)
    return item


@repeated
async def delete_item(uow: UnitOfWork, item_id: UUID) -> None:
    """Remove an item; raises NotFoundError."""
    async with uow:
        await uow.items.delete(await uow.items.get_one(item_id, for_update=True))
