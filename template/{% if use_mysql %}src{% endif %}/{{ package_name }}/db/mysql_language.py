"""MySQL's and MariaDB's statements and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    Insert,
    Select,
    String,
    Table,
    Uuid,
    cast,
    event,
    func,
    literal,
    literal_column,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import QueryableAttribute

from .backend import Carried, CompareDefaults, TakeLock, shortest
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
    ReadOnlyError,
    StaleError,
    UnavailableError,
    UnreachableError,
)
from .findings import Finding
from .mysql_dialect import defaults_differ
from .server_settings import look_at_hosts
from .types import UtcDateTime

if TYPE_CHECKING:
    from .settings import DatabaseSettings


def take_lock(connection: Connection, key: int) -> bool:
    """Try to take a lock of this session; the server's databases share them."""
    lock = f"SELECT GET_LOCK(CONCAT('{key} ', MD5(COALESCE(DATABASE(), ''))), 0)"
    return bool(connection.scalar(text(lock)))


# Switching to autocommit and back would take more round trips than it saves.
READING: dict[str, Any] = {}
SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
BEFORE_MOVING: Sequence[str] = ("SET SESSION foreign_key_checks = 0",)
CARRIED: Mapping[type[Any], Carried] = {
    # A driver makes text in a fraction of the time of a datetime.
    UtcDateTime: Carried(select=lambda column: cast(column, String(26)), decode=shortest),
    Uuid: Carried(),
}
COMPARE_DEFAULTS: CompareDefaults = defaults_differ
TAKE_LOCK: TakeLock | None = take_lock
CLIENTS: Sequence[str] = ("mariadb", "mysql")
FAILED = (
    "MySQL cannot take back what alters the schema. What it did before is still there: "
    "undo that by hand before the migration runs again."
)
RISKS: Sequence[tuple[str, Finding]] = (
    (
        "SELECT COUNT(*) FROM information_schema.user_privileges WHERE privilege_type = 'SUPER'"
        """ AND grantee = CONCAT("'", REPLACE(CURRENT_USER(), '@', "'@'"), "'")""",
        Finding("warning", "S004", "the account has SUPER", "use one that has only its database"),
    ),
)

_STALE: Meaning = (StaleError, "Another transaction changed the same rows; try again.")
_BUSY: Meaning = (BusyError, "The database is busy: a lock was not free in time.")
_SLOW: Meaning = (UnavailableError, "The database took too long.")
_FULL: Meaning = (BusyError, "The database has no room for another connection.")
_REFUSED_LOGIN: Meaning = (UnavailableError, "The database refuses the credentials.")
_TOO_LARGE: Meaning = (InvalidValueError, "A value is larger than the database can hold.")

# Of a server that is not, or no longer, the primary.
_READ_ONLY = (1290, 1836)
# After which the server hangs up.
_TOO_LONG = 1153

# The server's error numbers (its reference of error messages), and from 2000 those of the drivers.
MEANINGS: Mapping[Any, Meaning] = {
    **dict.fromkeys((1022, 1062, 1169, 1586), TAKEN),
    **dict.fromkeys((1216, 1217, 1451, 1452), ORPHANED),
    **dict.fromkeys((1048, 1364, 3819, 4025), REFUSED),
    **dict.fromkeys((1264, 1265, 1292, 1366, 1406, 1411, 1690), UNFIT),
    **dict.fromkeys((1118, _TOO_LONG, 1301), _TOO_LARGE),
    # A deadlock; a row that is not as it was when the transaction began.
    **dict.fromkeys((1020, 1213), _STALE),
    **dict.fromkeys((1205, 3572), _BUSY),
    **dict.fromkeys((1317, 1969, 3024), _SLOW),
    **dict.fromkeys((1040, 1203, 1226), _FULL),
    **dict.fromkeys((1044, 1045, 1130, 1698), _REFUSED_LOGIN),
    1046: (UnavailableError, "The URL names no database."),
    1049: (UnavailableError, "The database does not exist."),
    **dict.fromkeys((1054, 1146), BEHIND),
    **dict.fromkeys((1050, 1060, 1061), EXISTS),
    **dict.fromkeys(
        _READ_ONLY, (UnreachableError, "The database that is reached accepts no writes.")
    ),
    1792: (ReadOnlyError, "The database accepts no writes here."),
    # It shuts down, or ended this session.
    **dict.fromkeys((1053, 1927, 4031), UNREACHABLE),
    **dict.fromkeys((1047, 1158, 1159, 1160, 1161), UNREACHABLE),
    **dict.fromkeys((2002, 2003, 2006, 2013, 2014, 2055), UNREACHABLE),
}


def look_at_settings(settings: DatabaseSettings) -> Iterator[Finding]:
    """Yield what others could read on its way."""
    yield from look_at_hosts(
        [settings.url.host],
        encrypted=not settings.url.query.keys().isdisjoint(("ssl_ca", "ssl_capath", "ssl_cert")),
        hint="name in the URL who signed the server's certificate: ?ssl_ca=/etc/ssl/ca.pem",
    )


def tell_client(url: URL) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables by which a client finds the database."""
    told = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "socket": url.query.get("unix_socket"),
        "default-character-set": "utf8mb4",
    }
    options = [f"--{name}={value}" for name, value in told.items() if value]
    return [*options, url.database or "mysql"], {"MYSQL_PWD": str(url.password or "")}


def code_of(error: BaseException) -> int | None:
    """Return the number of an error, as MEANINGS may have it; None if it has none."""
    # The drivers' classes differ, but all of them begin with the number.
    number = error.args[0] if error.args and not isinstance(error, OSError) else None
    return number if type(number) is int and number > 0 else None


def replace_useless(engine: Engine) -> None:
    """Give up connections whose server takes no writes, or has hung up."""

    @event.listens_for(engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        code = code_of(context.original_exception)
        if code == _TOO_LONG or code in _READ_ONLY:
            context.is_disconnect = True
            # The other connections are as good as before.
            context.invalidate_pool_on_disconnect = code != _TOO_LONG


def room(settings: DatabaseSettings) -> str:
    """Return a query for how many connections there may be."""
    return (
        "SELECT LEAST(@@max_connections,"
        " COALESCE(NULLIF(@@max_user_connections, 0), @@max_connections))"
    )


def upsert(
    model: type[Any], key: Sequence[QueryableAttribute[Any]], changes: Mapping[str, Any]
) -> Insert:
    """Return an INSERT that makes these changes where there is a row with that key.

    MySQL looks at every unique key of the table, whichever is named.
    """
    insert = mysql.insert(model)
    values = {
        name: insert.inserted[name] if value is None else _written(model, name, value)
        for name, value in changes.items()
    }
    return insert.on_duplicate_key_update(values)


def _written(model: type[Any], name: str, value: Any) -> ColumnElement[Any]:
    """Return a value as text, because the drivers take no parameters behind VALUES."""
    column = literal(value, model.__table__.c[name].type)
    compiled = column.compile(dialect=mysql.dialect(), compile_kwargs={"literal_binds": True})
    return literal_column(str(compiled))


def drop_indexes(connection: Connection, table: Table) -> Sequence[str]:
    """Drop nothing: that would end the transaction."""
    return ()


def after_loading(table: Table) -> Sequence[Select[Any]]:
    """Return nothing: an INSERT with a number is noticed."""
    return ()


def holds(column: Any, text: str) -> ColumnElement[bool]:
    """Tell in a query whether a JSON list holds a text."""
    return func.json_contains(column, func.json_quote(text)) == 1
