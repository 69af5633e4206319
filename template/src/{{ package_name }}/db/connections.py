"""What each database needs from its connections."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Dialect,
    Engine,
    ExceptionContext,
    NullPool,
    event,
)
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from . import sqlite
from .errors import (
    InvalidValueError,
    UnavailableError,
    is_outdated,
    translate_driver,
)
from .reading import refuse_writes
from .server import Server
from .servers import SERVERS
from .settings import DatabaseSettings, Pooler


def engine_options(settings: DatabaseSettings, *, for_migrations: bool = False) -> dict[str, Any]:
    """Return the arguments of create_engine for these settings, other than the URL."""
    return {
        "connect_args": _connect_args(settings, for_migrations),
        # An error's text goes to logs and callers; the values of a statement do not.
        "hide_parameters": True,
        "echo": settings.database_echo,
        **({"poolclass": NullPool} if for_migrations else _pool_options(settings)),
    }


def prepare(engine: Engine, settings: DatabaseSettings, *, for_migrations: bool = False) -> None:
    """Set up every connection that the engine will make."""
    server = SERVERS.get(engine.dialect.name)

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: ConnectionPoolEntry, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            if server is None:
                return sqlite.connect(dialect, record, args, kwargs, for_migrations=for_migrations)
            return server.connect(dialect, args, kwargs)
        except Exception as error:
            raise translate_driver(error) from error

    @event.listens_for(engine, "handle_error")
    def name_unfit_values(context: ExceptionContext) -> None:
        # A number beyond 64 bits, half a character: the driver's error is no error of a database.
        if isinstance(context.original_exception, OverflowError | UnicodeError):
            raise InvalidValueError("A value does not fit its column.")

    refuse_writes(engine)
    if server is None:
        sqlite.control_transactions(engine)
    else:
        _bound_waiting(engine, server, settings.database_connect_timeout)


def _bound_waiting(engine: Engine, server: Server, seconds: float) -> None:
    """Give up on connections that died or hang; SQLAlchemy's own test of them would wait on."""

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        if "used" not in record.info:
            record.info["used"] = True
            return
        try:
            server.ping(engine.dialect, connection, seconds)
        except BaseException as error:
            server.drop(connection)
            if isinstance(error, Exception):
                raise InvalidatePoolError("the connection does not answer") from error
            raise

    @event.listens_for(engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        if is_outdated(context.original_exception):
            context.is_disconnect = True
        # A broken socket, or an answer that never came: not every driver makes it a database error.
        if isinstance(context.original_exception, OSError) and context.connection:
            server.drop(context.connection.connection.dbapi_connection)
            context.is_disconnect = True
            raise UnavailableError("The database cannot be reached.")

    @event.listens_for(engine, "close")
    def close(connection: Any, record: ConnectionPoolEntry) -> None:
        # Nothing is under way on an idle one, so that there is nothing to wait for.
        if not record.in_use:
            server.drop(connection)


def _pool_options(settings: DatabaseSettings) -> dict[str, Any]:
    size, overflow = settings.pools[settings.environment]
    if settings.database_pool_size is not None:
        size = settings.database_pool_size
    if settings.database_max_overflow is not None:
        overflow = settings.database_max_overflow
    if size == 0:
        return {"poolclass": NullPool}
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_timeout": settings.database_pool_timeout,
    }


def _connect_args(settings: DatabaseSettings, for_migrations: bool) -> dict[str, Any]:
    backend = settings.url.get_backend_name()
    if backend == "sqlite":
        return sqlite.connect_args(settings.database_lock_timeout)
    # The server itself ends what takes too long; this is for one that does not even do that.
    deadline = settings.database_statement_timeout + settings.database_connect_timeout
    return SERVERS[backend].connect_args(
        _session(settings, for_migrations),
        connect_timeout=settings.database_connect_timeout,
        deadline=None if for_migrations else deadline,
        pooled=settings.database_pooler is not Pooler.NONE,
    )


def _session(settings: DatabaseSettings, for_migrations: bool) -> dict[str, str]:
    """Return what a session on the server begins with.

    A pooler lends the same session to many and refuses the rest: its role must have that.
    """
    name = {"application_name": __name__.partition(".")[0]}
    if settings.database_pooler is not Pooler.NONE:
        return name
    statement_timeout = 0 if for_migrations else settings.database_statement_timeout
    return {
        **name,
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{statement_timeout * 1000:.0f}",
        "lock_timeout": f"{settings.database_lock_timeout * 1000:.0f}",
    }
