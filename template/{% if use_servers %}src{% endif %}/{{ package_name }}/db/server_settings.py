"""What is set for a database server, and not for a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field
from pydantic_settings import BaseSettings

from .findings import Finding

_HERE = ("localhost", "::1", "127.", "/")


class ServerSettings(BaseSettings):
    """How long this service waits for its server; times are in seconds."""

    database_connect_timeout: int = Field(default=5, ge=1)
    database_statement_timeout: float = Field(default=30, gt=0)

    @property
    def deadline(self) -> float:
        """When to give up on a server that does not even end a statement that takes too long."""
        return self.database_statement_timeout + self.database_connect_timeout


def look_at_hosts(hosts: Sequence[str | None], *, encrypted: bool, hint: str) -> Iterator[Finding]:
    """Yield which of them are reached over a network that others may listen to."""
    away = [host for host in hosts if host and not host.startswith(_HERE)]
    if away and not encrypted:
        yield Finding("warning", "S003", f"nothing encrypts the way to {', '.join(away)}", hint)
