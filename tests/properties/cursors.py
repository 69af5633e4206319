"""A cursor gives back the key it was made from; any other text is refused."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from column_types import MOMENTS, ORDERED, in_utc
from hypothesis import example, given
from hypothesis import strategies as st
from shop.db.errors import InvalidCursorError, InvalidValueError
from shop.db.pages import decode_cursor, encode_cursor
from support import DATABASE, Unit, Value, do, examples, within

BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    UUID: st.uuids(),
    int: st.integers(-(2**63) + 1, 2**63 - 1),
    str: ORDERED["text"],
    Decimal: ORDERED["price"] | ORDERED["rate"],
    # As rows hold them.
    datetime: MOMENTS.map(in_utc),
}
KEYS = st.lists(st.sampled_from(list(BY_TYPE)), min_size=1, max_size=3).flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.tuples(*(BY_TYPE[kind] for kind in kinds)))
)


@examples(100)
@given(KEYS)
def test_a_cursor_gives_back_the_key(key: tuple[list[type], tuple[Any, ...]]) -> None:
    kinds, values = key
    cursor = encode_cursor(values)

    assert decode_cursor(cursor, kinds) == list(values)
    assert cursor.isascii()
    assert not set(cursor) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


ODD = st.sampled_from(
    [
        "NaN",
        "sNaN",
        "Infinity",
        "1E+999999",
        "1E-999999",
        "٣",
        "1_0",
        " 1",
        "9" * 5000,
        "\0",
        "\ud800",
        "2026-01-01",
        "2026-01-01T24:00:00Z",
        "0001-01-01T00:00:00+14:00",
        str(1 << 40),
        "0x1",
    ]
)
CONTENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)
TEXTS = st.text() | st.text("abyzAZ019-_=+/ \n", max_size=40)
DEEP = base64.urlsafe_b64encode(b"[" * 200_000).decode()
FORGED = TEXTS | CONTENTS.map(encoded) | st.lists(ODD, min_size=1, max_size=2).map(encoded)


@examples(150)
@given(FORGED, st.lists(st.sampled_from(list(BY_TYPE)), min_size=1, max_size=2))
@example(DEEP, [UUID])
def test_any_other_text_is_refused_with_an_error_of_its_own(text: str, kinds: list[type]) -> None:
    with contextlib.suppress(InvalidCursorError):
        values = decode_cursor(text, kinds)
        assert [type(value) for value in values] == kinds


@pytest.mark.parametrize("name", ORDERED)
def test_a_page_after_any_other_text_is_refused_or_empty(name: str) -> None:
    kind = {"key": UUID, "number": int, "text": str, "moment": datetime}.get(name, Decimal)
    plausible = (BY_TYPE[kind].map(str) | ODD).map(lambda text: encoded([text, str(UUID(int=1))]))

    @examples(20)
    @given(TEXTS | plausible)
    def check(text: str) -> None:
        unit = Unit(DATABASE)
        with (
            contextlib.suppress(InvalidCursorError, InvalidValueError),
            within(unit.read_only()),
        ):
            page = do(unit.values.page(by=getattr(Value, name), after=text))
            assert list(page.items) == []
            assert page.next is None

    check()


def test_a_moment_of_a_cursor_is_in_utc() -> None:
    (moment,) = decode_cursor(encode_cursor([datetime(2026, 1, 1, tzinfo=UTC)]), [datetime])
    assert moment.tzinfo is UTC
