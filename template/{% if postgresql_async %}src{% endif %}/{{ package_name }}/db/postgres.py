"""PostgreSQL, reached through asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Dialect, Engine, Table, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import INTO, Copy
from .errors import UNFIT
from .postgres_hosts import REACHED, Hosts, arguments_of, most_telling
from .postgres_language import has_policies, replace_useless
from .postgres_settings import Pooler
from .waiting import bound_waiting

if TYPE_CHECKING:
    from .settings import DatabaseSettings

DRIVER = "asyncpg"
RECYCLE = -1

# What PostgreSQL counts from, and in: its documentation's "Date/Time Types".
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_MOMENT = {"typename": "timestamptz", "schema": "pg_catalog"}
_NO_VALUE = (TypeError, ValueError)
# Of its documentation on `connect`, "SSL" and "dsn".
_OF_DSN = {
    "application_name",
    "options",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslpassword",
    "sslrootcert",
}


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
    known = _as_the_driver_takes(kwargs)
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


def _as_the_driver_takes(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `connect`; what libpq has beyond them, asyncpg reads from a DSN."""
    known = dict(kwargs)
    # How long to wait is a setting.
    known.pop("connect_timeout", None)
    if options := {name: known.pop(name) for name in _OF_DSN & known.keys()}:
        known["dsn"] = URL.create("postgresql", query=options).render_as_string()
    return known


class ServerCursor:
    """The rows of a query as asyncpg makes them, and no part of PEP 249's cursor beyond that.

    Through SQLAlchemy's cursor each row takes half as long again.
    """

    description: Sequence[tuple[str, int]]

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._rows: Any = None

    def execute(self, query: str) -> None:
        """Send a query within the transaction that has begun."""
        self._connection.run_async(partial(self._open, query))

    def fetchmany(self, size: int) -> list[Any]:
        """Return the next rows; none at the end."""
        rows: list[Any] = self._connection.run_async(lambda _: self._rows.fetch(size))
        return rows

    def close(self) -> None:
        """Forget the rows; the server closes its cursor with the transaction."""
        self._rows = None

    async def _open(self, query: str, driver: Any) -> None:
        statement = await driver.prepare(query)
        self.description = [(one.name, one.type.oid) for one in statement.get_attributes()]
        self._rows = await statement.cursor()


def open_cursor(connection: Any) -> ServerCursor:
    """Return a cursor that leaves its rows with the server until they are fetched."""
    return ServerCursor(connection)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Copy many rows, and give up connections that hang, died or became useless."""

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
    dialect = engine.dialect
    dialect.do_executemany = partial(_send, dialect.do_executemany)  # type: ignore[method-assign]


async def copy(
    connection: AsyncConnection,
    table: Table,
    names: Sequence[str],
    batches: AsyncIterator[list[tuple[Any, ...]]],
) -> None:
    """Store rows with these columns, in the connection's transaction."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await _copy(driver, table, names, (row async for rows in batches for row in rows))


def _send(usual: Any, cursor: Any, statement: str, rows: Any, context: Any) -> None:
    """Send rows, by a COPY where there is one that does the same."""
    table, names = context.execution_options.get(INTO, (None, ()))
    if table is None or has_policies(context.root_connection, table):
        usual(cursor, statement, rows, context)
        return
    connection = cursor._adapt_connection
    try:
        connection.run_async(lambda driver: _copy(driver, table, names, rows))
    except Exception as error:
        connection._handle_exception(error)


async def _copy(driver: Any, table: Table, names: Sequence[str], rows: Any) -> None:
    # Ours takes a third of the time of asyncpg's, which forgets with it what the table was like.
    await driver.set_type_codec(**_MOMENT, format="tuple", encoder=_encode_moment, decoder=tuple)
    place = {"table_name": table.name, "schema_name": table.schema, "columns": names}
    try:
        await driver.copy_records_to_table(**place, records=rows)
    except _NO_VALUE as error:
        raise UNFIT[0](UNFIT[1]) from error
    finally:
        await driver.reset_type_codec(**_MOMENT)


def _encode_moment(moment: datetime) -> tuple[int]:
    return ((moment - _EPOCH) // _MICROSECOND,)


COPY: Copy | None = copy
