"""How one process at a time migrates PostgreSQL, and what speaks its protocol."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

# Advisory locks are PostgreSQL's own: elsewhere they are not allowed, not there, or do nothing.
_WITHOUT_LOCKS = {"42501", "42883", "0A000"}
# Another process makes the table, or its row, in this moment.
_MEETINGS = {"23505", "42P07", "40001", "XX000"}
_PREPARATIONS = (
    "CREATE TABLE IF NOT EXISTS migration_lock (key BIGINT PRIMARY KEY)",
    "INSERT INTO migration_lock VALUES ({key}) ON CONFLICT DO NOTHING",
    # A snapshot that lasts would make CREATE INDEX CONCURRENTLY wait for this transaction.
    "BEGIN ISOLATION LEVEL READ COMMITTED",
)
_LOCK = "SELECT key FROM migration_lock WHERE key = {key} FOR UPDATE SKIP LOCKED"


def take_lock(connection: Connection, key: int) -> bool:
    """Try to take a lock that lasts as long as the connection, which has no transaction."""
    if connection.dialect.name == "postgresql":
        try:
            return bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({key})")))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _WITHOUT_LOCKS:
                raise
    return _lock_row(connection, key)


def _lock_row(connection: Connection, key: int) -> bool:
    try:
        for statement in _PREPARATIONS:
            connection.execute(text(statement.format(key=key)))
        is_taken = connection.scalar(text(_LOCK.format(key=key))) is not None
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _MEETINGS:
            raise
        is_taken = False
    if not is_taken:
        connection.execute(text("ROLLBACK"))
    return is_taken
