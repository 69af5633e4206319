"""Things to develop with."""

from __future__ import annotations

from ...db.seeding import seed_id
from ..unit_of_work import UnitOfWork
from .models import Thing


def seed_things(uow: UnitOfWork, rows: int) -> None:
    """Store things with fixed ids, so that a second run finds them."""
    # FOR EACH PARENT
    role_ids = [other.id for other in uow.others.list(limit=rows)]
    rows = min(rows, len(role_ids))
    # END
    uow.things.upsert(
        (
            {
                "id": seed_id(number),
                # VALUES BY NUMBER
            }
            for number in range(1, rows + 1)
        ),
        key=[Thing.id],
    )
