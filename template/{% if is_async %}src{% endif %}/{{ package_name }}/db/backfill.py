"""Changes of rows, apart from those of the schema: a batch at a time, and once only.

How far each is stands in a table of its own, so that one that was interrupted goes on from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import get_console
from rich.progress import Progress
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, select
from sqlalchemy.exc import DBAPIError

from .engine import Database, run_on_connection
from .errors import ConflictError
from .pages import decode_cursor, encode_cursor
from .repository import Repository
from .retry import repeated
from .settings import DatabaseSettings
from .types import UtcDateTime, utc_now
from .unit_of_work import UnitOfWork

# Of no migration: whoever fills no rows needs no table.
PROGRESS = Table(
    "backfills",
    MetaData(),
    Column("name", String(100), primary_key=True),
    Column("last_key", Text),
    Column("changed", BigInteger, nullable=False, default=0),
    Column("finished_at", UtcDateTime),
)


@dataclass(frozen=True)
class Backfill:
    """Which rows change, and what changes in a batch of them."""

    repository: Callable[[Any], Repository[Any]]
    criteria: Sequence[Any]
    change: Callable[[Any, Sequence[Any]], Awaitable[None]]


def backfill(
    repository: Callable[[Any], Repository[Any]], *criteria: Any
) -> Callable[[Callable[[Any, Sequence[Any]], Awaitable[None]]], Backfill]:
    """Make a function a backfill: it gets a unit of work, and entities that match, to change."""
    return lambda change: Backfill(repository, criteria, change)


async def fill(
    settings: DatabaseSettings,
    unit_of_work: type[UnitOfWork],
    name: str,
    work: Backfill,
    *,
    batch: int,
    again: bool,
) -> int:
    """Change all rows that are left; return how many have been changed, in all runs."""
    await run_on_connection(settings, _create_table)
    mine = PROGRESS.c.name == name
    database = Database(settings)
    try:
        await _begin(unit_of_work(database), name, again=again)
        async with unit_of_work(database).read_only() as uow:
            total = await work.repository(uow).count(*work.criteria)
        with Progress(transient=True, disable=not get_console().is_terminal) as progress:
            task = progress.add_task(name, total=total)
            while changed := await fill_batch(unit_of_work(database), name, work, batch):
                progress.advance(task, changed)
        async with unit_of_work(database) as uow:
            return int((await uow.execute(select(PROGRESS.c.changed).where(mine))).scalar_one())
    finally:
        await database.dispose()


@repeated
async def fill_batch(uow: UnitOfWork, name: str, work: Backfill, batch: int) -> int:
    """Change the next rows, and note it in the same transaction; return how many."""
    mine = PROGRESS.c.name == name
    async with uow:
        # Another process waits here, and goes on with the rows after these.
        found = (await uow.execute(select(PROGRESS).where(mine).with_for_update())).one()
        if found.finished_at is not None:
            return 0
        repository = work.repository(uow)
        key, criteria = repository._key(), list(work.criteria)
        if found.last_key is not None:
            criteria.append(key > decode_cursor(found.last_key, [key.type.python_type])[0])
        entities = await repository.list(*criteria, limit=batch)
        note: dict[str, Any] = {"finished_at": utc_now()}
        if entities:
            await work.change(uow, entities)
            last = encode_cursor([getattr(entities[-1], key.key)])
            note = {"last_key": last, "changed": found.changed + len(entities)}
        await uow.execute(PROGRESS.update().where(mine).values(note))
    return len(entities)


async def _begin(uow: UnitOfWork, name: str, *, again: bool) -> None:
    try:
        async with uow:
            if again:
                await uow.execute(PROGRESS.delete().where(PROGRESS.c.name == name))
            await uow.execute(PROGRESS.insert().values(name=name))
    except ConflictError:
        # It has begun before, and goes on from there.
        return


def _create_table(connection: Connection) -> None:
    try:
        PROGRESS.create(connection, checkfirst=True)
    except DBAPIError:
        # Another process may have made it meanwhile, which each database says in its own way.
        connection.rollback()
        PROGRESS.create(connection, checkfirst=True)
    connection.commit()
