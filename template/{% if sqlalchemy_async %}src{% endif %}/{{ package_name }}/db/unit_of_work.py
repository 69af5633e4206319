"""One transaction: everything in the block is stored, or nothing is."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Executable, Result
from sqlalchemy.ext.asyncio import AsyncSession

from .engine import Database
from .errors import OutcomeUnknownError, ReadOnlyError, UnreachableError
from .translation import translate

logger = logging.getLogger(__name__)

LOST = "The connection was lost during the commit: the change is stored, or it is not."


class UnitOfWork:
    """A session and its transaction; leaving the block commits, an exception rolls back.

    One object serves one block at a time and any number of blocks one after another. An error of
    the database leaves the block as one of `errors`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._session: AsyncSession | None = None
        self._after_commit: list[Callable[[], Awaitable[None]]] = []

    @property
    def session(self) -> AsyncSession:
        """The open session; repositories work on it."""
        if self._session is None:
            raise RuntimeError("this unit of work is not open: use `async with`")
        return self._session

    async def __aenter__(self) -> Self:
        self._open(self.database.sessions)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.commit()
            else:
                await self._roll_back_quietly()
        finally:
            await self._close()
        if error is not None:
            _raise_translated(error)

    @asynccontextmanager
    async def read_only(self) -> AsyncIterator[Self]:
        """Open a block that only reads: no lock, no commit, and a write in it is an error."""
        session = self._open(self.database.reading_sessions)
        try:
            yield self
            if session.new or session.dirty or session.deleted:
                raise ReadOnlyError("This unit of work only reads: a change in it is not stored.")
        except Exception as error:
            _raise_translated(error)
            raise
        finally:
            await self._close()

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Result[Any]:
        """Send a statement as it is written, in the same transaction."""
        return await self.session.execute(statement, parameters)

    async def flush(self) -> None:
        """Send the pending changes now, so that the database's objections come here."""
        try:
            await self.session.flush()
        except Exception as error:
            _raise_translated(error)
            raise

    async def commit(self) -> None:
        """Store what was done so far, then run the callbacks; the block goes on."""
        await self.flush()
        try:
            await self.session.commit()
        except Exception as error:
            # Without it what was added would count as stored, and the next try would not add it.
            await self._roll_back_quietly()
            meaning = error if isinstance(error, UnreachableError) else translate(error)
            if isinstance(meaning, UnreachableError):
                raise OutcomeUnknownError(LOST) from error
            _raise_translated(error)
            raise
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            try:
                await callback()
            except Exception:
                # The data is stored: the caller must not hear that the unit failed.
                logger.exception("a callback failed after the commit")

    async def rollback(self) -> None:
        """Undo what was done since the last commit; the block goes on."""
        self._after_commit.clear()
        await self.session.rollback()

    def after_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this once the data is stored: for messages and mails that must not lie."""
        self._after_commit.append(callback)

    def _open(self, sessions: Callable[[], AsyncSession]) -> AsyncSession:
        if self._session is not None:
            raise RuntimeError("this unit of work is open already: use one block, or another unit")
        self._after_commit.clear()
        self._session = sessions()
        return self._session

    async def _close(self) -> None:
        session, self._session = self.session, None
        await session.close()

    async def _roll_back_quietly(self) -> None:
        try:
            await self.session.rollback()
        except Exception:
            # The block's own error matters more than a connection that died with it.
            logger.warning("the rollback failed", exc_info=True)


def _raise_translated(error: BaseException) -> None:
    translated = translate(error)
    if translated is not None:
        raise translated from error
