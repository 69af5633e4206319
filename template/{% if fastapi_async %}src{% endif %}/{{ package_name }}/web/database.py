"""How the event loop waits for the database."""

from __future__ import annotations

import asyncio

from ..db.engine import Database
from ..db.errors import UnavailableError
from ..db.health import current_heads


async def probe(database: Database, seconds: float) -> frozenset[str]:
    """Return the schema's revisions; raises UnavailableError, after `seconds` at the latest."""
    try:
        async with asyncio.timeout(seconds):
            return await current_heads(database)
    except TimeoutError:
        raise UnavailableError(f"The database did not answer within {seconds:g} s.") from None


async def close(database: Database) -> None:
    """Close the connections when the application ends."""
    await database.dispose()
