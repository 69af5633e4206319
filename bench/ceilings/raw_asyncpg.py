"""asyncpg by hand: its own pool, its prepared statements, rows as it makes them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from ceilings.statements import GET, INSERT, LIST, PAGE, POOL, URL, Rows
from ceilings.web import async_app
from fastapi import FastAPI


def _numbered(statement: str) -> str:
    numbers = itertools.count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", statement)


class Asyncpg:
    get_statement, list_statement = _numbered(GET), _numbered(LIST)
    insert_statement, page_statement = _numbered(INSERT), _numbered(PAGE)

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(
            URL, min_size=POOL, max_size=POOL, init=_read_json, timeout=10
        )

    async def close(self) -> None:
        await self.pool.close()

    async def get(self, id: UUID) -> Mapping[str, Any]:
        return dict(await self.pool.fetchrow(self.get_statement, id))

    async def list(self, limit: int) -> Rows:
        return [dict(row) for row in await self.pool.fetch(self.list_statement, limit)]

    async def insert(self, item: dict[str, Any]) -> None:
        await self.pool.execute(self.insert_statement, *item.values())

    async def page(self, limit: int) -> Rows:
        return [dict(row) for row in await self.pool.fetch(self.page_statement, limit)]


async def _read_json(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )


def create_app() -> FastAPI:
    return async_app(Asyncpg())
