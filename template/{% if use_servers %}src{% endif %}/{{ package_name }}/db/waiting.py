"""Never waits for long for a server that died or hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from .errors import UnreachableError

_IDLE_SINCE = "idle_since"
# A test is a round trip: a connection that was in use so few seconds ago needs none.
_TRUSTED = 1.0


def bound_waiting(
    engine: Engine,
    ping: Callable[[Dialect, Any], object],
    drop: Callable[[Any], object],
    seems_open: Callable[[Any], bool],
) -> None:
    """Give up on connections that died or hang; SQLAlchemy's own test of them would wait on.

    `ping` raises any exception if a connection does not answer in time, `drop` closes one without
    waiting for the server, and `seems_open` tells what is known without asking the server.
    """

    @event.listens_for(engine, "checkin")
    def note(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        idle_since = record.info.get(_IDLE_SINCE)
        if idle_since is None:  # a new connection
            return
        if time.monotonic() - idle_since < _TRUSTED and seems_open(connection):
            return
        try:
            ping(engine.dialect, connection)
        except BaseException as error:
            drop(connection)
            if isinstance(error, Exception):
                raise InvalidatePoolError("the connection does not answer") from error
            raise

    @event.listens_for(engine, "handle_error")
    def give_up(context: ExceptionContext) -> None:
        # A broken socket, or an answer that never came: not every driver makes it a database error.
        if isinstance(context.original_exception, OSError) and context.connection:
            drop(context.connection.connection.dbapi_connection)
            context.is_disconnect = True
            raise UnreachableError("The database cannot be reached.")

    @event.listens_for(engine, "close")
    def close(connection: Any, record: ConnectionPoolEntry) -> None:
        # Nothing is under way on an idle one, so that there is nothing to wait for.
        if not record.in_use:
            drop(connection)
