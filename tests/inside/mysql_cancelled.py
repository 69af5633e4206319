"""A cancelled task leaves no statement that runs on for ever on the server."""

import asyncio
import time

import pytest
from shop.settings import Settings
from sqlalchemy import text

from tests.at_once import pooled
from tests.units import ThingUnitOfWork

pytestmark = pytest.mark.parametrize("backend", ["mysql"], indirect=True)

SLEEPING = text(
    "SELECT count(*) FROM information_schema.processlist"
    " WHERE INFO LIKE 'SELECT SLEEP(%' AND DB = DATABASE()"
)


async def test_what_was_cancelled_ends_on_the_server(
    thing_uow: ThingUnitOfWork, settings: Settings
) -> None:
    database = pooled(settings, database_statement_timeout=1.5)

    async def sleep() -> None:
        async with ThingUnitOfWork(database) as uow:
            await uow.session.execute(text("SELECT SLEEP(60)"))

    async def count() -> int:
        async with thing_uow.read_only():
            return await thing_uow.session.scalar(SLEEPING) or 0

    task = asyncio.create_task(sleep())
    deadline = time.monotonic() + 20
    while not await count():
        assert time.monotonic() < deadline
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert database.engine.pool.checkedout() == 0

    while await count():
        assert time.monotonic() < deadline
    await database.dispose()
