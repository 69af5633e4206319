"""Every type of SQLAlchemy is stored and found alike by both layers, on every database."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
import sqlalchemy as sa
from shop.db.criteria import UntranslatableError, translate
from shop.db.derivation import define
from shop.db.engine import Database, run_on_connection
from shop.db.entities import table_of
from shop.db.errors import DuplicateError, InvalidValueError
from shop.db.types import ExactDecimal, JSONString, UtcDateTime, enum_by_value
from shop.db.unit_of_work import UnitOfWork
from shop.settings import Settings
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from tests.at_once import pooled
from tests.things import Colour, Thing
from tests.units import ThingUnitOfWork


class Kind(StrEnum):
    ODD = 'it\'s "odd" %s \\ ä'
    PLAIN = "plain"


INDIA = timezone(timedelta(hours=5, minutes=30))
NUMBERS: list[tuple[TypeEngine[Any], list[Any]]] = [
    (sa.Boolean(), [True, False]),
    (sa.Integer(), [0, -1, 2**31 - 1]),
    (sa.BigInteger(), [2**63 - 1, -(2**63)]),
    (sa.Float(53), [0.1, -1e300, 0.0]),
    (ExactDecimal(18, 4), [Decimal("12345678901234.5678"), Decimal("-0.0001"), Decimal(0)]),
]
TEXTS: list[tuple[TypeEngine[Any], list[Any]]] = [
    (sa.String(50), ["", "x' OR '1'='1", "\\", "100%", "%(a)s ? :b «0»", 'a"b`c', "ä😀\n\t"]),
    (sa.Text(), ["", "'" * 5000, "\\' -- "]),
    (sa.LargeBinary(), [b"", b"\x00\xff'\\", bytes(range(256))]),
    (sa.Uuid(), [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]),
    (enum_by_value(Kind), [*Kind]),
    (JSONString(), [{"a": [1, 2.5, None, True, "ä😀 ' \\ %"]}, [], "text", 0]),
    (sa.JSON(), [{"a": [1, None]}, []]),
]
TIMES: list[tuple[TypeEngine[Any], list[Any]]] = [
    (sa.Date(), [date(1, 1, 1), date(9999, 12, 31)]),
    (
        UtcDateTime(),
        [
            datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=INDIA),
            datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        ],
    ),
]
# MySQL's TIME and DATETIME of these types keep no fraction, with either layer.
ELSEWHERE: list[tuple[TypeEngine[Any], list[Any]]] = [
    (sa.Time(), [time(12, 30, 15, 123456), time(0)]),
    (sa.DateTime(), [datetime(2026, 3, 1, 12, 30, 15, 123456)]),
    (sa.Interval(), [timedelta(days=-1, microseconds=1), timedelta(days=400, seconds=5)]),
]
# No database says that two of these are equal.
UNCOMPARED = (JSONString, sa.JSON)


@pytest.fixture
def uow(empty: Settings) -> Iterator[UnitOfWork]:
    database = Database(empty)
    yield UnitOfWork(database)
    database.dispose()


def test_every_type_is_the_same_in_both_layers(empty: Settings, uow: UnitOfWork) -> None:
    kinds = [*NUMBERS, *TEXTS, *TIMES]
    if empty.url.get_backend_name() != "mysql":
        kinds += ELSEWHERE
    metadata = sa.MetaData()
    columns = [sa.Column(f"value{n}", kind) for n, (kind, _) in enumerate(kinds)]
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    table = sa.Table("round_trips", metadata, key, *columns)

    def create(connection: sa.Connection) -> None:
        metadata.create_all(connection)
        connection.commit()

    run_on_connection(empty, create)
    with uow:
        trips = define(uow.db, table)
        for row in range(max(len(values) for _, values in kinds)):
            given = {f"value{n}": values[row % len(values)] for n, (_, values) in enumerate(kinds)}
            uow.execute(table.insert().values(id=2 * row, **given))
            trips.insert(id=2 * row + 1, **given)
            for number in (2 * row, 2 * row + 1):
                by_sqlalchemy = uow.execute(sa.select(table).where(table.c.id == number))
                found = by_sqlalchemy.mappings().one()
                read = uow.db(trips.id == number).select().first()
                for column in columns:
                    value, both = given[column.name], (found[column.name], read[column.name])
                    assert both == (value, value), column.type
                    assert [type(each) for each in both] == [type(value)] * 2, column.type
                    if not isinstance(column.type, UNCOMPARED):
                        one = trips.id == number
                        is_it = trips[column.name] == value
                        assert uow.db(one & is_it).count() == 1, (column.type, value)
                        assert uow.db(one & trips[column.name].belongs([value])).count() == 1
                        said = translate(uow.db, sa.and_(table.c.id == number, column == value))
                        assert uow.db(said).count() == 1, (column.type, value)


def test_nothing_is_null_in_both_layers(thing_uow: ThingUnitOfWork) -> None:
    with thing_uow:
        define(thing_uow.db, table_of(Thing)).insert(name="a")
        absent = [Thing.price.is_(None), Thing.seen_at.is_(None), Thing.data.is_(None)]
        thing = thing_uow.things.first(*absent, ~(Thing.amount != 0))
        assert thing is not None
        assert (thing.price, thing.seen_at, thing.colour, thing.data) == (None,) * 4


@pytest.mark.parametrize(
    ("criterion", "names"),
    [
        (Thing.amount > 1, "bc"),
        (Thing.amount.between(1, 2), "ab"),
        (Thing.name.in_(["a", "c"]), "ac"),
        (Thing.name.not_in(["a", "c"]), "b"),
        (sa.or_(Thing.name == "a", sa.and_(Thing.amount >= 2, Thing.name != "b")), "ac"),
        (sa.not_(sa.or_(Thing.name == "a", Thing.name == "b")), "c"),
        (Thing.colour.is_not(None), "a"),
        (Thing.colour == Colour.RED, "a"),
        (Thing.amount + 1 == 3, "b"),
        (Thing.amount == Thing.amount, "abc"),
        (sa.func.lower(Thing.name) == "a", "a"),
        (sa.func.coalesce(Thing.colour, Colour.DEEP_BLUE) == Colour.DEEP_BLUE, "bc"),
        (Thing.name.startswith("a") | Thing.name.endswith("c"), "ac"),
        (Thing.name.icontains("B"), "b"),
        (Thing.name.ilike("A"), "a"),
        (sa.func.length(Thing.name) == 1, "abc"),
        (sa.text("things.name = :name").bindparams(name="b"), "b"),
        (sa.true(), "abc"),
        (sa.false(), ""),
    ],
)
def test_a_criterion_means_what_sqlalchemy_means(
    thing_uow: ThingUnitOfWork, criterion: Any, names: str
) -> None:
    with thing_uow:
        for number, name in enumerate("abc", 1):
            colour = Colour.RED if name == "a" else None
            thing_uow.things.add(Thing(name=name, amount=number, colour=colour))
        thing_uow.flush()
        by_sqlalchemy = sa.select(Thing.name).where(criterion).order_by(Thing.name)
        assert "".join(thing_uow.execute(by_sqlalchemy).scalars()) == names
        found = thing_uow.things.list(criterion, order_by=Thing.name)
        assert "".join(thing.name for thing in found) == names
        assert thing_uow.things.count(criterion) == len(names)
        assert thing_uow.things.exists(criterion) == bool(names)
        assert thing_uow.things.delete_where(criterion) == len(names)


def test_what_pydal_cannot_say_is_one_clear_error(thing_uow: ThingUnitOfWork) -> None:
    with thing_uow.read_only():
        pair = sa.tuple_(Thing.name, Thing.amount)
        assert thing_uow.things.count(pair > ("a", 1)) == 0
        with pytest.raises(UntranslatableError, match="PyDAL cannot say"):
            thing_uow.things.count(pair.in_([("a", 1)]))


def test_a_hundred_units_that_fail_leave_no_connection(settings: Settings) -> None:
    database = pooled(settings)
    uow = ThingUnitOfWork(database)
    for number in range(100):
        with pytest.raises((KeyboardInterrupt, InvalidValueError)), uow:
            uow.things.add(Thing(name=f"{number}", amount=number))
            uow.flush()
            uow.db(define(uow.db, table_of(Thing)).amount == number).select()
            if number % 2:
                raise KeyboardInterrupt
            uow.things.add(Thing(name=f"{number} again", amount=2**80))
    assert database.engine.pool.checkedout() == 0
    with uow.read_only():
        assert not uow.things.exists()
    database.dispose()


def test_what_failed_must_be_rolled_back_first(thing_uow: ThingUnitOfWork) -> None:
    with pytest.raises(InvalidRequestError, match="roll back"), thing_uow:
        thing_uow.things.add(Thing(name="a"))
        thing_uow.flush()
        thing_uow.things.add(Thing(name="a"))
        with pytest.raises(DuplicateError):
            thing_uow.flush()
    with thing_uow:
        assert not thing_uow.things.exists()
        thing_uow.things.add_all([Thing(name="b"), Thing(name="b")])
        with pytest.raises(DuplicateError):
            thing_uow.flush()
        thing_uow.rollback()
        thing_uow.things.add(Thing(name="c"))
    with thing_uow.read_only():
        assert [thing.name for thing in thing_uow.things.list()] == ["c"]
        thing_uow.rollback()
        assert thing_uow.things.count() == 1


def test_an_entity_that_was_not_stored_can_be_added_again(thing_uow: ThingUnitOfWork) -> None:
    thing, other = Thing(name="a"), Thing(name="b")
    with pytest.raises(ValueError, match="late"), thing_uow:
        thing_uow.things.add(thing)
        thing_uow.flush()
        raise ValueError("late")
    with thing_uow:
        thing_uow.things.add(other)
        thing_uow.commit()
        other.amount = 1
        thing_uow.flush()
        thing_uow.rollback()
        assert other.amount == 0
        other.amount = 2
        thing_uow.things.add(thing)
    with thing_uow.read_only():
        assert {each.name: each.amount for each in thing_uow.things.list()} == {"a": 0, "b": 2}


class OddBase(DeclarativeBase):
    pass


class Odd(OddBase):
    """Names that PyDAL keeps for itself, a number as key, and what the database fills in."""

    __tablename__ = "values"

    number: Mapped[int] = mapped_column(primary_key=True)
    insert: Mapped[str] = mapped_column("update", sa.String(9))
    keys: Mapped[int] = mapped_column(server_default="7")
    parent: Mapped[int | None] = mapped_column(sa.ForeignKey("values.number", ondelete="SET NULL"))


def test_names_keys_and_defaults_of_others_are_no_trouble(empty: Settings, uow: UnitOfWork) -> None:
    def create(connection: sa.Connection) -> None:
        OddBase.metadata.create_all(connection)
        connection.commit()

    run_on_connection(empty, create)
    first: Any = Odd(insert="a")
    with uow:
        uow.session.entities.add(first)
        uow.flush()
        assert (first.number, first.keys) == (1, 7)
        second: Any = Odd(insert="b", parent=first.number)
        uow.session.entities.add(second)
    with uow:
        odds = define(uow.db, table_of(Odd))  # type: ignore[type-var]
        assert uow.db(odds.update_ == "b").select().first().parent == 1
        assert uow.db(odds.number == 1).delete() == 1
        assert uow.db(odds).select().first().parent is None
