"""MySQL and MariaDB, reached through PyMySQL."""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pymysql.cursors import SSCursor  # type: ignore[import-untyped]
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import Copy
from .mysql_dialect import Definitions, Statements, Types
from .mysql_language import replace_useless
from .mysql_session import session
from .waiting import bound_waiting

if TYPE_CHECKING:
    from .settings import DatabaseSettings

DRIVER = "pymysql"
# Servers and what stands before them close idle connections, some after five minutes.
RECYCLE = 280
COPY: Copy | None = None

# A flag of the protocol, in every answer of the server.
_IN_TRANSACTION = 1


class MySQLDialect(MySQLDialect_pymysql):
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


registry.register("mysql.pymysql", __name__, MySQLDialect.__name__)


def connect_args(settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
    """Return the arguments of `connect`."""
    return {
        "charset": "utf8mb4",
        "connect_timeout": settings.database_connect_timeout,
        "read_timeout": None if for_migrations else settings.deadline,
        "write_timeout": settings.deadline,
        "session": partial(session, settings, for_migrations=for_migrations),
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
    known = dict(kwargs)
    deadline, begin = known.pop("read_timeout"), known.pop("session")
    # The driver's own limit ends before the server has greeted.
    connection: Any = dialect.connect(*args, read_timeout=known["connect_timeout"], **known)
    try:
        with connection.cursor() as cursor:
            cursor.execute(begin(connection.get_server_info()))
    except BaseException:
        connection._force_close()
        raise
    connection._read_timeout = deadline
    return connection


def open_cursor(connection: Any) -> Any:
    """Return a cursor that leaves its rows with the server until they are fetched."""
    return connection.cursor(SSCursor)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Give up connections that hang, died or became useless."""

    def ping(dialect: Dialect, connection: Any) -> None:
        usual = connection._read_timeout
        connection._read_timeout = settings.database_connect_timeout
        connection.ping()
        connection._read_timeout = usual

    @event.listens_for(engine, "reset")
    def roll_back(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        # After a COMMIT that failed, SQLAlchemy takes the transaction for ended.
        if connection.server_status & _IN_TRANSACTION and not state.terminate_only:
            connection.rollback()

    bound_waiting(engine, ping, lambda connection: connection._force_close(), _seems_open)
    replace_useless(engine)


def _seems_open(connection: Any) -> bool:
    # What a server says unasked is that it ended the connection.
    poll = select.poll()
    poll.register(connection._sock, select.POLLIN)
    return not poll.poll(0)
