"""A cancelled task leaves no connection, no lock and no half of a unit."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from uuid import uuid4

import pytest
from shop.db.engine import Database
from shop.settings import Settings
from sqlalchemy import text

from tests.at_once import pooled
from tests.things import Thing
from tests.units import ThingUnitOfWork

# Minutes of work for either database, as long as nobody ends it.
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
    "SELECT count(*) FROM n"
)


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """What is left behind must not be tidied up by chance."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
async def no_thread_left() -> AsyncIterator[None]:
    """Let the threads of aiosqlite that nobody waits for end while there is a loop."""
    threads = running_threads()
    yield
    await until_threads_ended(threads)


async def write_a_pair(database: Database) -> None:
    """Write two rows of one unit, in two statements and with a read between."""
    async with ThingUnitOfWork(database) as uow:
        first = Thing(name=str(uuid4()))
        uow.things.add(first)
        await uow.flush()
        await uow.things.exists(Thing.amount == 1)
        uow.things.add(Thing(name=str(uuid4()), parent_id=first.id))


async def left_behind(database: Database) -> list[str]:
    """Return what other sessions hold on the server: open transactions."""
    if database.engine.dialect.name == "sqlite":
        return []
    query = (
        "SELECT state || ': ' || query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL "
        "AND backend_type = 'client backend'"
    )
    async with database.reading_sessions() as session:
        return list(await session.scalars(text(query)))


def running_threads() -> int:
    """Return how many threads of aiosqlite there are."""
    return sum("_connection_worker_thread" in thread.name for thread in threading.enumerate())


async def until_threads_ended(many: int) -> None:
    """Wait for the threads of aiosqlite that nobody waits for."""
    async with asyncio.timeout(30):
        while running_threads() > many:
            await asyncio.sleep(0.01)


async def check_that_nothing_is_left(database: Database, other: Database) -> None:
    await write_a_pair(other)
    assert await left_behind(other) == []
    async with ThingUnitOfWork(other).read_only() as uow:
        children = await uow.things.count(Thing.parent_id.is_not(None))
        assert await uow.things.count() == 2 * children
    assert database.engine.pool.checkedout() == 0


async def usual_seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return what work takes once it is connected, and nothing else comes between."""
    taken = []
    for _ in range(5):
        started = time.monotonic()
        await work()
        taken.append(time.monotonic() - started)
    return min(taken)


async def test_a_cancellation_inside_the_block_comes_through(settings: Settings) -> None:
    database, other = pooled(settings), pooled(settings, database_lock_timeout=3.0)
    with pytest.raises(asyncio.CancelledError):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="never stored"))
            await uow.flush()
            raise asyncio.CancelledError
    await check_that_nothing_is_left(database, other)
    await database.dispose()
    await other.dispose()


@pytest.mark.parametrize("tasks", [1, 3])
async def test_writes_cancelled_at_random_moments_leave_nothing(
    settings: Settings, tasks: int
) -> None:
    database, other = pooled(settings), pooled(settings, database_lock_timeout=3.0)
    await write_a_pair(other)

    async def write() -> None:
        await asyncio.gather(*(write_a_pair(database) for _ in range(tasks)))

    lasts = await usual_seconds(write) * 1.2
    moments = random.Random()
    ends = {True: 0, False: 0}

    for _ in range(100 if tasks == 1 else 30):
        running = [asyncio.create_task(write_a_pair(database)) for _ in range(tasks)]
        await asyncio.sleep(moments.uniform(0, lasts))
        for task in running:
            task.cancel()
        await asyncio.sleep(moments.choice([0, lasts / 20]))
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            ends[task.cancelled()] += 1
        await write_a_pair(other)
        assert database.engine.pool.checkedout() == 0

    await check_that_nothing_is_left(database, other)
    assert ends[True] > 10, "hardly any task was cancelled before its end"
    await write_a_pair(database)
    await database.dispose()
    await other.dispose()


async def test_reads_cancelled_at_random_moments_leave_nothing(settings: Settings) -> None:
    one = {"database_pool_size": 1, "database_max_overflow": 0}
    database, other = pooled(settings, **one), pooled(settings)
    await write_a_pair(other)

    async def read() -> int:
        async with ThingUnitOfWork(database).read_only() as uow:
            return len((await uow.things.page()).items) + await uow.things.count()

    assert await read() == 4
    lasts = await usual_seconds(read)
    moments = random.Random()
    cancelled = 0
    for _ in range(100):
        running = asyncio.create_task(read())
        await asyncio.sleep(moments.uniform(0, lasts))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        cancelled += running.cancelled()
        # With the same connection, if it is still one.
        assert await read() == 4

    assert cancelled > 10, "hardly any task was cancelled before its end"
    await check_that_nothing_is_left(database, other)
    await database.dispose()
    await other.dispose()


async def test_a_cancelled_query_ends_at_once_and_frees_what_it_held(settings: Settings) -> None:
    database, other = pooled(settings), pooled(settings, database_lock_timeout=3.0)
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="never stored"))
            await uow.flush()
            await uow.execute(text(ENDLESS))

    assert time.monotonic() - started < 5
    await check_that_nothing_is_left(database, other)
    await database.dispose()
    await other.dispose()


async def test_a_writer_cancelled_while_it_waits_does_not_take_the_lock_later(
    settings: Settings,
) -> None:
    database, other = pooled(settings), pooled(settings, database_lock_timeout=3.0)
    async with ThingUnitOfWork(other) as uow:
        row = Thing(name="a")
        uow.things.add(row)
        await uow.commit()
        await uow.things.get_one(row.id, for_update=True)

        async def wait_for_the_row() -> None:
            async with ThingUnitOfWork(database) as waiting:
                await waiting.things.get_one(row.id, for_update=True)

        threads = running_threads()
        waiting = asyncio.create_task(wait_for_the_row())
        await asyncio.sleep(0.2)
        started = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert time.monotonic() - started < 5
        await uow.things.delete(row)
    await until_threads_ended(threads)
    await check_that_nothing_is_left(database, other)
    await database.dispose()
    await other.dispose()
