"""What the models have and the database lacks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, inspect

from .base import Base
from .engine import run_on_connection
from .reading import READ_ONLY
from .runtime import run
from .settings import DatabaseSettings


def missing_columns(settings: DatabaseSettings) -> Sequence[str]:
    """Return the tables and columns of the models that the database has not."""
    missing: list[str] = []

    def look(connection: Connection) -> None:
        connection.execution_options(**{READ_ONLY: True})
        found = inspect(connection)
        tables = found.get_table_names()
        for table in Base.metadata.sorted_tables:
            if table.name not in tables:
                missing.append(table.name)
                continue
            there = {column["name"] for column in found.get_columns(table.name)}
            missing.extend(str(column) for column in table.columns if column.name not in there)

    run(run_on_connection, settings, look)
    return missing
