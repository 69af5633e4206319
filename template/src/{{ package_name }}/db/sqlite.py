"""SQLite, reached through sqlite3 or aiosqlite."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from queue import Empty
from threading import Event
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import Copy
from .reading import READ_ONLY
from .runtime import SQLITE_CURSOR
from .runtime import SQLITE_DRIVER as DRIVER

if TYPE_CHECKING:
    from .settings import DatabaseSettings

__all__ = ["COPY", "DRIVER", "RECYCLE", "connect", "connect_args", "open_cursor", "prepare"]

RECYCLE = -1
COPY: Copy | None = None

_SERVING = ("foreign_keys = ON", "synchronous = NORMAL")
# Altering a table drops and renames it: with foreign keys on, its children would go with it.
_MIGRATING = ("foreign_keys = OFF", "legacy_alter_table = ON")

# A statement in a thread cannot be cancelled, but asks now and then whether it should end.
_ENDED = "ended"
_STEPS_BETWEEN_QUESTIONS = 50_000


def connect_args(settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
    """Return the arguments of sqlite3.connect."""
    busy = {"timeout": settings.database_lock_timeout}
    # Said outright, because it stops being the default in Python 3.16.
    legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", None)
    return busy if legacy is None else {**busy, "autocommit": legacy}


def connect(
    dialect: Dialect,
    record: ConnectionPoolEntry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    for_migrations: bool,
) -> Any:
    """Return a new connection."""
    _open_file(args[0], uri=kwargs.get("uri", False), lock_timeout=kwargs["timeout"])
    connection: Any = dialect.connect(*args, **kwargs)
    try:
        # The driver would begin and commit behind our back, and let DDL survive a rollback.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _MIGRATING if for_migrations else _SERVING:
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


def _open_file(path: str, *, uri: bool, lock_timeout: float) -> None:
    """Let others read the file while somebody writes, from now on.

    A file that cannot be opened fails here, before aiosqlite starts a thread for it.
    """
    deadline = time.monotonic() + lock_timeout
    with closing(sqlite3.connect(path, timeout=lock_timeout, uri=uri)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # Of those who open a new file at once, SQLite lets one do this and none wait.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)


def open_cursor(connection: Any) -> Any:
    """Return a cursor that reads its rows when they are fetched."""
    return connection.cursor(**SQLITE_CURSOR)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Begin and end transactions ourselves, and leave nothing locked behind."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(READ_ONLY, False):
            # A writer takes the lock at once: waiting works then, upgrading a read lock fails.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif connection.dialect.is_async:
            # Without a cursor, because each of its steps is a way to the thread and back.
            raw: Any = connection.connection.dbapi_connection
            raw.run_async(lambda driver: driver.execute("BEGIN"))
        else:
            connection.exec_driver_sql("BEGIN")

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
    # From its own thread, so that it need not tell a loop that may have closed by then.
    queue.put((None, driver.stop))
    driver._connection = None
