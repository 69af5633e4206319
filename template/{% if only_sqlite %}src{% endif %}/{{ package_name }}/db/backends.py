"""The databases that a URL may name."""

from __future__ import annotations

from pydantic_settings import BaseSettings as BackendSettings

from . import sqlite, sqlite_language
from .backend import Connector, Language
from .url import read_url

__all__ = ["ALIASES", "CONNECTORS", "LANGUAGES", "BackendSettings", "read_url"]

ALIASES: dict[str, str] = {}
CONNECTORS: dict[str, Connector] = {"sqlite": sqlite}
LANGUAGES: dict[str, Language] = {"sqlite": sqlite_language}
