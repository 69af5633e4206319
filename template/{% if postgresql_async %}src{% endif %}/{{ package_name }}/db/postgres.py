"""PostgreSQL, reached through asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Dialect, Integer, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .errors import translate_driver
from .types import ExactDecimal, UtcDateTime

# What COPY and SELECT exchange with the driver is what the service sees, or equals it.
NATIVE: tuple[type[Any], ...] = (UtcDateTime, ExactDecimal)
SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_COPY_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)


def connect_args(
    session: dict[str, str], *, connect_timeout: int, deadline: float | None, pooled: bool
) -> dict[str, Any]:
    """Return the arguments of asyncpg.connect; see Server."""
    args = {"timeout": connect_timeout, "command_timeout": deadline, "server_settings": session}
    if pooled:
        # What one transaction prepares, the next one may not find: its session is another.
        return {**args, "statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return args


def connect(dialect: Dialect, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a new connection."""
    return dialect.connect(*args, **kwargs)


def ping(dialect: Dialect, connection: Any, seconds: float) -> None:
    """Raise any exception if the connection does not answer in time."""
    connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=seconds))


def drop(connection: Any) -> None:
    """Close the connection without waiting for the server."""
    connection.driver_connection.terminate()


async def load(
    connection: AsyncConnection,
    table: Table,
    names: Sequence[str],
    batches: AsyncIterator[list[tuple[Any, ...]]],
) -> None:
    """Store rows in these columns with COPY, and let the sequences go on after them."""
    await connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table(
            table.name,
            schema_name=table.schema,
            columns=names,
            records=(row async for rows in batches for row in rows),
        )
    except _COPY_ERRORS as error:
        raise translate_driver(error) from error
    for column in table.columns:
        if isinstance(column.type, Integer):
            sequence = func.pg_get_serial_sequence(table.fullname, column.name)
            highest = select(func.setval(sequence, func.max(column))).having(func.max(column) > 0)
            await connection.execute(highest)
