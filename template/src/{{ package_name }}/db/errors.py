"""The errors that leave the data layer.

DataLayerError
├── NotFoundError            no row has that id
├── ConflictError            a rule of the schema, or another writer, refused the change
│   ├── DuplicateError       a unique value is taken
│   ├── ReferenceMissingError  a foreign key points to no row, or a row is still pointed to
│   └── StaleError           somebody else changed the row first
├── InvalidValueError        a value does not fit its column
├── InvalidCursorError       a page was asked for with a cursor that this service did not make
├── ReadOnlyError            a write was tried in a read-only unit of work
└── UnavailableError         the database cannot be reached, is busy, or took too long
    └── SchemaBehindError    a table or column is missing: migrations have not run

Subclass these in features, and the web layer answers with the right status by itself.
"""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy import exc
from sqlalchemy.orm.exc import StaleDataError


class DataLayerError(Exception):
    """Something the data layer could not do; the text is fit for the caller's eyes."""


class NotFoundError(DataLayerError):
    """No row has the id that was asked for."""


class ConflictError(DataLayerError):
    """A rule of the schema, or another writer, refused the change."""


class DuplicateError(ConflictError):
    """A value that must be unique is taken."""


class ReferenceMissingError(ConflictError):
    """A foreign key points to a row that does not exist, or would be left without one."""


class StaleError(ConflictError):
    """The row was changed or deleted by somebody else in the meantime."""


class InvalidValueError(DataLayerError):
    """A value does not fit its column: too long, out of range, missing, or refused by a check."""


class InvalidCursorError(DataLayerError):
    """A page was asked for with a cursor that this service did not make."""


class ReadOnlyError(DataLayerError):
    """A write was tried in a read-only unit of work."""


class UnavailableError(DataLayerError):
    """The database cannot be reached, is busy, or took too long; trying again may help."""


class SchemaBehindError(UnavailableError):
    """A table or column does not exist, because migrations have not run."""


def translate(error: BaseException) -> DataLayerError | None:
    """Return what an error of SQLAlchemy means here; None if it is a programming error.

    The text never repeats the driver's, which may hold values or credentials.
    """
    if isinstance(error, StaleDataError):
        return StaleError("The row was changed by somebody else; read it again.")
    if isinstance(error, exc.TimeoutError):
        return UnavailableError("All database connections are busy.")
    if isinstance(error, exc.StatementError) and isinstance(error.orig, DataLayerError):
        return error.orig
    if isinstance(error, exc.DBAPIError):
        original = error.orig
        # A value that the driver could not send: no error of the database, so it has no state.
        cause = getattr(original, "__cause__", None)
        if isinstance(error, exc.DataError) or isinstance(cause, ValueError):
            return InvalidValueError(_SQLSTATES["22"][1])
        if isinstance(original, sqlite3.Error):
            return _translate_sqlite(original)
        if is_outdated(original):
            return UnavailableError("The schema has just changed; try again.")
        state = getattr(original, "sqlstate", None)
        if isinstance(state, str) and (known := _translate_sqlstate(state)):
            return known
        is_vague = state is None and isinstance(error, (exc.OperationalError, exc.InterfaceError))
        if error.connection_invalidated or is_vague:
            return UnavailableError("The database cannot be reached.")
    return None


def is_outdated(original: BaseException | None) -> bool:
    """Tell whether a connection has prepared a statement for a schema that has changed."""
    if type(original).__name__ == "InvalidCachedStatementError":
        return True
    # PostgreSQL has no code of its own for it, and its text may be in any language.
    diagnosis = getattr(original, "diag", None)
    return getattr(diagnosis, "source_function", None) == "RevalidateCachedQuery"


def translate_driver(error: Exception) -> DataLayerError:
    """Return what an error means that a driver raised itself, as when it connects or copies."""
    known: DataLayerError | None
    if isinstance(error, sqlite3.Error):
        known = _translate_sqlite(error)
    elif isinstance(error, ValueError | OverflowError) or type(error).__name__ == "DataError":
        known = InvalidValueError(_SQLSTATES["22"][1])
    else:
        known = _translate_sqlstate(getattr(error, "sqlstate", None) or "08")
    return known or UnavailableError("The database cannot be reached.")


# PostgreSQL's SQLSTATE codes, most specific first: the documentation's appendix A.
_SQLSTATES: dict[str, tuple[type[DataLayerError], str]] = {
    "23505": (DuplicateError, "A value that must be unique is taken."),
    "23503": (ReferenceMissingError, "A row that must exist does not, or is still referred to."),
    "23": (InvalidValueError, "A value is missing or refused by a check."),
    "22": (InvalidValueError, "A value does not fit its column."),
    "54": (InvalidValueError, "A value is larger than the database can hold."),
    "40": (StaleError, "Another transaction changed the same rows; try again."),
    "55P03": (UnavailableError, "The database is busy: a lock was not free in time."),
    "57": (UnavailableError, "The database took too long or is shutting down."),
    "08": (UnavailableError, "The database cannot be reached."),
    "53": (UnavailableError, "The database has no room for another connection."),
    "28": (UnavailableError, "The database refuses the credentials."),
    "42P01": (SchemaBehindError, "The schema is behind: migrations must run."),
    "42703": (SchemaBehindError, "The schema is behind: migrations must run."),
    "3D000": (UnavailableError, "The database does not exist."),
    "25006": (ReadOnlyError, "The database accepts no writes here."),
}


def _translate_sqlstate(state: str) -> DataLayerError | None:
    for code in (state, state[:2]):
        if code in _SQLSTATES:
            kind, text = _SQLSTATES[code]
            return kind(text)
    return None


_SQLITE_CONSTRAINTS: dict[int, tuple[type[DataLayerError], str]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _SQLSTATES["23505"],
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _SQLSTATES["23505"],
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: _SQLSTATES["23503"],
}

# SQLite's primary result codes: sqlite.org/rescode.html.
_SQLITE_CODES: dict[int, tuple[type[DataLayerError], str]] = {
    sqlite3.SQLITE_CONSTRAINT: _SQLSTATES["23"],
    sqlite3.SQLITE_BUSY: (UnavailableError, "The database is busy: another writer holds it."),
    sqlite3.SQLITE_LOCKED: (UnavailableError, "The database is busy: another writer holds it."),
    sqlite3.SQLITE_INTERRUPT: (UnavailableError, "The database took too long."),
    sqlite3.SQLITE_CANTOPEN: (UnavailableError, "The database file cannot be opened."),
    sqlite3.SQLITE_NOTADB: (UnavailableError, "The database file is not a SQLite database."),
    sqlite3.SQLITE_FULL: (UnavailableError, "The disk is full."),
    sqlite3.SQLITE_IOERR: (UnavailableError, "The database file cannot be read or written."),
    sqlite3.SQLITE_READONLY: (ReadOnlyError, "The database file accepts no writes."),
}

# SQLite has no code of its own for these.
_MISSING = re.compile(r"no such (table|column)|table \S+ has no column")


def _translate_sqlite(error: sqlite3.Error) -> DataLayerError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_ERROR and _MISSING.match(str(error)):
        return SchemaBehindError("The schema is behind: migrations must run.")
    known = _SQLITE_CONSTRAINTS.get(code) or _SQLITE_CODES.get(code & 0xFF)
    return known[0](known[1]) if known else None
