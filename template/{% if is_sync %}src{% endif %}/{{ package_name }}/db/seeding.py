"""How development data is stored: all of it in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from rich import get_console
from rich.progress import track
from sqlalchemy import select

from .base import Base
from .engine import Database
from .unit_of_work import UnitOfWork

# Stores as many rows as it is told in each of its tables.
Seed = Callable[[Any, int], None]


def seed_id(number: int) -> UUID:
    """Return the id of a table's n-th row of development data: always the same, in order."""
    return UUID(int=(7 << 76) | (1 << 63) | number)


def seed(
    database: Database,
    unit_of_work: type[UnitOfWork],
    seeds: Sequence[Seed],
    rows: int,
    if_empty: bool,
) -> bool:
    """Call every seed with how many rows are wanted; return whether that was done."""
    try:
        with unit_of_work(database) as uow:
            if if_empty and _has_rows(uow):
                return False
            quiet = not get_console().is_terminal
            for store in track(seeds, "Seeding", transient=True, disable=quiet):
                store(uow, rows)
        return True
    finally:
        database.dispose()


def _has_rows(uow: UnitOfWork) -> bool:
    for table in Base.metadata.sorted_tables:
        if uow.execute(select(table.c[0]).limit(1)).first() is not None:
            return True
    return False
