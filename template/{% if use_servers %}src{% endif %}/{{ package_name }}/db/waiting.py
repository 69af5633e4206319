"""Never waits for long for a server that died or hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from .errors import UnavailableError


def bound_waiting(
    engine: Engine, ping: Callable[[Dialect, Any], object], drop: Callable[[Any], object]
) -> None:
    """Give up on connections that died or hang; SQLAlchemy's own test of them would wait on.

    `ping` raises any exception if a connection does not answer in time, and `drop` closes one
    without waiting for the server.
    """

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        if "used" not in record.info:
            record.info["used"] = True
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
            raise UnavailableError("The database cannot be reached.")

    @event.listens_for(engine, "close")
    def close(connection: Any, record: ConnectionPoolEntry) -> None:
        # Nothing is under way on an idle one, so that there is nothing to wait for.
        if not record.in_use:
            drop(connection)
