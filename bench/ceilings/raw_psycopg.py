"""psycopg by hand: open connections in a queue, on autocommit, for reads and for writes."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any
from uuid import UUID

import psycopg
from ceilings.statements import GET, INSERT, LIST, PAGE, POOL, URL, Rows
from ceilings.web import sync_app
from fastapi import FastAPI
from psycopg.rows import dict_row


class Psycopg:
    def open(self) -> None:
        self.free: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
        for _ in range(POOL):
            connection = psycopg.connect(
                URL, autocommit=True, row_factory=dict_row, connect_timeout=10
            )
            self.free.put(connection)

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()

    def get(self, id: UUID) -> Any:
        return self._run(GET, id)[0]

    def list(self, limit: int) -> Rows:
        return self._run(LIST, limit)

    def insert(self, item: dict[str, Any]) -> None:
        self._run(INSERT, *item.values())

    def page(self, limit: int) -> Rows:
        return self._run(PAGE, limit)

    def _run(self, statement: str, *values: Any) -> Rows:
        connection = self.free.get(timeout=10)
        try:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
        finally:
            self.free.put(connection)


def create_app() -> FastAPI:
    return sync_app(Psycopg())
