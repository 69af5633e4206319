"""Calls at once, as tasks of one event loop, and a database with a pool as in production."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from shop.db.engine import Database
from shop.db.settings import Environment
from shop.settings import Settings


async def at_once(function: Callable[[], Awaitable[None]], times: int) -> None:
    """Call the function so many times at once; the first error comes through."""
    async with asyncio.TaskGroup() as group:
        for _ in range(times):
            group.create_task(function())  # type: ignore[arg-type]


def pooled(settings: Settings, **changes: Any) -> Database:
    """Return the database as production opens it, but patient on a busy machine."""
    patient = {"environment": Environment.PRODUCTION, "database_lock_timeout": 60.0}
    return Database(settings.model_copy(update=patient | changes))
