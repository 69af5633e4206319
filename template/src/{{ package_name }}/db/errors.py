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


# What a code of a database stands for.
Meaning = tuple[type[DataLayerError], str]

TAKEN: Meaning = (DuplicateError, "A value that must be unique is taken.")
ORPHANED: Meaning = (
    ReferenceMissingError,
    "A row that must exist does not, or is still referred to.",
)
REFUSED: Meaning = (InvalidValueError, "A value is missing or refused by a check.")
UNFIT: Meaning = (InvalidValueError, "A value does not fit its column.")
BEHIND: Meaning = (SchemaBehindError, "The schema is behind: migrations must run.")
UNREACHABLE: Meaning = (UnavailableError, "The database cannot be reached.")
