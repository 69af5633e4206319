"""What MySQL and MariaDB get wrong when left to themselves."""

import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from shop.db.base import Base
from shop.db.engine import Database
from shop.db.errors import (
    DataLayerError,
    DuplicateError,
    InvalidValueError,
    ReferenceMissingError,
    SchemaBehindError,
    StaleError,
    UnavailableError,
    UnreachableError,
)
from shop.db.mysql import MySQLDialect
from shop.features.tasks.repository import TaskFilter
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings
from sqlalchemy import Column, Connection, Integer, MetaData, Table, event, inspect, text
from sqlalchemy.schema import CreateTable

from tests.at_once import at_once, pooled
from tests.features.tasks.factories import make_task
from tests.things import Thing
from tests.units import ThingUnitOfWork

pytestmark = pytest.mark.parametrize("backend", ["mysql"], indirect=True)

MOMENT = datetime(2026, 3, 1, 0, 15, 30, 999999, timezone(timedelta(hours=5, minutes=30)))


async def test_every_table_has_its_own_characters_in_a_database_for_others(uow: UnitOfWork) -> None:
    async with uow:
        characters = text("SELECT @@character_set_database")
        assert await uow.session.scalar(characters) == "latin1"
        tables = (await uow.session.scalars(text("SHOW TABLES"))).all()
        assert {*Base.metadata.tables, "alembic_version", "things"} <= set(tables)
        for table in tables:
            made = (await uow.execute(text(f"SHOW CREATE TABLE {table}"))).one()[1]
            assert "COLLATE=utf8mb4_bin" in made, made
            assert "latin1" not in made


async def test_a_comment_about_characters_names_none(settings: Settings) -> None:
    table = Table("bills", MetaData(), Column("id", Integer), comment="all charges")
    assert "utf8mb4_bin" in str(CreateTable(table).compile(dialect=MySQLDialect()))


async def test_texts_differ_as_they_do_elsewhere(thing_uow: ThingUnitOfWork) -> None:
    names = ["a", "A", "e", "E", "é", "ß", "ss", "😀", "😁", "ü😀" * 25]
    async with thing_uow:
        thing_uow.things.add_all(Thing(name=name, data=[name] * 9000) for name in names)
    async with thing_uow.read_only():
        for name in names:
            assert await thing_uow.things.count(Thing.name == name) == 1
        found = [thing.name for thing in await thing_uow.things.list(order_by=Thing.name)]
    assert found == sorted(names)


async def test_tags_differ_as_they_do_elsewhere(uow: UnitOfWork) -> None:
    for tag in ("red", "Red", 'a"b', "a\\b", "é", "😀"):
        async with uow:
            uow.tasks.add(make_task(tags=[tag, "other"]))
            found = await uow.tasks.list(*uow.tasks.matching(TaskFilter(tag=tag)))
        assert [task.tags[0] for task in found] == [tag]
    async with uow.read_only():
        for tag in ("e", "re", "a", "RED"):
            assert not await uow.tasks.exists(*uow.tasks.matching(TaskFilter(tag=tag)))


