"""The databases that a URL may name."""

from __future__ import annotations

from . import mysql, mysql_language, postgres, postgres_language, sqlite, sqlite_language
from .backend import Connector, Language
from .postgres_hosts import read_url
from .postgres_settings import PostgresSettings as BackendSettings

__all__ = ["ALIASES", "CONNECTORS", "LANGUAGES", "BackendSettings", "read_url"]

# MySQL and MariaDB have one dialect, so that a schema does not depend on which name the URL uses.
# YugabyteDB speaks PostgreSQL's dialect, CockroachDB one of its own.
ALIASES = {"postgres": "postgresql", "yugabytedb": "postgresql", "mariadb": "mysql"}
CONNECTORS: dict[str, Connector] = {
    "sqlite": sqlite,
    "postgresql": postgres,
    "cockroachdb": postgres,
    "mysql": mysql,
}
# In the order of asking whose an error is: those of MySQL have an SQLSTATE beside their number.
LANGUAGES: dict[str, Language] = {
    "sqlite": sqlite_language,
    "mysql": mysql_language,
    "postgresql": postgres_language,
    "cockroachdb": postgres_language,
}
