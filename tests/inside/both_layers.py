"""Every type of SQLAlchemy is stored and found alike by both layers, on every database."""

import gc
import uuid
import weakref
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
import sqlalchemy as sa
from shop.db import postgres
from shop.db.criteria import UntranslatableError, translate
from shop.db.derivation import define
from shop.db.engine import Database, run_on_connection
from shop.db.entities import table_of
from shop.db.errors import DuplicateError, InvalidValueError
from shop.db.repository import Repository
from shop.db.types import ExactDecimal, JSONString, UtcDateTime, enum_by_value
from shop.db.unit_of_work import UnitOfWork
from shop.settings import Settings
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.types import TypeEngine

from tests.at_once import pooled
from tests.things import Colour, Thing, ThingBase
from tests.units import ThingUnitOfWork


class Part(ThingBase):
    """What a thing is made of; its key is a text that may change."""

    __tablename__ = "parts"

    label: Mapped[str] = mapped_column(sa.String(50), primary_key=True)
    thing_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("things.id"))
    is_spare: Mapped[bool | None]
    pieces: Mapped[int] = mapped_column(default=1)


class Place(ThingBase):
    """Where something is: two columns tell one from another."""

    __tablename__ = "places"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    column: Mapped[int] = mapped_column("col", primary_key=True, autoincrement=False)
    label: Mapped[str] = mapped_column(sa.String(50))


class PartRepository(Repository[Part]):
    model = Part


class PlaceRepository(Repository[Place]):
    model = Place


class PartUnitOfWork(ThingUnitOfWork):
    @property
    def parts(self) -> PartRepository:
        return PartRepository(self.session)

    @property
    def places(self) -> PlaceRepository:
        return PlaceRepository(self.session)


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
                        said = translate(
                            uow.db, table, sa.and_(table.c.id == number, column == value)
                        )
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


@pytest.fixture
def part_uow(database: Database) -> PartUnitOfWork:
    """Return a unit of work with three things: a has a spare and a worn part, b one, and c none."""
    uow = PartUnitOfWork(database)
    with uow:
        things = [Thing(name=name, amount=number) for number, name in enumerate("abc", 1)]
        uow.things.add_all(things)
        uow.flush()
        a, b, _ = things
        uow.parts.add_all(
            [
                Part(thing_id=a.id, label="100%", is_spare=True),
                Part(thing_id=a.id, label=r"100\x", is_spare=False),
                Part(thing_id=b.id, label="1000"),
            ]
        )
    return uow


def parts_of_things(*criteria: Any) -> Any:
    return sa.select(Part.label).where(Part.thing_id == Thing.id, *criteria)


OTHER = aliased(Part)


@pytest.mark.parametrize(
    ("criterion", "names"),
    [
        (parts_of_things().exists(), "ab"),
        (~parts_of_things().exists(), "c"),
        (parts_of_things(Part.label == "100%").exists(), "a"),
        (parts_of_things(Part.label.in_(["1000", "other"])).exists(), "b"),
        (parts_of_things(Part.label.in_([])).exists(), ""),
        (parts_of_things(Part.label.not_in([])).exists(), "ab"),
        (sa.exists().where(Part.thing_id == Thing.id, Part.is_spare), "a"),
        (sa.and_(Thing.amount < 3, sa.not_(parts_of_things(Part.is_spare).exists())), "b"),
        (parts_of_things(Part.pieces == Thing.amount).exists(), "a"),
        (
            sa.select(sa.func.count())
            .where(Part.thing_id == Thing.id)
            .correlate(Thing)
            .scalar_subquery()
            == 2,
            "a",
        ),
        (
            Thing.amount == parts_of_things().with_only_columns(sa.func.count()).scalar_subquery(),
            "",
        ),
        (
            parts_of_things(
                sa.exists().where(OTHER.thing_id == Part.thing_id, OTHER.label != Part.label)
            ).exists(),
            "a",
        ),
        (Thing.id.in_(sa.select(Part.thing_id)), "ab"),
    ],
)
def test_a_subquery_sees_the_row_it_is_asked_about(
    part_uow: PartUnitOfWork, criterion: Any, names: str
) -> None:
    with part_uow:
        by_sqlalchemy = sa.select(Thing.name).where(criterion).order_by(Thing.name)
        assert "".join(part_uow.execute(by_sqlalchemy).scalars()) == names
        found = part_uow.things.list(criterion, order_by=Thing.name)
        assert "".join(thing.name for thing in found) == names
        assert part_uow.things.count(criterion) == len(names)