async def test_a_moment_keeps_its_microseconds_whoever_writes_it(
    thing_uow: ThingUnitOfWork,
) -> None:
    async with thing_uow:
        thing_uow.things.add(Thing(name="a", seen_at=MOMENT))
        other = "INSERT INTO things (id, name, amount) VALUES (:id, 'b', 0)"
        await thing_uow.execute(text(other), {"id": uuid4().hex})
    async with thing_uow.read_only():
        thing = await thing_uow.things.first(Thing.seen_at == MOMENT)
        assert thing is not None
        assert thing.seen_at == MOMENT
        assert not await thing_uow.things.exists(Thing.seen_at < MOMENT)
        made = "SELECT COLUMN_TYPE, COLUMN_DEFAULT FROM information_schema.columns "
        made += "WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = 'created_at'"
        defaults = {tuple(row) for row in await thing_uow.execute(text(made))}
        assert {(kind, default.lower()) for kind, default in defaults} == {
            ("datetime(6)", "current_timestamp(6)")
        }
        written = await thing_uow.things.first(Thing.name == "b")
        assert written is not None
        assert abs(written.created_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_work_at_once_loses_nothing_although_it_has_read_before(settings: Settings) -> None:
    database = pooled(settings)
    thing = Thing(name="counter")
    async with ThingUnitOfWork(database) as uow:
        uow.things.add(thing)

    async def work() -> None:
        uow = ThingUnitOfWork(database)
        for _ in range(8):
            async with uow:
                await uow.things.get_one(thing.id)
                locked = await uow.things.get_one(thing.id, for_update=True)
                locked.amount += 1

    await at_once(work, 6)

    async with ThingUnitOfWork(database).read_only() as uow:
        assert (await uow.things.get_one(thing.id)).amount == 48
    await database.dispose()


async def test_what_others_commit_is_seen_in_the_same_unit(
    thing_uow: ThingUnitOfWork, settings: Settings
) -> None:
    database = pooled(settings)
    async with thing_uow:
        assert await thing_uow.things.count() == 0
        async with ThingUnitOfWork(database) as other:
            other.things.add(Thing(name="a"))
        assert await thing_uow.things.count() == 1
    await database.dispose()


async def test_what_waits_in_vain_for_a_lock_undoes_the_whole_unit(
    thing_uow: ThingUnitOfWork, settings: Settings
) -> None:
    """The server undoes only the statement that waited."""
    database = pooled(settings, database_lock_timeout=0.1)
    thing = Thing(name="a")
    async with thing_uow:
        thing_uow.things.add(thing)

    async with thing_uow:
        await thing_uow.things.get_one(thing.id, for_update=True)
        with pytest.raises(UnavailableError, match="busy"):
            async with ThingUnitOfWork(database) as other:
                other.things.add(Thing(name="b"))
                await other.flush()
                await other.things.get_one(thing.id, for_update=True)

    async with thing_uow.read_only():
        assert [thing.name for thing in await thing_uow.things.list()] == ["a"]
    await database.dispose()


async def test_of_two_that_wait_for_each_other_one_is_stale(settings: Settings) -> None:
    database = pooled(settings)
    things = [Thing(name="a"), Thing(name="b")]
    async with ThingUnitOfWork(database) as uow:
        uow.things.add_all(things)
    orders = [[0, 1], [1, 0]]
    stale: list[StaleError] = []
    locked = 0

    async def work() -> None:
        nonlocal locked
        first, second = orders.pop()
        try:
            async with ThingUnitOfWork(database) as uow:
                (await uow.things.get_one(things[first].id, for_update=True)).amount += 1
                await uow.flush()
                locked += 1
                # Until the other has locked its first.
                while locked < 2:
                    await uow.execute(text("SELECT SLEEP(0.01)"))
                (await uow.things.get_one(things[second].id, for_update=True)).amount += 1
        except StaleError as error:
            stale.append(error)

    await at_once(work, 2)

    assert len(stale) == 1
    async with ThingUnitOfWork(database).read_only() as uow:
        assert [thing.amount for thing in await uow.things.list()] == [1, 1]
    await database.dispose()


async def test_a_connection_that_the_server_closed_is_replaced(
    thing_uow: ThingUnitOfWork, settings: Settings
) -> None:
    database = pooled(settings)
    uow = ThingUnitOfWork(database)
    async with uow:
        id = await uow.session.scalar(text("SELECT CONNECTION_ID()"))
        await uow.execute(text("SET SESSION wait_timeout = 1"))
    known = text("SELECT count(*) FROM information_schema.processlist WHERE ID = :id")
    deadline = time.monotonic() + 30
    async with thing_uow.read_only():
        while await thing_uow.session.scalar(known, {"id": id}):
            assert time.monotonic() < deadline

    async with uow.read_only():
        assert await uow.things.count() == 0
        assert await uow.session.scalar(text("SELECT CONNECTION_ID()")) != id
    await database.dispose()


async def test_a_statement_that_takes_too_long_is_ended(settings: Settings) -> None:
    database = pooled(settings, database_statement_timeout=0.2)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="took too long"):
        async with ThingUnitOfWork(database) as uow:
            await uow.execute(text("SELECT SLEEP(20)"))
    assert time.monotonic() - began < 5
    await database.dispose()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name": "a"}, DuplicateError),
        ({"parent_id": uuid4()}, ReferenceMissingError),
        ({"name": None}, InvalidValueError),
        ({"name": "x" * 51}, InvalidValueError),
        ({"amount": 1 << 40}, InvalidValueError),
    ],
)
async def test_what_the_database_refuses_has_a_name_and_no_value(
    thing_uow: ThingUnitOfWork, values: dict[str, object], error: type[DataLayerError]
) -> None:
    async with thing_uow:
        thing_uow.things.add(Thing(name="a"))
    with pytest.raises(error) as caught:
        async with thing_uow:
            thing_uow.things.add(Thing(**{"name": "b", "data": "hunter2"} | values))
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "hunter2" not in shown
    assert "things" not in str(caught.value)


