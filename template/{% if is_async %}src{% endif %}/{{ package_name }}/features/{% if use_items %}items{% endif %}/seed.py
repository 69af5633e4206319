"""Items to develop with."""

from __future__ import annotations

from ...db.seeding import seed_id
from ..unit_of_work import UnitOfWork
from .models import Item


async def seed_items(uow: UnitOfWork, rows: int) -> None:
    """Store items with fixed ids, so that a second run finds them."""
    await uow.items.upsert(
        (
            {
                "id": seed_id(number),
                "name": f"Item {number}",
                "description": f"The item with the number {number}.",
            }
            for number in range(1, rows + 1)
        ),
        key=[Item.id],
    )
