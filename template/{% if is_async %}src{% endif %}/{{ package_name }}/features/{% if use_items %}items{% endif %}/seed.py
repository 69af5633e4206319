"""Items to develop with."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from ..unit_of_work import UnitOfWork
from .models import Item


async def seed_items(uow: UnitOfWork, rows: int) -> None:
    """Store items whose ids follow from their numbers, so that a second run finds them."""
    await uow.items.upsert(
        (
            {
                "id": uuid5(NAMESPACE_OID, f"item {number}"),
                "name": f"Item {number}",
                "description": f"The item with the number {number}.",
            }
            for number in range(1, rows + 1)
        ),
        key=[Item.id],
    )
