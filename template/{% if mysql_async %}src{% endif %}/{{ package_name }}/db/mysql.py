"""MySQL and MariaDB, reached through asyncmy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncmy
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import Copy
from .mysql_dialect import Definitions, Statements, Types
from .mysql_language import replace_useless
from .mysql_session import session
from .waiting import bound_waiting

if TYPE_CHECKING:
    from .settings import DatabaseSettings

DRIVER = "asyncmy"
# Servers and what stands before them close idle connections, some after five minutes.
RECYCLE = 280
COPY: Copy | None = None

# A flag of the protocol, in every answer of the server.
_IN_TRANSACTION = 1


class MySQLDialect(MySQLDialect_asyncmy):
    """SQLAlchemy's dialect, with the words of this service."""

    supports_statement_cache = True
    statement_compiler = Statements
    ddl_compiler = Definitions
    type_compiler_cls = Types

    def on_connect(self) -> Callable[[Any], None]:
        """Send nothing more: the session is set up."""
        return lambda connection: None

    def initialize(self, connection: Connection) -> None:
        """Store ids as text also on MariaDB, so that both have one schema and one order."""
        super().initialize(connection)
        self.supports_native_uuid = False


registry.register("mysql.asyncmy", __name__, MySQLDialect.__name__)


def connect_args(settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
    """Return the arguments of `connect`."""
    return {
        "charset": "utf8mb4",
        "connect_timeout": settings.database_connect_timeout,
        "read_timeout": None if for_migrations else settings.deadline,
        "async_creator_fn": partial(
            _open, session=partial(session, settings, for_migrations=for_migrations)
        ),
    }


def connect(
    dialect: Dialect,
    record: ConnectionPoolEntry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    for_migrations: bool,
) -> Any:
    """Return a new connection."""
    return dialect.connect(*args, **kwargs)


async def _open(*, session: Callable[[str], str], **known: Any) -> Any:
    # The driver's own limit ends before the server has greeted.
    async with asyncio.timeout(known["connect_timeout"]):
        connection = await asyncmy.connect(**known)
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(session(connection.get_server_info()))
        except BaseException:
            connection.close()
            raise
    return connection


def open_cursor(connection: Any) -> Any:
    """Return a cursor that leaves its rows with the server until they are fetched."""
    return connection.cursor(server_side=True)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Give up connections that hang, died or became useless."""

    def ping(dialect: Dialect, connection: Any) -> None:
        seconds = settings.database_connect_timeout
        connection.run_async(lambda driver: asyncio.wait_for(driver.ping(False), seconds))

    @event.listens_for(engine, "reset")
    def roll_back(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        # After a COMMIT that failed, SQLAlchemy takes the transaction for ended.
        status = connection.driver_connection.server_status
        if status & _IN_TRANSACTION and not state.terminate_only:
            connection.rollback()

    bound_waiting(
        engine,
        ping,
        drop=lambda connection: connection.driver_connection.close(),
        seems_open=lambda connection: not connection.driver_connection._stream_broken,
    )
    replace_useless(engine)
