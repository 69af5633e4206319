"""The database servers that a URL may name, besides files of SQLite."""

from __future__ import annotations

from .server import Server

SERVERS: dict[str, Server] = {}
