"""What the module of a database server offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Dialect, Table


class Server(Protocol):
    """How a driver is told what is wanted of a connection; times are in seconds."""

    # Types of ours for which the driver takes and gives what the service sees, or its equal.
    NATIVE: tuple[type[Any], ...]
    # The execution options of a connection that sees the database as of one moment.
    SNAPSHOT: dict[str, Any]

    def connect_args(
        self, session: dict[str, str], *, connect_timeout: int, deadline: float | None, pooled: bool
    ) -> dict[str, Any]:
        """Return the arguments of a connection that begins with these values of its session.

        It gives up on an answer after the deadline. If `pooled`, it shares sessions with others.
        """

    def connect(self, dialect: Dialect, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a new connection."""

    def ping(self, dialect: Dialect, connection: Any, seconds: float) -> None:
        """Raise any exception if the connection does not answer in time."""

    def drop(self, connection: Any) -> None:
        """Close the connection without waiting for the server."""

    def load(self, connection: Any, table: Table, names: Sequence[str], batches: Any) -> Any:
        """Store rows in these columns, and let the numbers go on after them."""
