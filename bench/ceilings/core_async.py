"""SQLAlchemy Core by hand: reads on autocommit, writes in a transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ceilings import statements
from ceilings.core_sync import engine_options, reading_options, set_up
from ceilings.statements import URL, Rows
from ceilings.web import async_app
from fastapi import FastAPI
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import create_async_engine


class AsyncCore:
    async def open(self) -> None:
        self.engine = create_async_engine(URL, **engine_options())
        set_up(self.engine.sync_engine)
        self.reading = self.engine.execution_options(**reading_options(self.engine.dialect.name))

    async def close(self) -> None:
        await self.engine.dispose()

    async def get(self, id: UUID) -> Any:
        return (await self._read(statements.get(id)))[0]

    async def list(self, limit: int) -> Rows:
        return await self._read(statements.list_items(limit))

    async def insert(self, item: dict[str, Any]) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(statements.add_item(), item)

    async def page(self, limit: int) -> Rows:
        return await self._read(statements.page(limit))

    async def _read(self, statement: Select[Any]) -> Rows:
        async with self.reading.connect() as connection:
            return (await connection.execute(statement)).mappings().all()


def create_app() -> FastAPI:
    return async_app(AsyncCore())
