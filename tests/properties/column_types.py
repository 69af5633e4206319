"""Any value of a column's domain comes back equal and in Python's order; any other is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shop.db.errors import InvalidValueError
from support import DATABASE, IS_SQLITE, Colour, Unit, Value, do, enter, examples, leave, within

DAY = timedelta(hours=23, minutes=59, seconds=59, microseconds=999999)
OFFSETS = st.timedeltas(-DAY, DAY).map(timezone)
ZONES = OFFSETS | st.timezones() if available_timezones() else OFFSETS


def in_calendar(moment: datetime) -> bool:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


ANY_MOMENTS = st.datetimes(timezones=ZONES, allow_imaginary=True)
MOMENTS = ANY_MOMENTS.filter(in_calendar)
# What no text of PostgreSQL can hold.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# Some whole numbers would come back in another type, but none with another value.
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Return decimals that fit, some of them written in an unusual way."""
    whole = 10**digits - 1
    plain = st.integers(-whole, whole).map(lambda number: Decimal(number).scaleb(-scale))
    return (
        plain
        | plain.map(Decimal.normalize)
        | st.integers(-9, 9).map(Decimal).filter(lambda number: digits > scale or not number)
    )


ORDERED: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-(2**31), 2**31 - 1),
    "text": TEXTS,
    "key": st.uuids(),
    "moment": MOMENTS,
    "price": decimals(18, 2),
    "rate": decimals(18, 18),
}


def in_utc(value: Any) -> Any:
    # Two zones compare by the instant only where neither time is ambiguous.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def store(unit: Unit, name: str, values: Sequence[Any]) -> list[UUID]:
    """Insert the values in a block that is open, and return their ids in the same order."""
    entities = [Value(**{name: value}) for value in values]
    unit.values.add_all(entities)
    do(unit.flush())
    return [entity.id for entity in entities]


@pytest.mark.parametrize("name", ORDERED)
def test_values_come_back_equal_and_in_the_order_of_python(name: str) -> None:
    column = getattr(Value, name)

    @examples(25)
    @given(st.lists(ORDERED[name], min_size=2, max_size=8))
    def check(values: list[Any]) -> None:
        unit = Unit(DATABASE)
        enter(unit)
        ids = store(unit, name, values)
        rows, after = [], None
        while True:
            page = do(unit.values.page(by=column, after=after, limit=3))
            rows += page.items
            after = page.next
            if after is None:
                break
        pivot = values[0]
        equal = do(unit.values.count(column == pivot))
        less = do(unit.values.count(column < pivot))
        do(unit.rollback())
        leave(unit)

        stored = {row.id: getattr(row, name) for row in rows}
        expected = [in_utc(value) for value in values]
        assert [stored[id] for id in ids] == expected
        assert all(isinstance(stored[id], type(values[0])) for id in ids)
        assert [getattr(row, name) for row in rows] == sorted(expected)
        assert equal == expected.count(expected[0])
        assert less == sum(value < expected[0] for value in expected)
        assert all(value.tzinfo is UTC for value in stored.values() if name == "moment")

    check()


@examples(60)
@given(JSON)
@example({"": "\\u0000", "'": "%s :a ? {}", '"': "\u2028\ufeff\x7f\U0010ffff"})
@example([2**63 - 1, -(2**63), 5e-324, 2.0**53, -0.0])
def test_json_comes_back_as_it_was(value: Any) -> None:
    unit = Unit(DATABASE)
    enter(unit)
    (id,) = store(unit, "data", [value])
    row = do(unit.values.read_one(id))
    do(unit.rollback())
    leave(unit)

    assert row.data == value
    assert shape(row.data) == shape(value)


def shape(value: Any) -> Any:
    """Return the types of everything in some JSON; all numbers are of one."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if type(value) in (int, float) else type(value)


@pytest.mark.parametrize("colour", Colour)
def test_a_member_comes_back_as_itself(colour: Colour) -> None:
    unit = Unit(DATABASE)
    with within(unit):
        (id,) = store(unit, "colour", [colour])
        assert do(unit.values.read_one(id)).colour is colour
        assert do(unit.values.exists(Value.colour == colour))
        do(unit.rollback())


def store_both(unit: Unit, name: str, good: Any, unfit: Any, many: bool) -> None:
    store(unit, name, [good])
    if many:
        do(unit.values.insert_many([{name: unfit}]))
    else:
        store(unit, name, [unfit])


def unfit_decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    unit, limit = Decimal(1).scaleb(-scale), Decimal(10) ** (digits - scale)
    too_large = st.decimals(min_value=limit, allow_nan=False, allow_infinity=False)
    too_fine = (
        st.integers(1, 10**9)
        .map(lambda number: unit * number / 10)
        .filter(lambda number: number % unit)
    )
    special = st.sampled_from(["NaN", "sNaN", "Infinity", "1E+999999", "1E-999999"]).map(Decimal)
    return (too_large | too_fine | special).flatmap(lambda n: st.sampled_from([n, n.copy_negate()]))


NOT_STORABLE = st.sampled_from([math.nan, math.inf, -math.inf, "\ud800", "a\udfff"])
UNFIT: dict[str, st.SearchStrategy[Any]] = {
    "moment": st.datetimes() | ANY_MOMENTS.filter(lambda moment: not in_calendar(moment)),
    "price": unfit_decimals(18, 2),
    "rate": unfit_decimals(18, 18),
    "data": NOT_STORABLE.flatmap(lambda odd: st.sampled_from([odd, [odd], {"a": {"b": odd}}])),
    "text": st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3),
    "number": st.integers(min_value=2**63) | st.integers(max_value=-(2**63) - 1),
}
if not IS_SQLITE:
    UNFIT["text"] |= TEXTS.map(lambda text: f"{text}\0")
    UNFIT["data"] |= TEXTS.map(lambda text: {text: [f"{text}\0"]})
    UNFIT["number"] |= st.integers(2**31, 2**63) | st.integers(-(2**63), -(2**31) - 1)


@pytest.mark.parametrize("name", UNFIT)
def test_a_value_that_does_not_fit_is_refused_and_nothing_is_stored(name: str) -> None:
    column = getattr(Value, name)

    @examples(15)
    @given(ORDERED.get(name, JSON), UNFIT[name], st.booleans())
    def check(good: Any, unfit: Any, many: bool) -> None:
        unit = Unit(DATABASE)
        with pytest.raises(InvalidValueError) as caught, within(unit):
            store_both(unit, name, good, unfit, many)
        assert len(str(unfit)) < 5 or str(unfit) not in str(caught.value)
        with within(unit.read_only()):
            assert not do(unit.values.exists())
        if name not in ("data", "text", "number"):
            with pytest.raises(InvalidValueError), within(unit.read_only()):
                do(unit.values.exists(column == unfit))

    check()


def test_what_is_no_member_is_refused_and_nothing_is_stored() -> None:
    unit = Unit(DATABASE)
    with pytest.raises(Exception, match="'green' is not among"), within(unit):
        store(unit, "colour", [Colour.RED, "green"])
    with within(unit.read_only()):
        assert not do(unit.values.exists())