def test_a_subquery_has_its_names_inside_or_is_refused(part_uow: PartUnitOfWork) -> None:
    with part_uow.read_only():
        inside = sa.select(Part.thing_id).where(Part.label == "1000").cte(nesting=True)
        assert part_uow.things.count(Thing.id.in_(sa.select(inside.c.thing_id))) == 1
        before = sa.select(Part.thing_id).cte()
        with pytest.raises(UntranslatableError, match="PyDAL cannot say"):
            part_uow.things.count(Thing.id.in_(sa.select(before.c.thing_id)))


def test_rows_are_deleted_and_ordered_by_what_belongs_to_them(part_uow: PartUnitOfWork) -> None:
    with part_uow:
        parts = sa.select(sa.func.count()).where(Part.thing_id == Thing.id).scalar_subquery()
        found = part_uow.things.list(order_by=parts.desc())
        assert [thing.name for thing in found] == ["a", "b", "c"]
        of_a = sa.exists().where(Thing.id == Part.thing_id, Thing.name == "a")
        assert part_uow.parts.delete_where(of_a) == 2
        assert [part.label for part in part_uow.parts.list()] == ["1000"]


def test_a_criterion_on_another_table_deletes_nothing_there(part_uow: PartUnitOfWork) -> None:
    with part_uow:
        with pytest.raises(RuntimeError, match="Too many tables"):
            part_uow.things.delete_where(Part.label == "1000")
        assert part_uow.things.count(Part.label == "1000") == part_uow.things.count() == 3
        assert part_uow.things.count(Part.thing_id == Thing.id) == 3
        joined = sa.exists().where(OTHER.thing_id == Part.thing_id, OTHER.label != Part.label)
        assert part_uow.things.count(Part.thing_id == Thing.id, joined) == 2


@pytest.mark.parametrize(
    ("criterion", "labels"),
    [
        (Part.is_spare.is_(True), ["100%"]),
        (Part.is_spare.is_not(True), ["1000", r"100\x"]),
        (Part.is_spare.is_(False), [r"100\x"]),
        (Part.is_spare.is_not(False), ["100%", "1000"]),
        (sa.not_(sa.or_(Part.is_spare.is_(True), Part.pieces == 2)), ["1000", r"100\x"]),
        (Part.is_spare.is_distinct_from(True), ["1000", r"100\x"]),
        (Part.is_spare.is_not_distinct_from(None), ["1000"]),
        (Part.is_spare.is_(None), ["1000"]),
        (Part.label.like(r"100\%"), None),
        (Part.label.not_like(r"100\%"), None),
        (Part.label.like(r"100\\%"), None),
        (Part.label.ilike(r"100\X"), None),
        (Part.label.startswith("100%"), ["100%", "1000", r"100\x"]),
        (Part.label.startswith("100%", autoescape=True), ["100%"]),
        (Part.label.contains("0\\", autoescape=True), [r"100\x"]),
        (Part.label.like("100!%", escape="!"), ["100%"]),
        (Part.label.like(sa.literal("100") + "_"), ["100%", "1000"]),
    ],
)
def test_a_word_of_sqlalchemy_keeps_its_meaning(
    part_uow: PartUnitOfWork, criterion: Any, labels: list[str] | None
) -> None:
    """Without labels the databases disagree, and each layer with none of them."""
    with part_uow.read_only():
        by_sqlalchemy = sa.select(Part.label).where(criterion)
        expected = sorted(part_uow.execute(by_sqlalchemy).scalars())
        assert labels is None or expected == sorted(labels)
        assert sorted(row.label for row in part_uow.parts.stream(criterion)) == expected


def test_a_text_has_the_types_of_its_parameters(part_uow: PartUnitOfWork) -> None:
    with part_uow.read_only():
        ids = {row.name: row.id for row in part_uow.things.page().items}
        seen = part_uow.things.read_one(ids["a"]).created_at
        kind, moment = sa.Uuid(), UtcDateTime()
        for criterion, names in [
            (sa.text("id = :i").bindparams(sa.bindparam("i", ids["a"], kind)), "a"),
            (sa.text("created_at <= :t").bindparams(sa.bindparam("t", seen, moment)), "a"),
            (
                sa.text("id IN :ids AND id <> :i").bindparams(
                    sa.bindparam("ids", [ids["a"], ids["b"]], kind, expanding=True),
                    sa.bindparam("i", ids["a"], kind),
                ),
                "b",
            ),
            (sa.text("id IN :i").bindparams(sa.bindparam("i", [], kind, expanding=True)), ""),
            (
                sa.text("id NOT IN :i").bindparams(sa.bindparam("i", [], kind, expanding=True)),
                "abc",
            ),
        ]:
            by_sqlalchemy = sa.select(Thing.name).where(criterion)
            found = {row.name for row in part_uow.things.page(criterion).items}
            assert found == {*part_uow.execute(by_sqlalchemy).scalars()}
            assert found >= {*names}
        with pytest.raises(UntranslatableError, match="cannot say"):
            part_uow.things.count(sa.text("id = :i"))


