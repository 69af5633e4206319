"""Whether the database can be used by this version of the service."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from .engine import Database
from .errors import SchemaBehindError
from .settings import DatabaseSettings
from .translation import translate


def current_heads(database: Database) -> frozenset[str]:
    """Return the revisions that the schema is at, none if never migrated; raises UnavailableError.

    Reads only, so it never waits for a writer.
    """
    try:
        with database.reading_sessions() as session:
            rows = session.scalars(text("SELECT version_num FROM alembic_version"))
            return frozenset(rows)
    except SQLAlchemyError as error:
        problem = translate(error)
        if isinstance(problem, SchemaBehindError):
            return frozenset()
        raise problem or error from error


def read_heads(settings: DatabaseSettings) -> frozenset[str]:
    """Return what current_heads does, for a process that has no database open."""
    database = Database(settings)
    try:
        return current_heads(database)
    finally:
        database.dispose()
