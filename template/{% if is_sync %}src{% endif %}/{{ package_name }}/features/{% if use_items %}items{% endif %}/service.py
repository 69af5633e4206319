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
def create_item(uow: UnitOfWork, item: Item) -> Item:
    """Store a new item."""
    with uow:
        uow.items.add(item)
    return item


@repeated
def read_item(uow: UnitOfWork, item_id: UUID) -> Row:
    """Return one item; raises NotFoundError."""
    with uow.read_only():
        return uow.items.read_one(item_id)


@repeated
def list_items(uow: UnitOfWork, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of items, oldest first; raises InvalidCursorError."""
    with uow.read_only():
        return uow.items.page(after=after, limit=limit)


@repeated
def change_item(uow: UnitOfWork, item_id: UUID, changes: dict[str, Any]) -> Item:
    """Set some attributes of an item; raises NotFoundError."""
    with uow:
        item = uow.items.get_one(item_id, for_update=True)
        for name, value in changes.items():
            setattr(item, name, value)
    return item


@repeated
def delete_item(uow: UnitOfWork, item_id: UUID) -> None:
    """Remove an item; raises NotFoundError."""
    with uow:
        uow.items.delete(uow.items.get_one(item_id, for_update=True))
