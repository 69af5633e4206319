"""The engine of one application, and the sessions it hands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as new_engine

from .connections import engine_options, prepare, reading_options
from .settings import DatabaseSettings


def create_engine(settings: DatabaseSettings, *, for_migrations: bool = False) -> AsyncEngine:
    """Return an engine for these settings; it connects when first used."""
    options = engine_options(settings, for_migrations=for_migrations)
    engine = new_engine(settings.url, **options)
    prepare(engine.sync_engine, settings, for_migrations=for_migrations)
    return engine


async def run_on_connection(
    settings: DatabaseSettings,
    function: Callable[[Connection], None],
    *,
    for_migrations: bool = True,
) -> None:
    """Call a plain function with a connection of its own, as migrations or the service need it."""
    engine = create_engine(settings, for_migrations=for_migrations)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(function)
    finally:
        await engine.dispose()


class Database:
    """An engine with its two kinds of sessions: for writing, and for reading only."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.engine = create_engine(settings)
        self.sessions = self._sessions()
        self.reading_sessions: Callable[[], AsyncSession] = self._sessions(
            execution_options=reading_options(settings)
        )

    async def dispose(self) -> None:
        """Close the connections that nobody uses."""
        await self.engine.dispose()

    def _sessions(self, **options: Any) -> async_sessionmaker[AsyncSession]:
        # Entities stay readable after the commit; a closed session says so when it is used again.
        return async_sessionmaker(
            self.engine, expire_on_commit=False, close_resets_only=False, **options
        )
