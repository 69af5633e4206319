"""Calls at once, in threads, and a database with a pool as in production."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shop.db.engine import Database
from shop.db.settings import Environment
from shop.settings import Settings


def at_once(function: Callable[[], None], times: int) -> None:
    """Call the function so many times at once; the first error comes through."""
    with ThreadPoolExecutor(times) as threads:
        for call in [threads.submit(function) for _ in range(times)]:
            call.result()


def pooled(settings: Settings, **changes: Any) -> Database:
    """Return the database as production opens it, but patient on a busy machine."""
    patient = {"environment": Environment.PRODUCTION, "database_lock_timeout": 60.0}
    return Database(settings.model_copy(update=patient | changes))
