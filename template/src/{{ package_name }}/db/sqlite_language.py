"""SQLite's statements and errors."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, ColumnElement, Connection, Insert, Select, Table, Uuid, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import QueryableAttribute

from .backend import Carried, CompareDefaults, TakeLock, shortest
from .errors import (
    BEHIND,
    EXISTS,
    ORPHANED,
    REFUSED,
    TAKEN,
    BusyError,
    Meaning,
    ReadOnlyError,
    UnavailableError,
)
from .findings import Finding
from .types import UtcDateTime

if TYPE_CHECKING:
    from .settings import DatabaseSettings

READING: dict[str, Any] = {}
SNAPSHOT: dict[str, Any] = {}
# Connections like those of migrations check no foreign keys.
BEFORE_MOVING: Sequence[str] = ()


def _read_moments(stored: Sequence[str]) -> Sequence[str]:
    if not {19, 26}.issuperset(map(len, stored)) or "T" in "".join(stored):
        # Somebody else wrote one of them, maybe with a zone.
        moments = map(datetime.fromisoformat, stored)
        stored = [
            str(one.astimezone(UTC).replace(tzinfo=None) if one.tzinfo else one) for one in moments
        ]
    return shortest(stored)


def _write_moments(moments: Sequence[str]) -> Sequence[str]:
    return [one if len(one) == 19 else one.ljust(26, "0") for one in moments]


CARRIED: Mapping[type[Any], Carried] = {
    UtcDateTime: Carried(decode=_read_moments, encode=_write_moments),
    Uuid: Carried(),
}
COMPARE_DEFAULTS: CompareDefaults = True
TAKE_LOCK: TakeLock | None = None
CLIENTS: Sequence[str] = ("sqlite3",)
FAILED = "The migrations were undone, those before the one that failed too."
RISKS: Sequence[tuple[str, Finding]] = ()

# SQLite has no code of its own for these.
_MISSING = re.compile(r"no such (table|column)|table \S+ has no column")
_EXISTING = re.compile(r"(table|index) \S+ already exists|duplicate column name")

_BUSY: Meaning = (BusyError, "The database is busy: another writer holds it.")

# SQLite's primary result codes, and more exact ones of its constraints: sqlite.org/rescode.html.
MEANINGS: Mapping[Any, Meaning] = {
    "missing": BEHIND,
    "existing": EXISTS,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: TAKEN,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: TAKEN,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: ORPHANED,
    sqlite3.SQLITE_CONSTRAINT: REFUSED,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_INTERRUPT: (UnavailableError, "The database took too long."),
    sqlite3.SQLITE_CANTOPEN: (UnavailableError, "The database file cannot be opened."),
    sqlite3.SQLITE_NOTADB: (UnavailableError, "The database file is not a SQLite database."),
    sqlite3.SQLITE_FULL: (UnavailableError, "The disk is full."),
    sqlite3.SQLITE_IOERR: (UnavailableError, "The database file cannot be read or written."),
    sqlite3.SQLITE_READONLY: (ReadOnlyError, "The database file accepts no writes."),
}


def look_at_settings(settings: DatabaseSettings) -> Iterator[Finding]:
    """Yield that the file may be another one tomorrow."""
    path = str(settings.url.database).removeprefix("file:")
    if not Path(path).is_absolute():
        where = f"the file {path} is another one wherever the process starts"
        yield Finding("warning", "S006", where, "name it from the root, after four slashes")


def tell_client(url: URL) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables by which a client finds the file."""
    return [str(url.database)], {}


def code_of(error: BaseException) -> int | str | None:
    """Return the code of an error, as MEANINGS may have it; None if it has none."""
    if not isinstance(error, sqlite3.Error):
        return None
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "driver"
    if code == sqlite3.SQLITE_ERROR and _MISSING.match(str(error)):
        return "missing"
    if code == sqlite3.SQLITE_ERROR and _EXISTING.match(str(error)):
        return "existing"
    return code if code in MEANINGS else code & 0xFF


def room(settings: DatabaseSettings) -> None:
    """Return None: a file takes any number of connections."""


def upsert(
    model: type[Any], key: Sequence[QueryableAttribute[Any]], changes: Mapping[str, Any]
) -> Insert:
    """Return an INSERT that makes these changes where there is a row with that key."""
    insert = sqlite.insert(model)
    values = {
        name: insert.excluded[name] if value is None else value for name, value in changes.items()
    }
    return insert.on_conflict_do_update(index_elements=list(key), set_=values)


def drop_indexes(connection: Connection, table: Table) -> Sequence[str]:
    """Drop nothing: rows come in about as fast."""
    return ()


def after_loading(table: Table) -> Sequence[Select[Any]]:
    """Return nothing: an INSERT with a number is noticed."""
    return ()


def holds(column: Any, text: str) -> ColumnElement[bool]:
    """Tell in a query whether a JSON list holds a text."""
    each = func.json_each(column).table_valued("value")
    return select(each.c.value).where(each.c.value == text).exists()
