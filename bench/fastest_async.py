"""The fastest way in that the async drivers have."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine


async def insert_fastest(engine: AsyncEngine, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    if engine.dialect.name == "postgresql":
        async with engine.begin() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            records = [tuple(row.values()) for row in rows]
            await driver.copy_records_to_table("items", columns=names, records=records)
        return
    statement = f"INSERT INTO items ({', '.join(names)}) VALUES (?, ?, ?, ?, ?)"
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.execute("BEGIN IMMEDIATE")
        await driver.executemany(statement, [as_text(row) for row in rows])
        await driver.commit()


def as_text(row: dict[str, Any]) -> tuple[object, ...]:
    """Return what SQLite stores of a row."""
    moment = row["created_at"].replace(tzinfo=None).isoformat(sep=" ")
    return tuple((row | {"id": row["id"].hex, "created_at": moment, "updated_at": moment}).values())
