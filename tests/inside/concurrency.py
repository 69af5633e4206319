"""Work that is done at once loses nothing."""

import subprocess
import sys
from uuid import UUID

import pytest
from pydantic import SecretStr
from shop.db.engine import Database
from shop.db.runtime import run
from shop.settings import Settings

from tests.at_once import at_once, pooled
from tests.things import Thing
from tests.units import ThingUnitOfWork


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


async def main(url: str, id: str) -> None:
    """Count up in another process."""
    database = pooled(Settings(database_url=SecretStr(url)))
    await count_up(database, UUID(id), 100)
    await database.dispose()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
