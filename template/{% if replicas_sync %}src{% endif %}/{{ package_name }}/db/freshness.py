"""What units of work that only read are sure to see, although replicas come after the primary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from .errors import UnavailableError
from .reader import PRIMARY, reading_from
from .translation import translate
from .unit_of_work import UnitOfWork

# What is committed is written to a file, unless commits do not wait for that.
_POSITION = text(
    "SELECT CAST(CASE current_setting('synchronous_commit') WHEN 'off'"
    " THEN pg_current_wal_insert_lsn() ELSE pg_current_wal_lsn() END AS text)"
)
_NO_ANSWER = (UnavailableError, SQLAlchemyError)


def fresh() -> AbstractContextManager[None]:
    """Let units of work in the block that only read see all that is stored, on the primary."""
    return reading_from(PRIMARY)


def position_of(uow: UnitOfWork) -> str:
    """Return how far the primary has come; ask it in a block that writes, after its `commit()`."""
    position: str = uow.execute(_POSITION).scalar_one()
    return position


@contextmanager
def caught_up(uow: UnitOfWork, position: str, seconds: float = 1.0) -> Iterator[None]:
    """Let units of work in the block that only read see what was stored at that position.

    They read a replica that has come so far, waiting for it if need be, or else the primary.
    """
    replica = uow.database.next_replica()
    try:
        is_there = replica is not None and replica.reaches(position, seconds)
    except _NO_ANSWER as error:
        if not isinstance(translate(error) or error, UnavailableError):
            raise
        is_there = False
    with reading_from(replica if is_there else PRIMARY):
        yield
