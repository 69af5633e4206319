"""How all rows move to another database: in one transaction there, so that all arrive or none.

Whatever interrupts it, the target's tables stay empty, and the same call begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import get_console
from rich.progress import Progress
from sqlalchemy import Connection, Table, exists, func, select

from .backends import CONNECTORS, LANGUAGES
from .base import Base
from .engine import create_engine
from .errors import ORPHANED, UNFIT, DataLayerError
from .health import read_heads
from .layout import Columns, Reader, Tally, Writer
from .migrations import heads
from .reading import READ_ONLY
from .settings import DatabaseSettings
from .translation import translate, translate_connect

Advance = Callable[[int], None]
# Without parameters, a % is one.
AS_IT_IS = {"no_parameters": True}


class TransferError(DataLayerError):
    """The rows cannot move, and none of them has."""


def refuse_missing(source: DatabaseSettings) -> None:
    """Raise TransferError if the source is a file that is not there: to connect would make it."""
    is_file = source.url.get_backend_name() == "sqlite" and not source.address.startswith("file:")
    if is_file and not Path(source.address).exists():
        raise TransferError(f"{source.address}: There is no such file.")


def transfer(source: DatabaseSettings, target: DatabaseSettings) -> int:
    """Copy all rows into the empty tables of the target, compare them, and return how many.

    The source is read as of one moment, and never written. Raises TransferError.
    """
    for settings in (source, target):
        with _telling(settings.address):
            if read_heads(settings) != heads():
                raise DataLayerError("The schema is not at the newest revision: migrate first.")
    snapshot = {READ_ONLY: True, **LANGUAGES[source.url.get_backend_name()].SNAPSHOT}
    # The target's transaction is the last to end: what fails before leaves nothing there.
    with _connected(target, {}) as destination, _connected(source, snapshot) as origin:
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

    def prepare(self) -> None:
        with _telling(self.address):
            for statement in LANGUAGES[self.connection.dialect.name].BEFORE_MOVING:
                self.connection.exec_driver_sql(statement)

    def count(self, table: Table) -> int:
        with _telling(self.address, table):
            return self.connection.scalar(select(func.count()).select_from(table)) or 0

    def read(self, table: Table, tally: Tally, advance: Advance) -> Iterator[Columns]:
        """Yield the columns of all rows, a batch in memory at a time."""
        with _telling(self.address, table):
            reader = Reader(self.connection, table)
            while rows := reader.fetch(self.connection):
                columns = reader.decode(rows)
                tally.add(columns)
                yield columns
                advance(len(rows))

    def count_again(self, table: Table, advance: Advance) -> Tally:
        """Return what is to be compared with what was sent."""
        tally = Tally(table)
        with _telling(self.address, table):
            reader = Reader(self.connection, table)
            while rows := reader.fetch(self.connection):
                tally.add_from(reader, rows)
                advance(len(rows))
        return tally

    def write(self, table: Table, batches: Iterator[Columns]) -> None:
        """Store rows, given as columns."""
        name, writer = self.connection.dialect.name, Writer(table, self.connection.dialect)
        language, rows = LANGUAGES[name], (writer.encode(columns) for columns in batches)
        with _telling(self.address, table):
            indexes = language.drop_indexes(self.connection, table)
            if copy := CONNECTORS[name].COPY:
                copy(self.connection, table, writer.names, rows)
            else:
                for batch in rows:
                    self.connection.exec_driver_sql(writer.insert, batch)
            for definition in indexes:
                self.connection.exec_driver_sql(definition, execution_options=AS_IT_IS)
            for statement in language.after_loading(table):
                self.connection.execute(statement)

    def refuse_orphans(self, table: Table) -> None:
        """Look for what has not been checked, because rows could come in any order."""
        with _telling(self.address, table):
            for key in table.foreign_key_constraints:
                parent = key.referred_table.alias()
                pairs = [(one.parent, parent.c[one.column.key]) for one in key.elements]
                found = exists().where(*(child == other for child, other in pairs))
                orphans = select(table.c[0]).where(~found, *(c.is_not(None) for c, _ in pairs))
                if self.connection.execute(orphans.limit(1)).first() is not None:
                    raise ORPHANED[0](ORPHANED[1])


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
    for side in (source, target):
        side.prepare()
    total = sum([source.count(table) for table in tables])
    with Progress(transient=True, disable=not get_console().is_terminal) as progress:
        # Every row is read from the source and then, to compare it, from the target.
        advance = partial(progress.advance, progress.add_task("Copying", total=2 * total))
        sent = {table: Tally(table) for table in tables}
        for table, tally in sent.items():
            target.write(table, source.read(table, tally, advance))
        for table, tally in sent.items():
            if not tally.equals(target.count_again(table, advance)):
                place = f"{target.address}, {table}"
                raise TransferError(f"{place}: What arrived is not what was sent.")
            target.refuse_orphans(table)
    return total


@contextmanager
def _telling(address: str, table: Table | None = None) -> Iterator[None]:
    """Say where an error was."""
    place = address if table is None else f"{address}, {table}"
    try:
        yield
    except TransferError:
        raise
    except Exception as error:
        if (problem := _translate(error)) is None:
            raise
        raise TransferError(f"{place}: {problem}") from error


def _translate(error: Exception) -> DataLayerError | None:
    """Return what an error means, also one that a driver raised itself."""
    if isinstance(error, DataLayerError):
        return error
    if isinstance(error, ValueError | OverflowError) or type(error).__name__ == "DataError":
        return UNFIT[0](UNFIT[1])
    # What a driver raises in a cursor is not wrapped, or one of the errors of its dialect.
    drivers = (*(connector.DRIVER for connector in CONNECTORS.values()), "sqlalchemy.dialects")
    is_of_driver = type(error).__module__.startswith(drivers)
    return translate_connect(error) if is_of_driver else translate(error)
