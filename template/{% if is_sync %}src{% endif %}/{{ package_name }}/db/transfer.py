"""How all rows move to another database: in one transaction there, so that all arrive or none.

Whatever interrupts it, the target's tables stay empty, and the same call begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import get_console
from rich.progress import Progress
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from .base import Base
from .engine import create_engine
from .errors import DataLayerError, translate
from .health import read_heads
from .layout import Layout, Tally
from .migrations import heads
from .reading import READ_ONLY
from .servers import SERVERS
from .settings import DatabaseSettings

BATCH = 1000
Advance = Callable[[int], None]


class TransferError(DataLayerError):
    """The rows cannot move, and none of them has."""


def transfer(source: DatabaseSettings, target: DatabaseSettings) -> int:
    """Copy all rows into the empty tables of the target, compare them, and return how many.

    The source is read as of one moment, and never written. Raises TransferError.
    """
    backend = source.url.get_backend_name()
    if backend == "sqlite" and not Path(source.address).exists():
        raise TransferError(f"{source.address}: There is no such file.")
    for settings in (source, target):
        with _telling(settings.address):
            if read_heads(settings) != heads():
                raise DataLayerError("The schema is not at the newest revision: migrate first.")
    snapshot = {READ_ONLY: True} if backend == "sqlite" else SERVERS[backend].SNAPSHOT
    with _connected(source, snapshot) as origin, _connected(target, {}) as destination:
        return _move(origin, destination)


@dataclass(frozen=True)
class _Side:
    """One of the two databases, in the one transaction that it sees of this."""

    address: str
    connection: Connection

    def refuse_rows(self, table: Table) -> None:
        with _telling(self.address, table):
            rows = self.connection.execute(select(table.c[0]).limit(1))
            if rows.first() is not None:
                raise DataLayerError("The table has rows already.")

    def count(self, table: Table) -> int:
        with _telling(self.address, table):
            return self.connection.scalar(select(func.count()).select_from(table)) or 0

    def read(
        self, table: Table, tally: Tally, advance: Advance
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the columns of all rows, a batch in memory at a time."""
        layout = Layout(table, self.connection.dialect)
        options = {"yield_per": BATCH}
        with _telling(self.address, table):
            result = self.connection.execute(layout.select, execution_options=options)
            for rows in result.partitions():
                columns = layout.decode(rows)
                tally.add(layout, columns)
                yield columns
                advance(len(rows))

    def write(self, table: Table, batches: Iterator[Sequence[Sequence[Any]]]) -> None:
        """Store rows, given as columns."""
        layout = Layout(table, self.connection.dialect)
        rows = (layout.encode(columns) for columns in batches)
        server = SERVERS.get(self.connection.dialect.name)
        with _telling(self.address, table):
            if server is not None:
                server.load(self.connection, table, layout.names, rows)
                return
            for batch in rows:
                self.connection.exec_driver_sql(layout.insert, batch)


@contextmanager
def _connected(settings: DatabaseSettings, options: dict[str, Any]) -> Iterator[_Side]:
    engine = create_engine(settings, for_migrations=True)
    with _telling(settings.address):
        try:
            with engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin():
                    yield _Side(settings.address, connection)
        finally:
            engine.dispose()


def _move(source: _Side, target: _Side) -> int:
    tables = Base.metadata.sorted_tables
    for table in tables:
        target.refuse_rows(table)
    total = sum([source.count(table) for table in tables])
    with Progress(transient=True, disable=not get_console().is_terminal) as progress:
        # Every row is read from the source and then, to compare it, from the target.
        advance = partial(progress.advance, progress.add_task("Copying", total=2 * total))
        sent = {table: Tally() for table in tables}
        for table, tally in sent.items():
            target.write(table, source.read(table, tally, advance))
        for table, tally in sent.items():
            _compare(target, table, tally, advance)
    return total


def _compare(target: _Side, table: Table, sent: Tally, advance: Advance) -> None:
    arrived = Tally()
    for _ in target.read(table, arrived, advance):
        pass
    if arrived != sent:
        raise TransferError(f"{target.address}, {table}: What arrived is not what was sent.")


@contextmanager
def _telling(address: str, table: Table | None = None) -> Iterator[None]:
    """Say where an error was."""
    place = address if table is None else f"{address}, {table}"
    try:
        yield
    except TransferError:
        raise
    except (SQLAlchemyError, DataLayerError) as error:
        problem = error if isinstance(error, DataLayerError) else translate(error)
        if problem is None:
            raise
        raise TransferError(f"{place}: {problem}") from error
