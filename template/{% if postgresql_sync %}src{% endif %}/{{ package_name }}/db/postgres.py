"""PostgreSQL, reached through psycopg."""

from __future__ import annotations

import re
import select
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import uuid_utils
from psycopg import adapters
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb
from psycopg.types.uuid import UUIDDumper
from sqlalchemy import Connection as SQLAlchemyConnection
from sqlalchemy import Dialect, Engine, Table, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from .backend import INTO, Copy
from .postgres_hosts import REACHED, Hosts, arguments_of, most_telling
from .postgres_language import has_policies, replace_useless
from .postgres_settings import Pooler
from .waiting import bound_waiting

if TYPE_CHECKING:
    from .settings import DatabaseSettings

DRIVER = "psycopg"
RECYCLE = -1

_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)

# What the driver writes in binary form as it is; a number too large for its column it would cut.
_EXACT: dict[str, set[type[Any]]] = {
    "bool": {bool},
    "bytea": {bytes},
    "float8": {float},
    "int4": {int},
    "int8": {int},
    "jsonb": {Jsonb},
    "numeric": {Decimal},
    "text": {str},
    "timestamptz": {datetime},
    "uuid": {UUID, uuid_utils.UUID},
    "varchar": {str},
}
_KINDS = {adapters.types[name].oid: kinds for name, kinds in _EXACT.items()}
adapters.register_dumper(uuid_utils.UUID, UUIDDumper)
_INT4, _RANGE = adapters.types["int4"].oid, range(-(1 << 31), 1 << 31)

# Of a login that was refused libpq has no code, only what the server said, in its language.
_REFUSALS = {
    "3D000": re.compile(r"FATAL: +database .* does not exist"),
    "28P01": re.compile(r"FATAL: +password authentication failed"),
}


class Connection(psycopg.Connection[Any]):
    """A connection that does not wait forever for an answer."""

    deadline: float | None = None

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Raise OperationalError once the deadline is over."""
        try:
            return super().wait(*args, **{"timeout": self.deadline, **kwargs})
        except psycopg.OperationalError as error:
            # Without a code it is not the server's error: an answer may still be on its way.
            if error.sqlstate is None:
                self.close()
            raise


def connect_args(settings: DatabaseSettings, *, for_migrations: bool) -> dict[str, Any]:
    """Return the arguments of `connect`."""
    session = settings.session(settings.database_lock_timeout, for_migrations=for_migrations)
    direct = settings.direct_url if for_migrations else None
    url = direct or settings.url
    args = {
        "connect_timeout": settings.database_connect_timeout,
        "deadline": None if for_migrations else settings.deadline,
        "hosts": Hosts(url),
        **arguments_of(direct, DRIVER),
    }
    if settings.database_pooler is Pooler.NONE or direct is not None:
        options = [f"-c {name}={value}" for name, value in session.items()]
        return {**args, "options": " ".join([*options, *url.normalized_query.get("options", ())])}
    # What one transaction prepares, the next one may not find: its session is another.
    return {**args, **session, "prepare_threshold": None}


def connect(
    dialect: Dialect,
    record: ConnectionPoolEntry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    for_migrations: bool,
) -> Any:
    """Return a new connection, to the first server that can be used."""
    known = dict(kwargs)
    deadline, hosts = known.pop("deadline"), known.pop("hosts")
    errors: list[Exception] = []
    for place in hosts.places():
        try:
            connection = Connection.connect(*args, **{**known, **place})
        except psycopg.OperationalError as error:
            codes = [code for code, words in _REFUSALS.items() if words.search(str(error))]
            error.sqlstate = codes[0] if codes else None
            errors.append(error)
            continue
        connection.deadline = deadline
        hosts.prefer(place)
        record.info[REACHED] = hosts, place
        return connection
    raise most_telling(errors)


def open_cursor(connection: Any) -> Any:
    """Return a cursor that leaves its rows with the server until they are fetched."""
    return connection.cursor("rows", binary=True)


def prepare(engine: Engine, settings: DatabaseSettings) -> None:
    """Give up connections that hang, died or became useless."""

    def ping(dialect: Dialect, connection: Any) -> None:
        usual, connection.deadline = connection.deadline, settings.database_connect_timeout
        dialect.do_ping(connection)
        connection.deadline = usual

    @event.listens_for(engine, "reset")
    def roll_back(connection: Any, record: ConnectionPoolEntry, state: PoolResetState) -> None:
        # After a COMMIT that failed, SQLAlchemy takes the transaction for ended.
        status = connection.info.transaction_status
        if status in _IN_TRANSACTION and not state.terminate_only:
            connection.rollback()

    bound_waiting(engine, ping, lambda connection: connection.close(), _seems_open)
    replace_useless(engine)
    dialect = engine.dialect
    dialect.do_executemany = partial(_send, dialect.do_executemany)  # type: ignore[method-assign]


def _seems_open(connection: Any) -> bool:
    # What a server says unasked is that it ended the connection.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def copy(
    connection: SQLAlchemyConnection,
    table: Table,
    names: Sequence[str],
    batches: Iterator[list[tuple[Any, ...]]],
) -> None:
    """Store rows with these columns, in the connection's transaction."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        into, types = _into(cursor, table, names)
        _write(cursor, into, types, (row for rows in batches for row in rows))


def _send(usual: Any, cursor: Any, statement: str, rows: Any, context: Any) -> None:
    """Send rows, by a COPY where there is one that does the same."""
    table, names = context.execution_options.get(INTO, (None, ()))
    if table is None or has_policies(context.root_connection, table):
        usual(cursor, statement, rows, context)
        return
    into, types = _into(cursor, table, names)
    columns = zip(types, zip(*rows, strict=True), strict=True)
    # The server converts what is text, which takes longer.
    is_exact = all(_are_exact(code, values) for code, values in columns)
    _write(cursor, into, types if is_exact else None, rows)


def _into(cursor: Any, table: Table, names: Sequence[str]) -> tuple[Composed, Sequence[int]]:
    """Return a COPY into these columns, and their types."""
    where = Identifier(*filter(None, (table.schema, table.name)))
    columns = SQL(", ").join(map(Identifier, names))
    cursor.execute(SQL("SELECT {} FROM {} LIMIT 0").format(columns, where))
    types = [column.type_code for column in cursor.description]
    return SQL("COPY {} ({}) FROM STDIN").format(where, columns), types


def _write(cursor: Any, into: Composed, types: Sequence[int] | None, rows: Iterable[Any]) -> None:
    with cursor.copy(into + SQL(" (FORMAT BINARY)") if types else into) as stream:
        if types:
            stream.set_types(types)
        for row in rows:
            stream.write_row(row)


def _are_exact(code: int, column: Sequence[Any]) -> bool:
    """Tell whether values are of their column's type, so that nobody need convert them."""
    values = [value for value in column if value is not None]
    if not _KINDS.get(code, set()).issuperset(map(type, values)):
        return False
    if code == _INT4 and values:
        return min(values) in _RANGE and max(values) in _RANGE
    return all(one.tzinfo for one in values if isinstance(one, datetime))


COPY: Copy | None = copy