def test_a_type_that_nobody_has_anymore_is_forgotten(thing_uow: ThingUnitOfWork) -> None:
    kinds = [sa.String(50) for _ in range(3)]
    known = [weakref.ref(kind) for kind in kinds]
    while kinds:
        with thing_uow.read_only():
            thing_uow.things.count(sa.func.lower(Thing.name, type_=kinds[0]) == "a")
            thing_uow.things.count(sa.cast(Thing.name, kinds.pop()) == sa.literal("a"))
    # What was compiled last, SQLAlchemy and PyDAL may keep for a while.
    thing_uow.database.engine.clear_compiled_cache()
    gc.collect()
    assert [ref() for ref in known] == [None] * 3


def test_a_key_of_several_columns_is_no_trouble_or_an_error(part_uow: PartUnitOfWork) -> None:
    with part_uow:
        places = [Place(row=1, column=number, label="a") for number in range(3)]
        part_uow.places.add_all(places)
        assert part_uow.places.count() == 3
        places[0].label = "b"
        places[1].column = 7
        part_uow.flush()
        places[1].label = "c"
        part_uow.flush()
        assert part_uow.places.count(Place.column == 7, Place.label == "c") == 1
        assert part_uow.places.exists(sa.text("label = 'b'"))
        assert part_uow.places.delete_where(sa.text("label <> 'a'")) == 2
        for use in (part_uow.places.list, part_uow.places.page):
            with pytest.raises(TypeError, match="Place has no id of one column"):
                use()


def test_a_change_of_a_key_is_a_change_like_others(part_uow: PartUnitOfWork) -> None:
    with part_uow:
        part = part_uow.parts.first(Part.label == "1000")
        assert part is not None
        part.label = "moved"
        part_uow.flush()
        part.pieces = 2
        part_uow.flush()
        part.label = "again"
        part_uow.rollback()
        assert (part.label, part.pieces) == ("1000", 1)
        part.label = "moved"
        part_uow.commit()
        assert part_uow.parts.first(Part.label == "moved") is part
        part.pieces = 3
    with part_uow.read_only():
        assert part_uow.parts.count(Part.label == "moved", Part.pieces == 3) == 1
        assert not part_uow.parts.exists(Part.label == "1000")


def test_the_database_computes_what_an_attribute_becomes(part_uow: PartUnitOfWork) -> None:
    with part_uow:
        part = part_uow.parts.first(Part.label == "1000")
        thing = part_uow.things.first(Thing.name == "a")
        assert part is not None
        assert thing is not None
        part.pieces = Part.pieces + 1  # type: ignore[assignment]
        thing.amount = sa.select(sa.func.count()).where(Part.thing_id == Thing.id).scalar_subquery()
        new = Thing(name="d", amount=sa.literal(3) + 4)
        part_uow.things.add_all([new, Thing(name="e")])
        part_uow.flush()
        assert (part.pieces, thing.amount, new.amount) == (2, 2, 7)
        part.pieces += 1
    with part_uow.read_only():
        assert part_uow.parts.count(Part.pieces == 3) == 1
    with part_uow:
        part = part_uow.parts.first(Part.label == "1000")
        assert part is not None
        part.label = sa.func.lower(Part.label)
        with pytest.raises(UntranslatableError, match="cannot say"):
            part_uow.flush()
        part_uow.rollback()


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


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_many_rows_go_to_postgresql_as_a_copy(
    thing_uow: ThingUnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []
    write = postgres._write

    def count(cursor: Any, into: Any, types: Any, rows: Any) -> None:
        copied.append(len(rows))
        write(cursor, into, types, rows)

    monkeypatch.setattr(postgres, "_write", count)
    with thing_uow:
        assert (
            thing_uow.things.insert_many({"name": f"{n}", "amount": n} for n in range(2001)) == 2001
        )

    assert copied == [1000, 1000]
    with thing_uow.read_only():
        assert thing_uow.things.count(Thing.name == "2000", Thing.amount == 2000) == 1
        assert thing_uow.things.count() == 2001
