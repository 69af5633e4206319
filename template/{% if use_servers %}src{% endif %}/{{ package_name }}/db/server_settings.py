"""What is set for a database server, and not for a file."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class ServerSettings(BaseSettings):
    """How long this service waits for its server; times are in seconds."""

    database_connect_timeout: int = Field(default=5, ge=1)
    database_statement_timeout: float = Field(default=30, gt=0)

    @property
    def deadline(self) -> float:
        """When to give up on a server that does not even end a statement that takes too long."""
        return self.database_statement_timeout + self.database_connect_timeout
