"""What is set for PostgreSQL with replicas, and not for other databases."""

from __future__ import annotations

import re
from typing import Self

from pydantic import SecretStr, model_validator

from .pooler_settings import Pooler
from .pooler_settings import PostgresSettings as PrimarySettings
from .postgres_hosts import read_url

__all__ = ["Pooler", "PostgresSettings"]


class PostgresSettings(PrimarySettings):
    """How the server and its replicas are reached."""

    database_url: SecretStr
    database_replica_url: SecretStr | None = None

    @property
    def replica_urls(self) -> list[SecretStr]:
        """The URL of each replica; a comma stands between two."""
        if self.database_replica_url is None:
            return []
        texts = re.split(r",\s*(?=[\w+]+://)", self.database_replica_url.get_secret_value())
        return [SecretStr(text.strip()) for text in texts]

    @model_validator(mode="after")
    def _check_replicas(self) -> Self:
        for url in self.replica_urls:
            if problem := _problem_of(url.get_secret_value()):
                raise ValueError(f"database_replica_url: {problem}")
        is_postgresql = self.database_url.get_secret_value().startswith("postgres")
        if self.replica_urls and not is_postgresql:
            raise ValueError("database_replica_url: the primary is no PostgreSQL, so unset this")
        return self


def _problem_of(text: str) -> str | None:
    try:
        url = read_url(text)
    except ValueError as error:
        return str(error)
    if not url.drivername.startswith("postgres"):
        return "only PostgreSQL has replicas that are read"
    if len(url.normalized_query.get("host", ())) > 1:
        return "give each replica a URL of its own, with commas between them"
    return None
