"""Whatever ends a unit of work, all of it is stored or nothing is, and nothing stays open."""

import pytest
from shop.db.engine import Database
from shop.db.errors import (
    DuplicateError,
    ReferenceMissingError,
    StaleError,
    UnavailableError,
)
from shop.settings import Settings
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.at_once import pooled
from tests.things import Thing
from tests.units import ThingUnitOfWork

ON_POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
PAIRS = (
    "CREATE TABLE pairs (id INTEGER PRIMARY KEY,"
    " other INTEGER REFERENCES pairs (id) DEFERRABLE INITIALLY DEFERRED)"
)


async def check_that_nothing_is_stored(database: Database) -> None:
    """Look from a second connection, write from it, and count the open ones of the first."""
    assert database.engine.pool.checkedout() == 0
    async with ThingUnitOfWork(database) as uow:
        assert await uow.things.count() == 0
        uow.things.add(Thing(name="written at once"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("flushed", [True, False])
async def test_no_exception_leaves_a_row_or_a_connection(
    settings: Settings, error: type[BaseException], flushed: bool
) -> None:
    database = pooled(settings)

    with pytest.raises(error):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
            if flushed:
                await uow.flush()
            raise error

    await check_that_nothing_is_stored(database)
    await database.dispose()


async def test_a_commit_that_fails_surfaces_and_runs_no_callback(settings: Settings) -> None:
    database = pooled(settings)
    uow, mails = ThingUnitOfWork(database), list[str]()

    async def send() -> None:
        mails.append("sent")

    async with uow:
        await uow.execute(text(PAIRS))
    with pytest.raises(ReferenceMissingError):
        async with uow:
            uow.things.add(Thing(name="a"))
            uow.after_commit(send)
            await uow.execute(text("INSERT INTO pairs VALUES (1, 2)"))
            await uow.flush()

    await check_that_nothing_is_stored(database)
    async with uow:
        await uow.execute(text("INSERT INTO pairs VALUES (1, 2), (2, 1)"))
    async with uow:
        await uow.execute(text("DROP TABLE pairs"))
    assert mails == []
    await database.dispose()


@ON_POSTGRESQL
async def test_a_conflict_found_at_the_commit_undoes_the_later_unit(settings: Settings) -> None:
    database, mails = pooled(settings), list[str]()

    async def send() -> None:
        mails.append("sent")

    async with ThingUnitOfWork(database) as uow:
        rows = [Thing(name="a", amount=1), Thing(name="b", amount=1)]
        uow.things.add_all(rows)
    first, second = ThingUnitOfWork(database), ThingUnitOfWork(database)
    with pytest.raises(StaleError):
        async with first, second:
            for each, row in zip((first, second), rows, strict=True):
                serializable = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
                await each.execute(text(serializable))
                assert await each.things.count(Thing.amount == 1) == 2
                (await each.things.get_one(row.id)).amount = 0
                each.after_commit(send)

    async with ThingUnitOfWork(database).read_only() as uow:
        assert await uow.things.count(Thing.amount == 1) == 1
    assert mails == ["sent"]
    assert database.engine.pool.checkedout() == 0
    await database.dispose()


async def lose_the_connection(uow: ThingUnitOfWork, database: Database) -> None:
    """Let the server end the connection of this unit."""
    number = (await uow.execute(text("SELECT pg_backend_pid()"))).scalar()
    async with ThingUnitOfWork(database) as other:
        await other.execute(text(f"SELECT pg_terminate_backend({number}, 5000)"))


@ON_POSTGRESQL
async def test_the_error_of_a_block_survives_a_dead_connection(settings: Settings) -> None:
    database = pooled(settings)

    with pytest.raises(ValueError, match="mine"):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
            await uow.flush()
            await lose_the_connection(uow, database)
            raise ValueError("mine")

    await check_that_nothing_is_stored(database)
    await database.dispose()


@ON_POSTGRESQL
async def test_a_connection_that_is_dead_at_the_commit_is_reported(settings: Settings) -> None:
    database, mails = pooled(settings), list[str]()

    async def send() -> None:
        mails.append("sent")

    with pytest.raises(UnavailableError):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
            uow.after_commit(send)
            await uow.flush()
            await lose_the_connection(uow, database)

    assert mails == []
    await check_that_nothing_is_stored(database)
    await database.dispose()


@pytest.mark.parametrize("fails_too", [True, False])
async def test_a_savepoint_undoes_no_statement_that_failed_before_it(
    settings: Settings, fails_too: bool
) -> None:
    database = pooled(settings)

    # PostgreSQL does not even make the savepoint.
    with pytest.raises((RuntimeError, DBAPIError), match=r"in a savepoint|aborted"):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
            await uow.flush()
            with pytest.raises(DBAPIError):
                await uow.execute(text("SELECT nothing FROM nowhere"))
            async with uow.session.begin_nested() as savepoint:
                if fails_too:
                    with pytest.raises(DBAPIError):
                        await uow.execute(text("SELECT nothing FROM nowhere"))
                await savepoint.rollback()

    await check_that_nothing_is_stored(database)
    await database.dispose()


async def test_a_statement_that_failed_in_a_savepoint_is_not_stored_with_it(
    settings: Settings,
) -> None:
    database = pooled(settings)

    with pytest.raises((RuntimeError, DBAPIError), match=r"in a savepoint|aborted"):
        async with ThingUnitOfWork(database) as uow:
            async with uow.session.begin_nested():
                uow.things.add(Thing(name="a"))
                await uow.flush()
                with pytest.raises(DBAPIError):
                    await uow.execute(text("SELECT nothing FROM nowhere"))
            async with uow.session.begin_nested() as savepoint:
                await savepoint.rollback()

    await check_that_nothing_is_stored(database)
    await database.dispose()


async def test_an_expected_conflict_in_a_savepoint_keeps_the_rest(settings: Settings) -> None:
    database = pooled(settings)
    async with ThingUnitOfWork(database) as uow:
        for name in ("a", "b", "a", "c"):
            try:
                async with uow.session.begin_nested():
                    uow.things.add(Thing(name=name))
                    await uow.flush()
            except DuplicateError:
                assert name == "a"

    async with ThingUnitOfWork(database).read_only() as uow:
        names = [thing.name for thing in await uow.things.list(order_by=Thing.name)]
    assert names == ["a", "b", "c"]
    assert database.engine.pool.checkedout() == 0
    await database.dispose()
