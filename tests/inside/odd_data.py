"""Data that other data layers trip over."""

import random
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid4

from shop.features.unit_of_work import UnitOfWork
from sqlalchemy import event, func, select

from tests.features.items.factories import make_item
from tests.things import Thing
from tests.units import ThingUnitOfWork

MANY = 70_000


async def test_seventy_thousand_rows_and_ids(thing_uow: ThingUnitOfWork) -> None:
    ids = [uuid4() for _ in range(MANY)]
    asked = [*ids[::50], *(uuid4() for _ in range(MANY))]
    random.shuffle(asked)
    rows = ({"id": id, "name": f"{n}"} for n, id in enumerate(ids))
    async with thing_uow:
        assert await thing_uow.things.insert_many(rows) == MANY
        assert await thing_uow.things.count() == MANY
        found = [thing.id for thing in await thing_uow.things.get_many(asked)]
        # To undo so many rows is quick, to delete them is not.
        await thing_uow.rollback()

    known = set(ids)
    assert found == [id for id in asked if id in known]


async def test_nothing_asked_for_is_nothing_asked(thing_uow: ThingUnitOfWork) -> None:
    statements: list[str] = []
    event.listen(
        thing_uow.database.engine.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    async with thing_uow:
        assert await thing_uow.things.get_many([]) == []
        assert await thing_uow.things.insert_many([]) == 0
        assert await thing_uow.things.upsert([], key=[Thing.name]) == 0
        thing_uow.things.add_all([])
        assert statements == []
        assert await thing_uow.things.list(Thing.id.in_([])) == []
        assert await thing_uow.things.delete_where(Thing.id.in_([])) == 0


async def test_decimals_of_eighteen_digits_add_up(thing_uow: ThingUnitOfWork) -> None:
    prices = [Decimal("12345678901234.5678"), Decimal("0.0001"), Decimal("-98765432109876.5432")]
    async with thing_uow:
        things = [Thing(name=f"{n}", price=price) for n, price in enumerate(prices)]
        thing_uow.things.add_all(things)

    async with thing_uow.read_only():
        total = (await thing_uow.execute(select(func.sum(Thing.price)))).scalar()
        assert total == sum(prices)
        assert [
            thing.price for thing in await thing_uow.things.list(order_by=Thing.price.desc())
        ] == sorted(prices, reverse=True)


async def test_moments_of_all_zones_are_in_order(thing_uow: ThingUnitOfWork) -> None:
    india, nepal = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=5.75))
    moments = [
        datetime(2026, 3, 1, 5, 29, 59, 999999, tzinfo=india),
        datetime(2026, 3, 1, 5, 45, 0, 0, tzinfo=nepal),
        datetime(2026, 3, 1, 5, 30, 0, 1, tzinfo=india),
    ]
    async with thing_uow:
        for n, moment in enumerate(moments):
            thing_uow.things.add(Thing(name=f"{n}", seen_at=moment))

    async with thing_uow.read_only():
        found = [thing.seen_at for thing in await thing_uow.things.list(order_by=Thing.seen_at)]
        assert found == moments
        for moment in moments:
            assert await thing_uow.things.count(Thing.seen_at == moment) == 1


async def test_long_names_and_emoji_are_kept(uow: UnitOfWork) -> None:
    names = [
        "ß" * 250,
        "👩‍👩‍👧‍👦" * 20,
        "a\tb\nc",
        "Robert'); DROP TABLE items;--",
        "%_\\",
        "x" * 255,
    ]
    stored: list[UUID] = []
    async with uow:
        for name in names:
            item = make_item(name=name)
            uow.items.add(item)
            await uow.flush()
            stored.append(item.id)
    async with uow.read_only():
        assert [item.name for item in await uow.items.get_many(stored)] == names
