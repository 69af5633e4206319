"""PostgreSQL, reached through psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection as SQLAlchemyConnection
from sqlalchemy import Dialect, Integer, Table, func, select

from .errors import translate_driver
from .types import ExactDecimal, UtcDateTime


class Connection(psycopg.Connection[Any]):
    """A connection that does not wait forever for an answer."""

    deadline: float | None = None

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Raise OperationalError once the deadline is over."""
        try:
            return super().wait(*args, **{"timeout": self.deadline, **kwargs})
        except psycopg.OperationalError as error:
            # Without a code it is not the server's error: an answer may still be on its way.
            if error.sqlstate is None:
                self.close()
            raise


# What COPY and SELECT exchange with the driver is what the service sees, or equals it.
NATIVE: tuple[type[Any], ...] = (UtcDateTime, ExactDecimal)
SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_COPY_ERRORS = (psycopg.Error, OSError, ValueError, OverflowError)


def connect_args(
    session: dict[str, str], *, connect_timeout: int, deadline: float | None, pooled: bool
) -> dict[str, Any]:
    """Return the arguments of `connect`; see Server."""
    args = {"connect_timeout": connect_timeout, "deadline": deadline}
    if pooled:
        # What one transaction prepares, the next one may not find: its session is another.
        return {**args, **session, "prepare_threshold": None}
    return {**args, "options": " ".join(f"-c {name}={value}" for name, value in session.items())}


def connect(dialect: Dialect, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a new connection."""
    known = dict(kwargs)
    deadline = known.pop("deadline")
    connection = Connection.connect(*args, **known)
    connection.deadline = deadline
    return connection


def ping(dialect: Dialect, connection: Any, seconds: float) -> None:
    """Raise any exception if the connection does not answer in time."""
    usual, connection.deadline = connection.deadline, seconds
    dialect.do_ping(connection)
    connection.deadline = usual


def drop(connection: Any) -> None:
    """Close the connection without waiting for the server."""
    connection.close()


def load(
    connection: SQLAlchemyConnection,
    table: Table,
    names: Sequence[str],
    batches: Iterator[list[tuple[Any, ...]]],
) -> None:
    """Store rows in these columns with COPY, and let the sequences go on after them."""
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    driver: Any = connection.connection.driver_connection
    try:
        _copy(driver, table, names, batches)
    except _COPY_ERRORS as error:
        raise translate_driver(error) from error
    for column in table.columns:
        if isinstance(column.type, Integer):
            sequence = func.pg_get_serial_sequence(table.fullname, column.name)
            highest = select(func.setval(sequence, func.max(column))).having(func.max(column) > 0)
            connection.execute(highest)


def _copy(
    driver: psycopg.Connection[Any],
    table: Table,
    names: Sequence[str],
    batches: Iterator[list[tuple[Any, ...]]],
) -> None:
    where = sql.Identifier(*filter(None, (table.schema, table.name)))
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    with driver.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {} LIMIT 0").format(columns, where))
        types = [column.type_code for column in cursor.description or ()]
        into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(where, columns)
        with cursor.copy(into) as copy:
            copy.set_types(types)
            for rows in batches:
                for row in rows:
                    copy.write_row(row)
