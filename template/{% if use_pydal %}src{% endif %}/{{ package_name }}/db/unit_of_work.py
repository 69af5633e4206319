"""One transaction: everything in the block is stored, or nothing is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from sqlalchemy import CursorResult, Executable

from .adapters.tables import Tables
from .engine import Database
from .errors import OutcomeUnknownError, ReadOnlyError, UnreachableError
from .session import Session
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
        self._session: Session | None = None
        self._after_commit: list[Callable[[], None]] = []

    @property
    def session(self) -> Session:
        """The open session; repositories work on it."""
        if self._session is None:
            raise RuntimeError("this unit of work is not open: use `with`")
        return self._session

    @property
    def db(self) -> Tables:
        """PyDAL with the tables of all models, in the same transaction, until the block ends.

        What is made with it raises RuntimeError after the block, and in another unit of work.
        """
        self.flush()
        return self.session.give_out()

    def __enter__(self) -> Self:
        self._open(read_only=False)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.commit()
            else:
                self._roll_back_quietly()
        finally:
            self._close()
        if error is not None:
            _raise_translated(error)

    @contextmanager
    def read_only(self) -> Iterator[Self]:
        """Open a block that only reads: no lock, no commit, and a write in it is an error."""
        session = self._open(read_only=True)
        try:
            yield self
            if session.entities.has_changes():
                raise ReadOnlyError("This unit of work only reads: a change in it is not stored.")
        except Exception as error:
            _raise_translated(error)
            raise
        finally:
            self._close()

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Send a statement as it is written, in the same transaction."""
        self.flush()
        return self.session.connection.execute(statement, parameters)

    def flush(self) -> None:
        """Send the pending changes now, so that the database's objections come here."""
        try:
            self.session.entities.flush()
        except Exception as error:
            _raise_translated(error)
            raise

    def commit(self) -> None:
        """Store what was done so far, then run the callbacks; the block goes on."""
        self.flush()
        try:
            self.session.commit()
        except Exception as error:
            meaning = error if isinstance(error, UnreachableError) else translate(error)
            if isinstance(meaning, UnreachableError):
                raise OutcomeUnknownError(LOST) from error
            _raise_translated(error)
            raise
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                # The data is stored: the caller must not hear that the unit failed.
                logger.exception("a callback failed after the commit")

    def rollback(self) -> None:
        """Undo what was done since the last commit; the block goes on."""
        self._after_commit.clear()
        self.session.rollback()
        self.session.read_again()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the data is stored: for messages and mails that must not lie."""
        self._after_commit.append(callback)

    def _open(self, *, read_only: bool) -> Session:
        if self._session is not None:
            raise RuntimeError("this unit of work is open already: use one block, or another unit")
        self._after_commit.clear()
        self._session = Session(self.database, read_only=read_only)
        return self._session

    def _close(self) -> None:
        session, self._session = self.session, None
        session.close()

    def _roll_back_quietly(self) -> None:
        try:
            self.session.rollback()
        except Exception:
            # The block's own error matters more than a connection that died with it.
            logger.warning("the rollback failed", exc_info=True)


def _raise_translated(error: BaseException) -> None:
    translated = translate(error)
    if translated is not None:
        raise translated from error
