"""The four paths on FastAPI, over a store that is handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from ceilings.statements import Rows, new_item, page_of
from fastapi import FastAPI
from shop.features.items.schemas import ItemCreate, ItemRead
from shop.features.schemas import PageRead
from shop.features.tasks.schemas import TaskSummary


class AsyncStore(Protocol):
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def get(self, id: UUID) -> Any: ...
    async def list(self, limit: int) -> Rows: ...
    async def insert(self, item: dict[str, Any]) -> None: ...
    async def page(self, limit: int) -> Rows: ...


class Store(Protocol):
    def open(self) -> None: ...
    def close(self) -> None: ...
    def get(self, id: UUID) -> Any: ...
    def list(self, limit: int) -> Rows: ...
    def insert(self, item: dict[str, Any]) -> None: ...
    def page(self, limit: int) -> Rows: ...


def async_app(store: AsyncStore) -> FastAPI:
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


def sync_app(store: Store) -> FastAPI:
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
