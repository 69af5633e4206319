"""The database servers that a URL may name, besides files of SQLite."""

from __future__ import annotations

from . import postgres
from .server import Server

SERVERS: dict[str, Server] = {"postgresql": postgres}
