"""What of a database is observed."""

from __future__ import annotations

from sqlalchemy import Engine

from .engine import Database


def engines_of(database: Database) -> list[tuple[str, Engine]]:
    """Return all engines of a database, each with the role of its server."""
    replicas = [("replica", replica.engine) for replica in database.replicas]
    return [("primary", database.engine), *replicas]
