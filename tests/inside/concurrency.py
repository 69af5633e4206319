"""Work that is done at once loses nothing."""

import subprocess
import sys
from uuid import UUID

import pytest
from pydantic import SecretStr
from shop.db.engine import Database
from shop.db.retry import repeated
from shop.db.runtime import run
from shop.settings import Settings
from sqlalchemy import text

from tests.at_once import at_once, pooled
from tests.things import Thing
from tests.units import ThingUnitOfWork


ON_POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


async def count_up(database: Database, id: UUID, times: int) -> None:
    """Read, change, write, in a unit of work for each step."""
    uow = ThingUnitOfWork(database)
    for _ in range(times):
        async with uow:
            thing = await uow.things.get_one(id, for_update=True)
            thing.amount += 1


async def stored_thing(database: Database) -> Thing:
    async with ThingUnitOfWork(database) as uow:
        thing = Thing(name="counter")
        uow.things.add(thing)
    return thing


async def test_eight_workers_lose_no_update(settings: Settings) -> None:
    database = pooled(settings)
    thing = await stored_thing(database)

    async def work() -> None:
        await count_up(database, thing.id, 200)

    await at_once(work, 8)

    async with ThingUnitOfWork(database).read_only() as uow:
        assert (await uow.things.get_one(thing.id)).amount == 1600
    assert database.engine.pool.checkedout() == 0
    await database.dispose()


# Elsewhere a process is one connection more.
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_several_processes_lose_no_update(settings: Settings) -> None:
    database = pooled(settings)
    thing = await stored_thing(database)
    url = settings.database_url.get_secret_value()
    command = [sys.executable, "-m", __name__, url, str(thing.id)]
    processes = [subprocess.Popen(command) for _ in range(2)]

    await count_up(database, thing.id, 100)

    assert [process.wait(120) for process in processes] == [0, 0]
    async with ThingUnitOfWork(database).read_only() as uow:
        assert (await uow.things.get_one(thing.id)).amount == 300
    await database.dispose()


async def test_upserts_of_one_key_at_once_all_succeed(settings: Settings) -> None:
    database = pooled(settings)

    async def work() -> None:
        async with ThingUnitOfWork(database) as uow:
            await uow.things.upsert([{"name": "a", "amount": 1}], key=[Thing.name])

    await at_once(work, 20)

    async with ThingUnitOfWork(database).read_only() as uow:
        assert await uow.things.count() == 1
    await database.dispose()


async def test_a_change_made_upon_an_older_row_waits_and_sees_it(settings: Settings) -> None:
    """The second writer of a locked row reads what the first one wrote, not what it read before."""
    database = pooled(settings)
    thing = await stored_thing(database)

    async def work() -> None:
        async with ThingUnitOfWork(database) as uow:
            await uow.things.get_one(thing.id)
            locked = await uow.things.get_one(thing.id, for_update=True)
            locked.amount += 1

    await at_once(work, 6)

    async with ThingUnitOfWork(database).read_only() as uow:
        assert (await uow.things.get_one(thing.id)).amount == 6
    await database.dispose()


@ON_POSTGRESQL
async def test_units_that_depend_on_each_others_rows_both_finish(settings: Settings) -> None:
    """Each takes one of two only while both are there: the second must see what the first did."""
    database = pooled(settings)
    async with ThingUnitOfWork(database) as uow:
        things = [Thing(name="a", amount=1), Thing(name="b", amount=1)]
        uow.things.add_all(things)
    attempts = counted = 0
    waiting = iter(things)

    async def take_one() -> None:
        mine = next(waiting)

        @repeated
        async def unit() -> None:
            nonlocal attempts, counted
            async with ThingUnitOfWork(database) as uow:
                attempts += 1
                await uow.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
                if await uow.things.count(Thing.amount == 1) == 2:
                    counted += 1
                    # Until the other has counted too.
                    while counted < 2:
                        await uow.execute(text("SELECT pg_sleep(0.01)"))
                    (await uow.things.get_one(mine.id)).amount = 0

        await unit()

    await at_once(take_one, 2)

    assert attempts == 3
    async with ThingUnitOfWork(database).read_only() as uow:
        assert await uow.things.count(Thing.amount == 1) == 1
    await database.dispose()


@ON_POSTGRESQL
async def test_units_that_lock_each_other_out_both_finish(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.db.retry.SECONDS", 60)
    database = pooled(settings)
    async with ThingUnitOfWork(database) as uow:
        things = [Thing(name="a"), Thing(name="b")]
        uow.things.add_all(things)
    orders = iter([things, things[::-1]])
    attempts = locked = 0

    async def work() -> None:
        order = next(orders)

        @repeated
        async def unit() -> None:
            nonlocal attempts, locked
            attempts += 1
            async with ThingUnitOfWork(database) as uow:
                for thing in order:
                    (await uow.things.get_one(thing.id, for_update=True)).amount += 1
                    await uow.flush()
                    locked += 1
                    # Until the other has locked its first.
                    while locked < 2:
                        await uow.execute(text("SELECT pg_sleep(0.01)"))

        await unit()

    await at_once(work, 2)

    assert attempts == 3
    async with ThingUnitOfWork(database).read_only() as uow:
        assert [thing.amount for thing in await uow.things.list()] == [2, 2]
    await database.dispose()


async def main(url: str, id: str) -> None:
    """Count up in another process."""
    database = pooled(Settings(database_url=SecretStr(url)))
    await count_up(database, UUID(id), 100)
    await database.dispose()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
