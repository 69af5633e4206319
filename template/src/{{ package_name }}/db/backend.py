"""What the modules of a database offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sqlalchemy import URL, ColumnElement, Connection, Dialect, Engine, Insert, Select, Table
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.pool import ConnectionPoolEntry

from .errors import Meaning
from .findings import Finding

if TYPE_CHECKING:
    from .settings import DatabaseSettings


# The option that tells of an INSERT of many rows into which table and columns a COPY may take them.
INTO = "into"
# A connection, a table, the names of its columns, and batches of rows.
Copy = Callable[[Any, Table, Sequence[str], Any], Any]
# A connection without a transaction, and the number of the lock; it does not wait.
TakeLock = Callable[[Connection, int], bool]
CompareDefaults = bool | Callable[..., bool]


class Carried(NamedTuple):
    """How values of a type move: in a form that all databases share and most need not make.

    Functions get all that is not NULL in a column of some rows, as one call for each takes longer.

    That of an id is its 32 hexadecimal digits, that of a moment its text in UTC, as `shortest`.
    """

    select: Callable[[Any], Any] = lambda column: column
    decode: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    encode: Callable[[Sequence[Any]], Sequence[Any]] | None = None


def shortest(moments: Sequence[str]) -> Sequence[str]:
    """Return YYYY-MM-DD HH:MM:SS without zeros at the end of a fraction."""
    return [one.rstrip("0").rstrip(".") if len(one) > 19 else one for one in moments]


class Connector(Protocol):
    """How connections are made and looked after."""

    DRIVER: str
    """The driver's name in URLs."""

    RECYCLE: int
    """After how many seconds an open connection is replaced by a new one; -1 for never."""

    COPY: Copy | None
    """The fastest way in for many rows, of which batches come; None if that is an INSERT."""

    def connect_args(self, settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
        """Return the arguments of `connect`, other than what the URL says."""

    def connect(
        self,
        dialect: Dialect,
        record: ConnectionPoolEntry,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        for_migrations: bool,
    ) -> Any:
        """Return a new connection."""

    def open_cursor(self, connection: Any) -> Any:
        """Return a cursor that leaves its rows with the server until they are fetched."""

    def prepare(self, engine: Engine, settings: DatabaseSettings) -> None:
        """Listen to the engine, to look after its connections."""


class Language(Protocol):
    """How the database wants its statements, and what its errors mean, whatever the driver."""

    READING: dict[str, Any]
    """Execution options of sessions that only read."""

    SNAPSHOT: dict[str, Any]
    """Execution options of a connection that sees the database as of one moment."""

    BEFORE_MOVING: Sequence[str]
    """What lets the rows of a transaction come in any order, and their values in their form."""

    CARRIED: Mapping[type[Any], Carried]
    """The types whose values move in a form of their own, because theirs takes long to make."""

    MEANINGS: Mapping[Any, Meaning]
    """What its errors mean, by code."""

    COMPARE_DEFAULTS: CompareDefaults
    """How Alembic is to compare the defaults of columns with those of the models."""

    TAKE_LOCK: TakeLock | None
    """What tries to take a lock that lasts as long as a connection; None if none is needed."""

    CLIENTS: Sequence[str]
    """The programs that people type statements into, the best first."""

    FAILED: str
    """What is left of a migration that failed."""

    RISKS: Sequence[tuple[str, Finding]]
    """What is dangerous in production: queries that tell so, and what they find."""

    def look_at_settings(self, settings: DatabaseSettings) -> Iterable[Finding]:
        """Tell what is dangerous in production by the settings alone."""

    def tell_client(self, url: URL) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and variables by which such a program finds the database.

        Arguments are for all to see, so that the password is a variable.
        """

    def code_of(self, error: BaseException) -> Any:
        """Return the code of an error, as MEANINGS may have it; None if it has none."""

    def room(self, settings: DatabaseSettings) -> str | None:
        """Return a query for how many connections there may be; None if that has no limit here."""

    def upsert(
        self, model: type[Any], key: Sequence[QueryableAttribute[Any]], changes: Mapping[str, Any]
    ) -> Insert:
        """Return an INSERT that makes these changes where there is a row with that key.

        A change that is None takes the value that was to be inserted.
        """

    def drop_indexes(self, connection: Connection, table: Table) -> Sequence[str]:
        """Drop what is made sooner than kept while many rows come; return what makes it again.

        All in the transaction, so that nothing is missing wherever it ends.
        """

    def after_loading(self, table: Table) -> Iterable[Select[Any]]:
        """Return what lets the numbers that the database gives go on after those of the rows."""

    def holds(self, column: Any, text: str) -> ColumnElement[bool]:
        """Tell in a query whether a JSON list holds a text."""
