"""Many rows at once, into tables that are less simple than a project's own."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from shop.db.base import Base
from shop.db.repository import Repository
from sqlalchemy import MetaData, String, func, literal, select, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from tests.units import ThingUnitOfWork


class OddBase(Base):
    __abstract__ = True
    metadata = MetaData()


def double(context: Any) -> int:
    """Return a default that depends on another value of its row."""
    return 2 * int(context.get_current_parameters()["the number"])


class Odd(OddBase):
    """Defaults of all kinds, and a column of another name than its attribute."""

    __tablename__ = "odd ones"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column("the number")
    twice: Mapped[int] = mapped_column(default=double)
    always: Mapped[str] = mapped_column(String(9), default="always")
    there: Mapped[int] = mapped_column(server_default="7")


class Shouting(TypeDecorator[str]):
    """Text that the statement changes."""

    impl = String(20)
    cache_ok = True

    def bind_expression(self, bindparam: Any) -> Any:
        return func.upper(bindparam)


class Loud(OddBase):
    """What an INSERT computes, and what it makes itself."""

    __tablename__ = "loud_ones"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Shouting)


class Counted(OddBase):
    __tablename__ = "counted_ones"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(9))
    made: Mapped[int] = mapped_column(default=select(literal(3)).scalar_subquery())


# COPY refuses such a table.
GUARDED = [
    "CREATE ROLE {0}",
    'GRANT ALL ON "odd ones" TO {0}',
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {0}",
    'ALTER TABLE "odd ones" ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY everything ON "odd ones" USING (true) WITH CHECK (true)',
    "SET LOCAL ROLE {0}",
]


async def stored(uow: ThingUnitOfWork, model: type[Any], rows: Iterable[Any]) -> list[Any]:
    """Return what many rows of a table that is made for them are once they are stored."""
    kind: Any = type("Kind", (Repository,), {"model": model})
    async with uow:
        connection = await uow.session.connection()
        await connection.run_sync(OddBase.metadata.create_all)
        await kind(uow.session).insert_many(rows)
        found = list((await uow.execute(select(model.__table__).order_by(text("1")))).all())
        await connection.run_sync(OddBase.metadata.drop_all)
    return found


async def test_rows_that_policies_look_at_are_inserted(thing_uow: ThingUnitOfWork) -> None:
    kind: Any = type("Kind", (Repository,), {"model": Odd})
    role = f"guarded_{uuid4().hex}"
    async with thing_uow as uow:
        if uow.things.dialect != "postgresql":
            return
        connection = await uow.session.connection()
        await connection.run_sync(OddBase.metadata.create_all)
        for statement in GUARDED:
            await uow.execute(text(statement.format(role)))
        assert await kind(uow.session).insert_many({"number": n} for n in range(3000)) == 3000
        assert await kind(uow.session).count() == 3000
        await uow.rollback()


async def test_defaults_are_what_they_are_for_few_rows(thing_uow: ThingUnitOfWork) -> None:
    rows = ({"number": n} for n in range(7001))
    found = await stored(thing_uow, Odd, rows)
    assert [row[1:] for row in found] == [(n, 2 * n, "always", 7) for n in range(7001)]


async def test_what_the_statement_makes_or_changes_is_made_and_changed(
    thing_uow: ThingUnitOfWork,
) -> None:
    found = await stored(thing_uow, Loud, ({"name": f"loud {n}"} for n in range(3000)))
    assert {row.name for row in found} == {f"LOUD {n}" for n in range(3000)}
    found = await stored(thing_uow, Counted, ({"name": f"{n}"} for n in range(3000)))
    assert {row.made for row in found} == {3}
