"""What the rendered service is measured against: the same paths, framework, schemas and server.

`raw` writes SQL for the driver, `core` builds it with SQLAlchemy Core. Each is as short as one
would write it by hand for these four paths, without a repository, a unit of work or error handling.
The rendered project is on the path, for its schemas and its tables.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
from fastapi import FastAPI
from psycopg.rows import dict_row
from shop.db.pages import encode_cursor
from shop.features.items.models import Item
from shop.features.items.schemas import ItemCreate, ItemRead
from shop.features.schemas import PageRead
from shop.features.tasks.models import Task
from shop.features.tasks.repository import TaskRepository
from shop.features.tasks.schemas import TaskSummary
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from uuid_utils.compat import uuid7

URL = os.environ["BENCH_URL"]
POOL = int(os.environ["DATABASE_POOL_SIZE"])
ITEM_COLUMNS = "id, name, description, created_at, updated_at"
TASK_COLUMNS = ", ".join(column.key for column in TaskRepository.read_columns)
GET = f"SELECT {ITEM_COLUMNS} FROM items WHERE id = %s"
LIST = f"SELECT {ITEM_COLUMNS} FROM items ORDER BY id LIMIT %s"
INSERT = (
    "INSERT INTO items (id, name, description, created_at, updated_at) VALUES (%s, %s, %s, %s, %s)"
)
PAGE = f"SELECT {TASK_COLUMNS} FROM tasks WHERE active ORDER BY created_at DESC, id DESC LIMIT %s"
Rows = Sequence[Mapping[str, Any]]


def new_item(body: ItemCreate) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"id": uuid7(), **body.model_dump(), "created_at": now, "updated_at": now}


def page_of(rows: Rows, limit: int, *keys: str) -> dict[str, Any]:
    items = rows[:limit]
    if len(rows) <= limit:
        return {"items": items, "next": None}
    return {"items": items, "next": encode_cursor([items[-1][key] for key in keys])}


# --- async ---------------------------------------------------------------------------------------


class Asyncpg:
    """The driver's own pool and prepared statements."""

    async def open(self) -> None:
        async def prepare(connection: asyncpg.Connection) -> None:
            await connection.set_type_codec(
                "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )

        self.pool = await asyncpg.create_pool(URL, min_size=POOL, max_size=POOL, init=prepare)

    async def close(self) -> None:
        await self.pool.close()

    async def get(self, id: UUID) -> Mapping[str, Any]:
        return dict(await self.pool.fetchrow(GET.replace("%s", "$1"), id))

    async def list(self, limit: int) -> Rows:
        return [dict(row) for row in await self.pool.fetch(LIST.replace("%s", "$1"), limit)]

    async def insert(self, item: dict[str, Any]) -> None:
        numbered = INSERT
        for number in range(1, 6):
            numbered = numbered.replace("%s", f"${number}", 1)
        await self.pool.execute(numbered, *item.values())

    async def page(self, limit: int) -> Rows:
        return [dict(row) for row in await self.pool.fetch(PAGE.replace("%s", "$1"), limit)]


class AsyncCore:
    """Reads on autocommit, writes in a transaction."""

    engine: AsyncEngine

    async def open(self) -> None:
        self.engine = create_async_engine(URL, pool_size=POOL, max_overflow=0)
        is_sqlite = self.engine.dialect.name == "sqlite"
        options = {} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self.reading = self.engine.execution_options(**options)

    async def close(self) -> None:
        await self.engine.dispose()

    async def get(self, id: UUID) -> Mapping[str, Any]:
        return (await self._rows(select(*ITEM).where(Item.id == id)))[0]

    async def list(self, limit: int) -> Rows:
        return await self._rows(select(*ITEM).order_by(Item.id).limit(limit))

    async def insert(self, item: dict[str, Any]) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(insert(Item.__table__), item)

    async def page(self, limit: int) -> Rows:
        return await self._rows(_page(limit))

    async def _rows(self, statement: Any) -> Rows:
        async with self.reading.connect() as connection:
            return (await connection.execute(statement)).mappings().all()


ITEM = [Item.__table__.c[name] for name in ITEM_COLUMNS.split(", ")]


def _page(limit: int) -> Any:
    columns = [Task.__table__.c[name] for name in TASK_COLUMNS.split(", ")]
    newest = [Task.created_at.desc(), Task.id.desc()]
    return select(*columns).where(Task.active == True).order_by(*newest).limit(limit)  # noqa: E712


# --- sync ----------------------------------------------------------------------------------------


class Psycopg:
    """Open connections in a queue; reads and writes on autocommit."""

    def open(self) -> None:
        self.free: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
        for _ in range(POOL):
            self.free.put(psycopg.connect(URL, autocommit=True, row_factory=dict_row))

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()

    def get(self, id: UUID) -> Mapping[str, Any]:
        return self._run(GET, id)[0]

    def list(self, limit: int) -> Rows:
        return self._run(LIST, limit)

    def insert(self, item: dict[str, Any]) -> None:
        self._run(INSERT, *item.values())

    def page(self, limit: int) -> Rows:
        return self._run(PAGE, limit)

    def _run(self, statement: str, *values: Any) -> Rows:
        connection = self.free.get()
        try:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
        finally:
            self.free.put(connection)


class Sqlite3:
    """Open connections in a queue, with the pragmas of the rendered service."""

    def open(self) -> None:
        self.free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for _ in range(POOL):
            connection = sqlite3.connect(
                URL.partition("///")[2], check_same_thread=False, isolation_level=None
            )
            connection.row_factory = sqlite3.Row
            for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
                connection.execute(f"PRAGMA {pragma}")
            self.free.put(connection)

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()

    def get(self, id: UUID) -> Mapping[str, Any]:
        return self._run(GET, id.hex)[0]

    def list(self, limit: int) -> Rows:
        return self._run(LIST, limit)

    def insert(self, item: dict[str, Any]) -> None:
        now = item["created_at"].strftime("%Y-%m-%d %H:%M:%S.%f")
        self._run(INSERT, item["id"].hex, item["name"], item["description"], now, now)

    def page(self, limit: int) -> Rows:
        return [row | {"tags": json.loads(row["tags"])} for row in self._run(PAGE, limit)]

    def _run(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        connection = self.free.get()
        try:
            rows = connection.execute(statement.replace("%s", "?"), values).fetchall()
            return [
                {
                    # As text these are already what JSON needs, but for the zone.
                    name: f"{row[name]}Z" if name.endswith("_at") and row[name] else row[name]
                    for name in row.keys()  # noqa: SIM118
                }
                for row in rows
            ]
        finally:
            self.free.put(connection)


class Core:
    """Reads on autocommit where that saves a round trip, writes in a transaction."""

    engine: Engine

    def open(self) -> None:
        self.engine = create_engine(URL, pool_size=POOL, max_overflow=0)
        is_sqlite = self.engine.dialect.name == "sqlite"
        options = {} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self.reading = self.engine.execution_options(**options)

    def close(self) -> None:
        self.engine.dispose()

    def get(self, id: UUID) -> Mapping[str, Any]:
        return self._rows(select(*ITEM).where(Item.id == id))[0]

    def list(self, limit: int) -> Rows:
        return self._rows(select(*ITEM).order_by(Item.id).limit(limit))

    def insert(self, item: dict[str, Any]) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(Item.__table__), item)

    def page(self, limit: int) -> Rows:
        return self._rows(_page(limit))

    def _rows(self, statement: Any) -> Rows:
        with self.reading.connect() as connection:
            return connection.execute(statement).mappings().all()


# --- the applications ----------------------------------------------------------------------------


def async_app(store: Asyncpg | AsyncCore) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/items/{item_id}", response_model=ItemRead)
    async def get(item_id: UUID) -> Any:
        return await store.get(item_id)

    @app.get("/items", response_model=PageRead[ItemRead])
    async def list_items(limit: int = 50) -> Any:
        return page_of(await store.list(limit + 1), limit, "id")

    @app.post("/items", response_model=ItemRead, status_code=201)
    async def add(body: ItemCreate) -> Any:
        item = new_item(body)
        await store.insert(item)
        return item

    @app.get("/tasks", response_model=PageRead[TaskSummary])
    async def list_tasks(limit: int = 50) -> Any:
        return page_of(await store.page(limit + 1), limit, "created_at", "id")

    return app


def sync_app(store: Psycopg | Sqlite3 | Core) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store.open()
        yield
        store.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/items/{item_id}", response_model=ItemRead)
    def get(item_id: UUID) -> Any:
        return store.get(item_id)

    @app.get("/items", response_model=PageRead[ItemRead])
    def list_items(limit: int = 50) -> Any:
        return page_of(store.list(limit + 1), limit, "id")

    @app.post("/items", response_model=ItemRead, status_code=201)
    def add(body: ItemCreate) -> Any:
        item = new_item(body)
        store.insert(item)
        return item

    @app.get("/tasks", response_model=PageRead[TaskSummary])
    def list_tasks(limit: int = 50) -> Any:
        return page_of(store.page(limit + 1), limit, "created_at", "id")

    return app


def create_asyncpg() -> FastAPI:
    return async_app(Asyncpg())


def create_async_core() -> FastAPI:
    return async_app(AsyncCore())


def create_psycopg() -> FastAPI:
    return sync_app(Psycopg())


def create_sqlite3() -> FastAPI:
    return sync_app(Sqlite3())


def create_core() -> FastAPI:
    return sync_app(Core())
