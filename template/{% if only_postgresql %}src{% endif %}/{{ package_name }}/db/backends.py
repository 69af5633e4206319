"""The databases that a URL may name."""

from __future__ import annotations

from . import postgres, postgres_language, sqlite, sqlite_language
from .backend import Connector, Language
from .postgres_hosts import read_url
from .postgres_settings import PostgresSettings as BackendSettings

__all__ = ["ALIASES", "CONNECTORS", "LANGUAGES", "BackendSettings", "read_url"]

# YugabyteDB speaks PostgreSQL's dialect, CockroachDB one of its own.
ALIASES = {"postgres": "postgresql", "yugabytedb": "postgresql"}
CONNECTORS: dict[str, Connector] = {
    "sqlite": sqlite,
    "postgresql": postgres,
    "cockroachdb": postgres,
}
LANGUAGES: dict[str, Language] = {
    "sqlite": sqlite_language,
    "postgresql": postgres_language,
    "cockroachdb": postgres_language,
}
