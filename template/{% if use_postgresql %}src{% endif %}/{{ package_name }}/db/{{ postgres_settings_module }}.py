"""What is set for PostgreSQL, and not for other databases."""

from __future__ import annotations

from enum import StrEnum

from pydantic import SecretStr, field_validator
from sqlalchemy import URL

from .errors import DataLayerError
from .postgres_hosts import read_url
from .prefix import PREFIX
from .server_settings import ServerSettings

# The lock of who migrates belongs to a session, which a pooler would lend to others with it.
_NOT_DIRECT = (
    f"Migrations cannot go through a pooler: name the server itself in {PREFIX}DATABASE_DIRECT_URL."
)


class Pooler(StrEnum):
    """What stands between this service and its PostgreSQL server."""

    NONE = "none"
    PGBOUNCER = "pgbouncer"


class PostgresSettings(ServerSettings):
    """How the server is reached."""

    database_pooler: Pooler = Pooler.NONE
    database_direct_url: SecretStr | None = None

    @property
    def direct_url(self) -> URL | None:
        """The URL of the server itself where a pooler stands before it; migrations need it."""
        text = self.database_direct_url
        return None if text is None else read_url(text.get_secret_value())

    @field_validator("database_direct_url")
    @classmethod
    def _check_direct_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not read_url(value.get_secret_value()).drivername.startswith("postgres"):
            raise ValueError("is not the URL of a PostgreSQL server")
        return value

    def session(self, lock_timeout: float, *, for_migrations: bool) -> dict[str, str]:
        """Return what a session on the server begins with.

        A pooler lends the same session to many and refuses the rest: its role must have that.
        Raises DataLayerError for migrations through a pooler.
        """
        name = {"application_name": __name__.partition(".")[0]}
        is_direct = for_migrations and self.database_direct_url is not None
        if self.database_pooler is not Pooler.NONE and not is_direct:
            if for_migrations:
                raise DataLayerError(_NOT_DIRECT)
            return name
        statement_timeout = 0 if for_migrations else self.database_statement_timeout
        return {
            **name,
            "timezone": "UTC",
            "statement_timeout": f"{statement_timeout * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{statement_timeout * 1000:.0f}",
            "lock_timeout": f"{lock_timeout * 1000:.0f}",
        }