async def test_what_is_too_long_to_be_sent_is_refused_and_nothing_else(
    thing_uow: ThingUnitOfWork,
) -> None:
    with pytest.raises(InvalidValueError, match="larger than the database can hold"):
        async with thing_uow:
            thing_uow.things.add(Thing(name="a", data="x" * (17 << 20)))
    async with thing_uow.read_only():
        assert await thing_uow.things.count() == 0


def has_table(connection: Connection, name: str) -> bool:
    return inspect(connection).has_table(name)


async def test_to_ask_for_a_table_is_no_failure(thing_uow: ThingUnitOfWork) -> None:
    async with thing_uow:
        thing_uow.things.add(Thing(name="a"))
        await thing_uow.flush()
        connection = await thing_uow.session.connection()
        assert not await connection.run_sync(has_table, "nowhere")
    async with thing_uow.read_only():
        assert await thing_uow.things.count() == 1


async def test_a_server_that_takes_no_writes_is_left(thing_uow: ThingUnitOfWork) -> None:
    refusal = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'read-only'"
    numbers = []
    for _ in range(2):
        with pytest.raises(UnreachableError, match="accepts no writes"):
            async with thing_uow:
                found = await thing_uow.execute(text("SELECT CONNECTION_ID()"))
                numbers.append(found.scalar_one())
                await thing_uow.execute(text(refusal))
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize("query", ["SELECT nothing FROM things", "SELECT 1 FROM nowhere"])
async def test_what_is_missing_means_that_migrations_must_run(
    thing_uow: ThingUnitOfWork, query: str
) -> None:
    with pytest.raises(SchemaBehindError):
        async with thing_uow.read_only():
            await thing_uow.execute(text(query))


async def test_a_row_that_others_refer_to_stays(thing_uow: ThingUnitOfWork) -> None:
    parent = Thing(name="a")
    async with thing_uow:
        thing_uow.things.add(parent)
        await thing_uow.flush()
        thing_uow.things.add(Thing(name="b", parent_id=parent.id))
    with pytest.raises(ReferenceMissingError):
        async with thing_uow:
            await thing_uow.things.delete_where(Thing.id == parent.id)


async def test_a_connection_that_is_dead_at_the_commit_is_reported(
    thing_uow: ThingUnitOfWork, settings: Settings
) -> None:
    database = pooled(settings)
    with pytest.raises(UnavailableError, match="lost during the commit"):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
            await uow.flush()
            number = await uow.session.scalar(text("SELECT CONNECTION_ID()"))
            async with thing_uow:
                await thing_uow.execute(text(f"KILL {number}"))

    assert database.engine.pool.checkedout() == 0
    async with ThingUnitOfWork(database) as uow:
        assert await uow.things.count() == 0
    await database.dispose()


async def test_a_commit_that_fails_leaves_nothing_to_the_next_unit(settings: Settings) -> None:
    database = Database(settings)
    engine = database.engine.sync_engine

    def fail(connection: object) -> None:
        raise ValueError("no commit today")

    event.listen(engine, "commit", fail)
    with pytest.raises(ValueError, match="today"):
        async with ThingUnitOfWork(database) as uow:
            uow.things.add(Thing(name="a"))
    event.remove(engine, "commit", fail)

    async with ThingUnitOfWork(database) as uow:
        assert await uow.things.count() == 0
    await database.dispose()
