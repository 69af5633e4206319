"""The databases that a URL may name."""

from __future__ import annotations

from . import mysql, mysql_language, sqlite, sqlite_language
from .backend import Connector, Language
from .server_settings import ServerSettings as BackendSettings
from .url import read_url

__all__ = ["ALIASES", "CONNECTORS", "LANGUAGES", "BackendSettings", "read_url"]

# One dialect for both, so that a schema does not depend on which name the URL uses.
ALIASES = {"mariadb": "mysql"}
CONNECTORS: dict[str, Connector] = {"sqlite": sqlite, "mysql": mysql}
LANGUAGES: dict[str, Language] = {"sqlite": sqlite_language, "mysql": mysql_language}
