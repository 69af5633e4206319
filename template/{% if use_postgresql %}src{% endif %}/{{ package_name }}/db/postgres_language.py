"""PostgreSQL's statements and errors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    cast,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.pool import ConnectionPoolEntry
from uuid_utils import UUID

from .backend import Carried, CompareDefaults, TakeLock
from .errors import (
    BEHIND,
    EXISTS,
    ORPHANED,
    REFUSED,
    TAKEN,
    UNFIT,
    UNREACHABLE,
    BusyError,
    InvalidValueError,
    Meaning,
    StaleError,
    UnavailableError,
    UnreachableError,
)
from .findings import Finding
from .postgres_hosts import REACHED
from .postgres_lock import take_lock
from .postgres_settings import Pooler
from .server_settings import look_at_hosts
from .types import ExactDecimal, UtcDateTime

if TYPE_CHECKING:
    from .settings import DatabaseSettings

_quote = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]

# One SELECT needs no BEGIN and COMMIT around it: two round trips less.
READING: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
# Of foreign keys that are not deferrable, a COPY checks those within its table at its end.
BEFORE_MOVING: Sequence[str] = ("SET CONSTRAINTS ALL DEFERRED", "SET LOCAL DateStyle = ISO")
CARRIED: Mapping[type[Any], Carried] = {
    ExactDecimal: Carried(),
    UtcDateTime: Carried(
        # Drivers make text in a fraction of the time of a datetime.
        select=lambda column: cast(func.timezone("UTC", column), Text),
        encode=lambda moments: [datetime.fromisoformat(one + "+00:00") for one in moments],
    ),
    Uuid: Carried(
        select=lambda column: func.encode(func.uuid_send(column), "hex"),
        # As good as Python's for a driver, and made ten times as quickly.
        encode=lambda ids: list(map(UUID, ids)),
    ),
}
COMPARE_DEFAULTS: CompareDefaults = True
TAKE_LOCK: TakeLock | None = take_lock
CLIENTS: Sequence[str] = ("psql",)
FAILED = "The migration that failed was undone; what came before it stays."
RISKS: Sequence[tuple[str, Finding]] = (
    (
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
        Finding("warning", "S004", "the role is a superuser", "use one that only owns the tables"),
    ),
    (
        "SELECT bool_or(setting = '0') FROM pg_settings WHERE name ~ '^(statement|lock)_timeout$'",
        Finding("warning", "S005", "statement_timeout or lock_timeout is 0", "set it on the role"),
    ),
)

# Those that only make queries faster, if nothing would be lost with them and they may be dropped.
_INDEXES = text(
    "SELECT oid::regclass::text, pg_get_indexdef(oid)"
    " FROM pg_index JOIN pg_class ON oid = indexrelid"
    " WHERE indrelid = CAST(:table AS regclass) AND indisvalid AND NOT indisunique"
    " AND NOT indisclustered AND reltablespace = 0 AND NOT relispartition"
    " AND obj_description(oid, 'pg_class') IS NULL AND pg_has_role(relowner, 'USAGE')"
)
# With any other mode of libpq, whoever stands between can have the connection unencrypted.
_ENCRYPTED = ("require", "verify-ca", "verify-full")
# That of a write on a server which is not, or no longer, the primary.
READ_ONLY = "25006"

# Without those that are kept for superusers and others; a role or a database may have less.
_ROOM = """
    SELECT LEAST(
        current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - COALESCE(current_setting('reserved_connections', true), '0')::int,
        (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    )
"""

# SQLSTATE codes and their classes: the documentation's appendix A.
MEANINGS: Mapping[Any, Meaning] = {
    "23505": TAKEN,
    "23503": ORPHANED,
    "23": REFUSED,
    "22": UNFIT,
    "54": (InvalidValueError, "A value is larger than the database can hold."),
    "40": (StaleError, "Another transaction changed the same rows; try again."),
    "55P03": (BusyError, "The database is busy: a lock was not free in time."),
    "57": (UnavailableError, "The database took too long."),
    **dict.fromkeys(("57P01", "57P02", "57P03"), UNREACHABLE),
    "08": UNREACHABLE,
    "53": (UnavailableError, "The database has no room left."),
    "53300": (BusyError, "The database has no room for another connection."),
    "28": (UnavailableError, "The database refuses the credentials."),
    "42P01": BEHIND,
    "42703": BEHIND,
    "42P07": EXISTS,
    "42701": EXISTS,
    "3D000": (UnavailableError, "The database does not exist."),
    READ_ONLY: (UnreachableError, "The database that is reached accepts no writes."),
    "outdated": (BusyError, "The schema has just changed; try again."),
}


def look_at_settings(settings: DatabaseSettings) -> Iterator[Finding]:
    """Yield what others could read on its way."""
    for url in filter(None, (settings.url, settings.direct_url)):
        names = url.normalized_query
        # Drivers differ in its name, and all of them read the variable.
        modes = (*names.get("sslmode", ()), *names.get("ssl", ()), os.environ.get("PGSSLMODE"))
        yield from look_at_hosts(
            [url.host, *names.get("host", ())],
            encrypted=modes[0] in _ENCRYPTED,
            hint="set PGSSLMODE to verify-full, or to require at least",
        )


def tell_client(url: URL) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables by which a client finds the database."""
    told = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        **{name: ",".join(values) for name, values in url.normalized_query.items()},
    }
    if hosts := [one.partition(":") for one in url.normalized_query.get("host", ())]:
        # Several servers, each with its port; or the folder of a socket.
        told["host"], _, told["port"] = map(",".join, zip(*hosts, strict=True))
    # Those of libpq have no underscore, but for one.
    names = {name: name.replace("_", "").upper() for name in told}
    names |= {"application_name": "APPNAME", "connect_timeout": "CONNECT_TIMEOUT", "ssl": "SSLMODE"}
    return [], {f"PG{names[name]}": str(value) for name, value in told.items() if value}


