"""sqlite3 by hand, in the thread pool: open connections in a queue, on autocommit."""

from __future__ import annotations

import json
import sqlite3
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from ceilings.statements import GET, INSERT, LIST, PAGE, POOL, URL, Rows
from ceilings.web import sync_app
from fastapi import FastAPI

PRAGMAS = ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL")


class Sqlite3:
    def open(self) -> None:
        self.free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for _ in range(POOL):
            connection = sqlite3.connect(
                URL.partition("///")[2], check_same_thread=False, isolation_level=None, timeout=10
            )
            connection.row_factory = sqlite3.Row
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            self.free.put(connection)

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()

    def get(self, id: UUID) -> Any:
        return _json_of(self._run(GET, id.hex)[0])

    def list(self, limit: int) -> Rows:
        return [_json_of(row) for row in self._run(LIST, limit)]

    def insert(self, item: dict[str, Any]) -> None:
        moment = item["created_at"].replace(tzinfo=None).isoformat(sep=" ")
        values = item | {"id": item["id"].hex, "created_at": moment, "updated_at": moment}
        self._run(INSERT, *values.values())

    def page(self, limit: int) -> Rows:
        rows = self._run(PAGE, limit)
        return [_json_of(row) | {"tags": json.loads(row["tags"])} for row in rows]

    def _run(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        connection = self.free.get(timeout=10)
        try:
            return connection.execute(statement.replace("%s", "?"), values).fetchall()
        finally:
            self.free.put(connection)


def _json_of(row: sqlite3.Row) -> dict[str, Any]:
    """Return the row for its schema, which reads text: of a moment only the zone is missing."""
    return {
        name: f"{value}Z" if value and name.endswith("_at") else value
        for name, value in zip(row.keys(), row, strict=True)
    }


def create_app() -> FastAPI:
    return sync_app(Sqlite3())
