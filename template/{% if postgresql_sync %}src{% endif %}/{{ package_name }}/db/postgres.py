"""PostgreSQL, reached through psycopg."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Dialect


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


def connect_args(
    session: dict[str, str], *, connect_timeout: int, deadline: float | None, pooled: bool
) -> dict[str, Any]:
    """Return the arguments of `connect`; see Server."""
    args = {"connect_timeout": connect_timeout, "deadline": deadline}
    if pooled:
        # What one transaction prepares, the next one may not find: its session is another.
        return {**args, **session, "prepare_threshold": None}
    return {**args, "options": " ".join(f"-c {name}={value}" for name, value in session.items())}


def connect(dialect: Dialect, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a new connection."""
    known = dict(kwargs)
    deadline = known.pop("deadline")
    connection = Connection.connect(*args, **known)
    connection.deadline = deadline
    return connection


def ping(dialect: Dialect, connection: Any, seconds: float) -> None:
    """Raise any exception if the connection does not answer in time."""
    usual, connection.deadline = connection.deadline, seconds
    dialect.do_ping(connection)
    connection.deadline = usual


def drop(connection: Any) -> None:
    """Close the connection without waiting for the server."""
    connection.close()