def code_of(error: BaseException) -> str | None:
    """Return the code of an error, as MEANINGS may have it; None if it has none."""
    if is_outdated(error):
        return "outdated"
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return None
    return state if state in MEANINGS else state[:2]


def is_outdated(error: BaseException | None) -> bool:
    """Tell whether a connection has prepared a statement for a schema that has changed."""
    if type(error).__name__ == "InvalidCachedStatementError":
        return True
    # PostgreSQL has no code of its own for it, and its text may be in any language.
    diagnosis = getattr(error, "diag", None)
    return getattr(diagnosis, "source_function", None) == "RevalidateCachedQuery"


def replace_useless(engine: Engine) -> None:
    """Give up connections whose server takes no writes, or whose statements are outdated."""

    @event.listens_for(engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        if code_of(context.original_exception) in ("outdated", READ_ONLY):
            context.is_disconnect = True

    @event.listens_for(engine, "invalidate")
    def try_others_first(connection: Any, record: ConnectionPoolEntry, error: Any) -> None:
        hosts, place = record.info[REACHED]
        hosts.avoid(place)


def has_policies(connection: Connection, table: Table) -> bool:
    """Tell whether row level security is on for a table: COPY would refuse to write into it."""
    return bool(connection.scalar(select(func.row_security_active(_quote.format_table(table)))))


def room(settings: DatabaseSettings) -> str | None:
    """Return a query for how many connections there may be; a pooler has limits of its own."""
    return _ROOM if settings.database_pooler is Pooler.NONE else None


def upsert(
    model: type[Any], key: Sequence[QueryableAttribute[Any]], changes: Mapping[str, Any]
) -> Insert:
    """Return an INSERT that makes these changes where there is a row with that key."""
    insert = postgresql.insert(model)
    values = {
        name: insert.excluded[name] if value is None else value for name, value in changes.items()
    }
    return insert.on_conflict_do_update(index_elements=list(key), set_=values)


def drop_indexes(connection: Connection, table: Table) -> Sequence[str]:
    """Drop what only makes queries faster; return the statements that make it again."""
    found = connection.execute(_INDEXES, {"table": _quote.format_table(table)}).all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    return [definition for _, definition in found]


def after_loading(table: Table) -> Iterator[Select[Any]]:
    """Yield what lets the sequences go on after the highest numbers of their columns."""
    for column in table.columns:
        if isinstance(column.type, Integer):
            sequence = func.pg_get_serial_sequence(_quote.format_table(table), column.name)
            highest = func.max(column)
            yield select(func.setval(sequence, highest)).having(highest > 0)


def holds(column: Any, text: str) -> ColumnElement[bool]:
    """Tell in a query whether a JSON list holds a text."""
    return cast(column, postgresql.JSONB).contains([text])
