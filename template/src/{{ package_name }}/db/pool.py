"""How many connections there may be, and who holds them when none is left."""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, NullPool, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from .runtime import calling_frame
from .settings import DatabaseSettings

logger = logging.getLogger(__name__)

_DATA_LAYER = Path(__file__).parent
_PACKAGE = _DATA_LAYER.parent
# What is nobody's own code.
_LIBRARIES = (str(Path(os.__file__).parent), str(Path(sqlalchemy.__file__).parents[1]), "<")
_SHOWN = 3
# At most one explanation in so many seconds is logged: whoever waits meets the same.
_QUIET = 1.0

Place = tuple[str, int]


def pool_options(settings: DatabaseSettings) -> dict[str, Any]:
    """Return the arguments of create_engine for the pool."""
    size, overflow = _limits(settings)
    if size == 0:
        return {"poolclass": NullPool}
    return {
        "pool_size": size,
        "max_overflow": overflow,
        "pool_timeout": settings.database_pool_timeout,
    }


def most_connections(settings: DatabaseSettings) -> int:
    """Return how many connections a process may have open; 0 if that has no limit."""
    return sum(_limits(settings))


class Holders:
    """Who holds the connections of an engine, since when, and where they were taken."""

    def __init__(self, engine: Engine, settings: DatabaseSettings) -> None:
        self._address = settings.address
        self._limits = _limits(settings)
        self._held: dict[ConnectionPoolEntry, tuple[float, Place]] = {}
        self._explained_at = 0.0
        event.listen(engine, "checkout", self._take)
        event.listen(engine, "checkin", self._give_back)
        self._explain_exhaustion(engine)

    def explain(self) -> str:
        """Return what a developer wants to know when no connection is free."""
        now = time.monotonic()
        longest = sorted(self._held.values())[:_SHOWN]
        places = [f"{_shorten(*place)} for {now - since:.1f} s" for since, place in longest]
        size, overflow = self._limits
        return (
            f"the pool of {self._address} is exhausted: all of its {size} connections are in use,"
            f" and {overflow} more; held longest, where they were taken: {', '.join(places)}"
        )

    def _explain_exhaustion(self, engine: Engine) -> None:
        # No event tells that somebody waited in vain.
        connect = engine.raw_connection

        def raw_connection() -> PoolProxiedConnection:
            try:
                return connect()
            except exc.TimeoutError as error:
                error.add_note(self.explain())
                self._log(error)
                raise

        engine.raw_connection = raw_connection  # type: ignore[method-assign]

    def _log(self, error: exc.TimeoutError) -> None:
        if time.monotonic() - self._explained_at > _QUIET:
            self._explained_at = time.monotonic()
            logger.warning("%s", error.__notes__[-1])

    def _take(self, connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        self._held[record] = time.monotonic(), _place_of_caller()

    def _give_back(self, connection: Any, record: ConnectionPoolEntry) -> None:
        self._held.pop(record, None)


def _limits(settings: DatabaseSettings) -> tuple[int, int]:
    """Return how many connections are kept open, and how many more may be."""
    size, overflow = settings.pools[settings.environment]
    if settings.database_pool_size is not None:
        size = settings.database_pool_size
    if settings.database_max_overflow is not None:
        overflow = settings.database_max_overflow
    return (size, overflow) if size else (0, 0)


def _place_of_caller() -> Place:
    """Return the innermost line that is neither the data layer's nor a library's."""
    frame = calling_frame()
    while frame is not None:
        if _is_a_callers(file := frame.f_code.co_filename):
            return file, frame.f_lineno
        frame = frame.f_back
    return "unknown", 0


@cache
def _is_a_callers(file: str) -> bool:
    is_ours = file.startswith(str(_PACKAGE))
    return not file.startswith(str(_DATA_LAYER) if is_ours else _LIBRARIES)


def _shorten(file: str, line: int) -> str:
    path = Path(file)
    shown = path.relative_to(_PACKAGE.parent) if path.is_relative_to(_PACKAGE) else path
    return f"{shown}:{line}"
