"""A unit that is done again after a commit without an answer is stored once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from shop.db.engine import Database
from shop.db.errors import OutcomeUnknownError, StaleError
from shop.db.idempotency import KeyReusedError, idempotent, stored_before
from shop.db.retry import repeated
from shop.features.accounts import service as accounts
from shop.features.accounts.models import File
from shop.features.tasks import service
from shop.features.tasks.models import Task
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

from tests.at_once import at_once, pooled
from tests.things import Thing
from tests.units import ThingUnitOfWork


def new_task(key: str | None = None, **changes: Any) -> Task:
    values = {"type": "sql", "configuration": {"a": 1}, "created_by": "ann"} | changes
    return Task(**values).made_for(key, values)


@contextmanager
def commits(database: Database, instead: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Let the next commit be this, which is given the real one."""
    dialect = database.engine.sync_engine.dialect
    usual = dialect.do_commit

    def once(connection: Any) -> None:
        dialect.do_commit = usual
        instead(lambda: usual(connection))

    dialect.do_commit = once
    try:
        yield
    finally:
        dialect.do_commit = usual


def lose_the_answer(commit: Callable[[], None]) -> None:
    commit()
    raise ConnectionResetError("the answer was lost")


def lose_the_question(commit: Callable[[], None]) -> None:
    raise ConnectionResetError("the commit was not received")


def find_a_conflict(commit: Callable[[], None]) -> None:
    raise StaleError("another transaction came first")


LOSSES = pytest.mark.parametrize("loss", [lose_the_answer, lose_the_question])
# A file is no connection that could be lost.
ON_SERVERS = pytest.mark.parametrize("backend", ["postgresql", "mysql"], indirect=True)


async def count(database: Database) -> tuple[int, int]:
    async with UnitOfWork(database).read_only() as uow:
        return await uow.tasks.count(), await uow.task_events.count()


@ON_SERVERS
@LOSSES
async def test_a_task_is_stored_once_whatever_was_lost(
    settings: Settings, loss: Callable[[Callable[[], None]], None]
) -> None:
    database = pooled(settings)
    with commits(database, loss):
        task = await service.submit_task(UnitOfWork(database), new_task())

    assert await count(database) == (1, 1)
    assert (await service.read_task(UnitOfWork(database), task.id)).created_by == "ann"
    await database.dispose()


@ON_SERVERS
@LOSSES
async def test_a_file_is_stored_once_whatever_was_lost(
    settings: Settings, loss: Callable[[Callable[[], None]], None]
) -> None:
    database = pooled(settings)
    uow = UnitOfWork(database)
    user = await accounts.create_user(
        uow, email="ada@example.com", password="correct horse", full_name="Ada"
    )
    with commits(database, loss):
        file = File(filename="a.txt", content_type="text/plain", size=1, user_id=user.id)
        stored = await accounts.add_file(uow, file)

    page = await accounts.list_files(uow, user.id, after=None, limit=9)
    assert [row.id for row in page.items] == [stored.id]
    await database.dispose()


async def test_what_was_added_is_added_again_after_a_commit_that_failed(settings: Settings) -> None:
    database = pooled(settings)
    uow, thing = ThingUnitOfWork(database), Thing(name="lamp")

    @repeated
    async def store() -> None:
        async with uow:
            uow.things.add(thing)

    with commits(database, find_a_conflict):
        await store()

    async with uow.read_only():
        assert await uow.things.count() == 1
    await database.dispose()


@ON_SERVERS
@LOSSES
async def test_a_unit_that_does_not_say_so_is_not_done_again(
    settings: Settings, loss: Callable[[Callable[[], None]], None]
) -> None:
    database = pooled(settings)
    uow, tries = ThingUnitOfWork(database), list[int]()

    @repeated
    async def store() -> None:
        tries.append(1)
        async with uow:
            uow.things.add(Thing(name=f"lamp {len(tries)}"))

    with commits(database, loss), pytest.raises(OutcomeUnknownError):
        await store()

    assert tries == [1]
    await database.dispose()


@ON_SERVERS
@LOSSES
async def test_what_comes_after_the_commit_comes_once(
    settings: Settings, loss: Callable[[Callable[[], None]], None]
) -> None:
    database, mails = pooled(settings), list[str]()
    uow = UnitOfWork(database)

    async def send() -> None:
        mails.append("sent")

    @idempotent
    async def submit(task: Task) -> Task:
        async with uow:
            earlier = await stored_before(uow.tasks, task)
            if earlier is None:
                uow.tasks.add(task)
            if earlier is None or earlier.id == task.id:
                uow.after_commit(send)
        return earlier or task

    with commits(database, loss):
        first = await submit(new_task("1"))
    again = await submit(new_task("1"))

    assert first.id == again.id
    assert mails == ["sent"]
    await database.dispose()


async def test_requests_of_one_key_at_once_store_one_row(settings: Settings) -> None:
    database = pooled(settings)
    found = set[Any]()

    async def work() -> None:
        found.add((await service.submit_task(UnitOfWork(database), new_task("1"))).id)

    await at_once(work, 8)

    assert len(found) == 1
    assert await count(database) == (1, 1)
    with pytest.raises(KeyReusedError):
        await service.submit_task(UnitOfWork(database), new_task("1", created_by="bob"))
    for key in ("2", None, None, "1 "):
        await service.submit_task(UnitOfWork(database), new_task(key))
    assert await count(database) == (5, 5)
    await database.dispose()
