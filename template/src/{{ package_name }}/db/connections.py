"""What each database needs from its connections."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from queue import Empty
from threading import Event
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    ExceptionContext,
    NullPool,
    TextClause,
    event,
)
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .errors import (
    InvalidValueError,
    ReadOnlyError,
    UnavailableError,
    is_outdated,
    translate_connect,
)
from .server import Server
from .servers import SERVERS
from .settings import DatabaseSettings, Environment, Pooler

READ_ONLY = "read_only"


def engine_options(settings: DatabaseSettings, *, for_migrations: bool = False) -> dict[str, Any]:
    """Return the arguments of create_engine for these settings, other than the URL."""
    return {
        "connect_args": _connect_args(settings, for_migrations),
        # An error's text goes to logs and callers; the values of a statement do not.
        "hide_parameters": True,
        "echo": settings.database_echo,
        **({"poolclass": NullPool} if for_migrations else _pool_options(settings)),
    }


def reading_options(url: URL) -> dict[str, Any]:
    """Return the execution options of sessions that only read."""
    if url.get_backend_name() == "sqlite":
        return {READ_ONLY: True}
    # One SELECT needs no BEGIN and COMMIT around it: two round trips less.
    return {READ_ONLY: True, "isolation_level": "AUTOCOMMIT"}


def prepare(engine: Engine, settings: DatabaseSettings, *, for_migrations: bool = False) -> None:
    """Set up every connection that the engine will make."""
    server = SERVERS.get(engine.dialect.name)
    pragmas = _MIGRATING if for_migrations else _SERVING

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: ConnectionPoolEntry, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            if server is None:
                return _connect_sqlite(dialect, record, args, kwargs, pragmas)
            return server.connect(dialect, args, kwargs)
        except Exception as error:
            raise translate_connect(error) from error

    @event.listens_for(engine, "before_execute")
    def refuse_writes(connection: Connection, statement: Any, *args: Any) -> None:
        if connection.get_execution_options().get(READ_ONLY, False) and not _only_reads(statement):
            raise ReadOnlyError("This unit of work only reads.")

    @event.listens_for(engine, "handle_error")
    def name_unfit_values(context: ExceptionContext) -> None:
        # A number beyond 64 bits, half a character: the driver's error is no error of a database.
        if isinstance(context.original_exception, OverflowError | UnicodeError):
            raise InvalidValueError("A value does not fit its column.")

    if server is None:
        _control_transactions(engine)
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


def _only_reads(statement: Any) -> bool:
    if isinstance(statement, TextClause):
        return statement.text.lstrip()[:6].upper() == "SELECT"
    return bool(getattr(statement, "is_select", False))


def _pool_options(settings: DatabaseSettings) -> dict[str, Any]:
    if settings.environment is Environment.TEST:
        return {"poolclass": NullPool}
    size, overflow = settings.pools[settings.environment]
    if settings.database_pool_size is not None:
        size = settings.database_pool_size
    if settings.database_max_overflow is not None:
        overflow = settings.database_max_overflow
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_timeout": settings.database_pool_timeout,
    }


def _connect_args(settings: DatabaseSettings, for_migrations: bool) -> dict[str, Any]:
    backend = settings.url.get_backend_name()
    if backend == "sqlite":
        busy = {"timeout": settings.database_lock_timeout}
        # Said outright, because it stops being the default in Python 3.16.
        legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", None)
        return busy if legacy is None else {**busy, "autocommit": legacy}
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


_SERVING = ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL")
# Altering a table drops and renames it: with foreign keys on, its children would go with it.
_MIGRATING = ("foreign_keys = OFF", "journal_mode = WAL", "legacy_alter_table = ON")


# A statement in a thread cannot be cancelled, but asks now and then whether it should end.
_ENDED = "ended"
_STEPS_BETWEEN_QUESTIONS = 50_000


def _connect_sqlite(
    dialect: Dialect,
    record: ConnectionPoolEntry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    pragmas: tuple[str, ...],
) -> Any:
    # A file that cannot be opened fails here, before aiosqlite starts a thread for it.
    sqlite3.connect(args[0], uri=kwargs.get("uri", False)).close()
    connection: Any = dialect.connect(*args, **kwargs)
    try:
        # The driver would begin and commit behind our back, and let DDL survive a rollback.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        if dialect.is_async:
            ended = record.info[_ENDED] = Event()
            connection.run_async(
                lambda driver: driver.set_progress_handler(ended.is_set, _STEPS_BETWEEN_QUESTIONS)
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _control_transactions(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: waiting works then, upgrading a read lock fails.
        reading = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "reset")
    def roll_back(
        dbapi_connection: Any, record: ConnectionPoolEntry, state: PoolResetState
    ) -> None:
        # A COMMIT that a deferred constraint refuses leaves the transaction open.
        driver: Any = record.driver_connection
        if driver.in_transaction and not state.terminate_only:
            dbapi_connection.rollback()

    @event.listens_for(engine, "invalidate")
    def end(
        dbapi_connection: Any, record: ConnectionPoolEntry, error: BaseException | None
    ) -> None:
        if _ENDED in record.info:
            _end_without_waiting(dbapi_connection.driver_connection, record.info[_ENDED])


def _end_without_waiting(driver: Any, ended: Event) -> None:
    """End a connection of aiosqlite whose caller was cancelled, with all that its thread has to do.

    Closing alone waits for the statement that runs, and then leaves the transaction open, and the
    file locked, for as long as somebody refers to a cursor.
    """
    raw, queue = driver._connection, driver._tx
    if raw is None:
        return

    def finish() -> None:
        raw.set_progress_handler(None, 0)
        raw.rollback()
        raw.close()

    ended.set()
    with suppress(Empty):
        while True:
            queue.get_nowait()
    queue.put((None, finish))
    driver._connection = None
    driver.stop()
