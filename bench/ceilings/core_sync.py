"""SQLAlchemy Core by hand, for sync sessions: reads on autocommit, writes in a transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ceilings import statements
from ceilings.statements import POOL, URL, Rows
from ceilings.web import sync_app
from fastapi import FastAPI
from sqlalchemy import Engine, Select, create_engine, event


def engine_options() -> dict[str, Any]:
    return {"pool_size": POOL, "max_overflow": 0}


def reading_options(dialect: str) -> dict[str, Any]:
    # On SQLite a transaction that reads costs no round trip, and this option costs two statements.
    return {} if dialect == "sqlite" else {"isolation_level": "AUTOCOMMIT"}


def set_up(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


class Core:
    def open(self) -> None:
        self.engine = create_engine(URL, **engine_options())
        set_up(self.engine)
        self.reading = self.engine.execution_options(**reading_options(self.engine.dialect.name))

    def close(self) -> None:
        self.engine.dispose()

    def get(self, id: UUID) -> Any:
        return self._read(statements.get(id))[0]

    def list(self, limit: int) -> Rows:
        return self._read(statements.list_items(limit))

    def insert(self, item: dict[str, Any]) -> None:
        with self.engine.begin() as connection:
            connection.execute(statements.add_item(), item)

    def page(self, limit: int) -> Rows:
        return self._read(statements.page(limit))

    def _read(self, statement: Select[Any]) -> Rows:
        with self.reading.connect() as connection:
            return connection.execute(statement).mappings().all()


def create_app() -> FastAPI:
    return sync_app(Core())
