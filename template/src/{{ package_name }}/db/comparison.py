"""What the models have and the database lacks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, inspect

from .base import Base


def missing_columns(connection: Connection) -> Sequence[str]:
    """Return the tables and columns of the models that the database has not."""
    missing: list[str] = []
    found = inspect(connection)
    tables = found.get_table_names()
    for table in Base.metadata.sorted_tables:
        if table.name not in tables:
            missing.append(table.name)
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        missing.extend(str(column) for column in table.columns if column.name not in there)
    return missing
