"""What is set for PostgreSQL, and not for other databases."""

from __future__ import annotations

from enum import StrEnum

from .server_settings import ServerSettings


class Pooler(StrEnum):
    """What stands between this service and its PostgreSQL server."""

    NONE = "none"
    PGBOUNCER = "pgbouncer"


class PostgresSettings(ServerSettings):
    """How the server is reached."""

    database_pooler: Pooler = Pooler.NONE

    def session(self, lock_timeout: float, *, for_migrations: bool) -> dict[str, str]:
        """Return what a session on the server begins with.

        A pooler lends the same session to many and refuses the rest: its role must have that.
        """
        name = {"application_name": __name__.partition(".")[0]}
        if self.database_pooler is not Pooler.NONE:
            return name
        statement_timeout = 0 if for_migrations else self.database_statement_timeout
        return {
            **name,
            "timezone": "UTC",
            "statement_timeout": f"{statement_timeout * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{statement_timeout * 1000:.0f}",
            "lock_timeout": f"{lock_timeout * 1000:.0f}",
        }
