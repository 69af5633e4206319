"""What of a database is observed."""

from __future__ import annotations

from sqlalchemy import Engine

from .engine import Database


def engines_of(database: Database) -> list[tuple[str, Engine]]:
    """Return the engine of a database, with the role of its server."""
    return [("primary", database.engine)]
