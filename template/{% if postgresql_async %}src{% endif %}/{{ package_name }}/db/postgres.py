"""PostgreSQL, reached through asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect, Engine, Table, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import Copy
from .postgres_hosts import REACHED, Hosts, arguments_of, most_telling
from .postgres_language import replace_useless
from .postgres_settings import Pooler
from .waiting import bound_waiting

if TYPE_CHECKING:
    from .settings import DatabaseSettings

DRIVER = "asyncpg"
RECYCLE = -1


def connect_args(settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
    """Return the arguments of asyncpg.connect."""
    direct = settings.direct_url if for_migrations else None
    args = {
        "timeout": settings.database_connect_timeout,
        "command_timeout": None if for_migrations else settings.deadline,
        "hosts": Hosts(direct or settings.url),
        **arguments_of(direct, DRIVER),
        "server_settings": settings.session(
            settings.database_lock_timeout, for_migrations=for_migrations
        ),
    }
    if settings.database_pooler is Pooler.NONE or direct is not None:
        return args
    # What one transaction prepares, the next one may not find: its session is another.
    return {**args, "statement_cache_size": 0, "prepared_statement_cache_size": 0}


def connect(
    dialect: Dialect,
    record: ConnectionPoolEntry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    for_migrations: bool,
) -> Any:
    """Return a new connection, to the first server that can be used."""
    known = dict(kwargs)
    hosts = known.pop("hosts")
    errors: list[Exception] = []
    for place in hosts.places():
        try:
            connection = dialect.connect(*args, **{**known, **place})
        except Exception as error:
            errors.append(error)
            continue
        hosts.prefer(place)
        record.info[REACHED] = hosts, place
        return connection
    raise most_telling(errors)


def open_cursor(connection: Any) -> Any:
    """Return a cursor that leaves its rows with the server until they are fetched."""
    return connection.cursor(server_side=True)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Give up connections that hang, died or became useless."""

    def ping(dialect: Dialect, connection: Any) -> None:
        seconds = settings.database_connect_timeout
        connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=seconds))

    @event.listens_for(engine, "reset")
    def roll_back(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        # After a COMMIT that failed, SQLAlchemy takes the transaction for ended.
        if connection.driver_connection.is_in_transaction() and not state.terminate_only:
            connection.rollback()

    bound_waiting(
        engine,
        ping,
        drop=lambda connection: connection.driver_connection.terminate(),
        seems_open=lambda connection: not connection.driver_connection.is_closed(),
    )
    replace_useless(engine)


async def copy(
    connection: AsyncConnection,
    table: Table,
    names: Sequence[str],
    batches: AsyncIterator[list[tuple[Any, ...]]],
) -> None:
    """Store rows with these columns, in the connection's transaction."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.copy_records_to_table(
        table.name,
        schema_name=table.schema,
        columns=names,
        records=(row async for rows in batches for row in rows),
    )


COPY: Copy | None = copy
