"""PostgreSQL, reached through asyncpg."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect


def connect_args(
    session: dict[str, str], *, connect_timeout: int, deadline: float | None, pooled: bool
) -> dict[str, Any]:
    """Return the arguments of asyncpg.connect; see Server."""
    args = {"timeout": connect_timeout, "command_timeout": deadline, "server_settings": session}
    if pooled:
        # What one transaction prepares, the next one may not find: its session is another.
        return {**args, "statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return args


def connect(dialect: Dialect, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a new connection."""
    return dialect.connect(*args, **kwargs)


def ping(dialect: Dialect, connection: Any, seconds: float) -> None:
    """Raise any exception if the connection does not answer in time."""
    connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=seconds))


def drop(connection: Any) -> None:
    """Close the connection without waiting for the server."""
    connection.driver_connection.terminate()
