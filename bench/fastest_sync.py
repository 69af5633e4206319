"""The fastest way in that the sync drivers have."""

from __future__ import annotations

from typing import Any

from fastest_async import as_text
from sqlalchemy import Engine

TYPES = {
    "id": "uuid",
    "name": "varchar",
    "description": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}


def insert_fastest(engine: Engine, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            into = f"COPY items ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
            with driver.cursor() as cursor, cursor.copy(into) as stream:
                stream.set_types([TYPES[name] for name in names])
                for row in rows:
                    stream.write_row(tuple(row.values()))
        return
    statement = f"INSERT INTO items ({', '.join(names)}) VALUES (?, ?, ?, ?, ?)"
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute("BEGIN IMMEDIATE")
        driver.executemany(statement, [as_text(row) for row in rows])
        driver.commit()
