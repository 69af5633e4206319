"""What of a database is observed."""

from __future__ import annotations

from sqlalchemy import Engine

from .engine import Database
from .metrics import EngineMetrics, observe_retries


def observe(database: Database) -> None:
    """Count and time what the database does, by the role of each server."""
    for engine in engines_of(database):
        EngineMetrics(engine, "primary")
    observe_retries()


def engines_of(database: Database) -> list[Engine]:
    """Return all engines of a database."""
    return [database.engine.sync_engine]
