"""A table for the properties, and one way to call a project's code, sync or async.

The project under test is the package `shop` on the path; DATABASE_URL names an empty database.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from pydantic import SecretStr
from shop.db.base import Base, HasId, HasTimestamps
from shop.db.engine import Database, run_on_connection
from shop.db.repository import Repository
from shop.db.runtime import run
from shop.db.types import ExactDecimal, JSONString, UtcDateTime, enum_by_value
from shop.db.unit_of_work import UnitOfWork
from shop.settings import Settings
from sqlalchemy import MetaData, String
from sqlalchemy.orm import Mapped, mapped_column

IS_ASYNC = iscoroutinefunction(UnitOfWork.commit)
# The usual examples are few and always the same; a depth makes them more, and new ones each time.
DEPTH = int(os.environ.get("PLINTH_DEPTH", "1"))


def examples(number: int, **others: Any) -> settings:
    """Return settings for so many examples; fewer of the async code, which the sync code twins."""
    return settings(
        max_examples=(number // 3 if IS_ASYNC else number) * DEPTH,
        deadline=None,
        derandomize=DEPTH == 1,
        database=None,
        print_blob=False,
        # Explaining a failure costs more than finding it.
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        **others,
    )


class Colour(StrEnum):
    RED = "red"
    DEEP_BLUE = "deep blue"
    ODD = 'it\'s "odd" %s 🎨'


class ThingBase(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Thing(HasId, HasTimestamps, ThingBase):
    """What the repository is compared with a dict over."""

    __tablename__ = "things"

    name: Mapped[str] = mapped_column(String(50), unique=True)
    amount: Mapped[int] = mapped_column(default=0)
    price: Mapped[Decimal] = mapped_column(ExactDecimal(18, 4), default=Decimal(0))
    data: Mapped[Any] = mapped_column(JSONString, nullable=True)


class Value(HasId, ThingBase):
    """A column of each type."""

    __tablename__ = "values"

    number: Mapped[int] = mapped_column(nullable=True)
    text: Mapped[str] = mapped_column(nullable=True)
    key: Mapped[UUID] = mapped_column(nullable=True)
    moment: Mapped[datetime] = mapped_column(UtcDateTime, nullable=True)
    price: Mapped[Decimal] = mapped_column(ExactDecimal(), nullable=True)
    rate: Mapped[Decimal] = mapped_column(ExactDecimal(18, 18), nullable=True)
    colour: Mapped[Colour] = mapped_column(enum_by_value(Colour), nullable=True)
    data: Mapped[Any] = mapped_column(JSONString, nullable=True)


class ThingRepository(Repository[Thing]):
    model = Thing


class ValueRepository(Repository[Value]):
    model = Value


class Unit(UnitOfWork):
    @property
    def things(self) -> ThingRepository:
        return ThingRepository(self.session)

    @property
    def values(self) -> ValueRepository:
        return ValueRepository(self.session)


LOOP = asyncio.Runner()


def do(value: Any) -> Any:
    """Return what the project's code returns, awaited where it is async."""
    if inspect.isawaitable(value):
        return LOOP.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


def enter(block: Any) -> Any:
    return do(block.__aenter__() if hasattr(block, "__aenter__") else block.__enter__())


def leave(block: Any, error: BaseException | None = None) -> None:
    """End a block as `with` does, an error included; that error comes out again."""
    exit_block = block.__aexit__ if hasattr(block, "__aexit__") else block.__exit__
    if not do(exit_block(type(error) if error else None, error, None)) and error is not None:
        raise error


@contextmanager
def within(block: Any) -> Iterator[Any]:
    """Do what is in the block as `with` or `async with` would."""
    opened = enter(block)
    try:
        yield opened
    except BaseException as error:
        leave(block, error)
    else:
        leave(block)


def all_of(rows: Any) -> list[Any]:
    """Return what a stream yields."""
    if not hasattr(rows, "__aiter__"):
        iterable: Iterable[Any] = rows
        return list(iterable)

    async def collect() -> list[Any]:
        return [row async for row in rows]

    collected: list[Any] = do(collect())
    return collected


def open_database() -> Database:
    """Make the tables and return the database, which serves all examples."""
    configured = Settings(
        _env_file=None,
        database_url=SecretStr(os.environ["DATABASE_URL"]),
    )
    run(run_on_connection, configured, _create)
    return Database(configured)


def _create(connection: Any) -> None:
    ThingBase.metadata.create_all(connection)
    connection.commit()


DATABASE = open_database()
IS_SQLITE = DATABASE.engine.dialect.name == "sqlite"
