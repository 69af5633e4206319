"""A repository does what a dict of rows would do, block by block, whatever the order of calls."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from shop.db.errors import DuplicateError, NotFoundError, ReadOnlyError
from sqlalchemy import true
from sqlalchemy.exc import IntegrityError
from support import DATABASE, Thing, Unit, all_of, do, enter, examples, leave, within

Row = dict[str, Any]
Rows = dict[UUID, Row]

NAMES = st.sampled_from([*"abcdefghBC%é🎨", "bb", "'", "", " a"])
AMOUNTS = st.integers(-2, 2)
PRICES = st.sampled_from(
    [Decimal(0), Decimal("0.0001"), Decimal("-3.5"), Decimal("99999999999999.9999")]
)
DATA = st.sampled_from([None, 1, "a", [1, {"a": None}], {"🎨": "\\u0000"}])
VALUES = {"amount": AMOUNTS, "price": PRICES, "data": DATA}
CHANGES = st.fixed_dictionaries({}, optional=VALUES)
NEW = st.fixed_dictionaries({"name": NAMES}, optional=VALUES)
FULL = st.fixed_dictionaries({"name": NAMES, **VALUES})
DEFAULTS: Row = {"amount": 0, "price": Decimal(0), "data": None}
ANY = st.integers(0, 99)


def new_id() -> UUID:
    # Repeatable, as uuid4 is not.
    return UUID(int=random.getrandbits(128))


class BlockError(Exception):
    """What goes wrong in a block."""


in_block = precondition(lambda self: self.open)
writing = precondition(lambda self: self.open and not self.reading)
outside = precondition(lambda self: not self.open)


class RepositoryMachine(RuleBasedStateMachine):
    """Blocks of one unit of work, one after another, against two dicts of rows."""

    @initialize(rows=st.lists(FULL, min_size=3, max_size=7, unique_by=lambda row: row["name"]))
    def start(self, rows: list[Row]) -> None:
        self.unit = Unit(DATABASE)
        self.rows: Rows = {new_id(): row for row in rows}
        with within(self.unit):
            do(self.unit.things.delete_where(true()))
            do(self.unit.things.insert_many({"id": id, **row} for id, row in self.rows.items()))
        self.committed = copy.deepcopy(self.rows)
        self.open = False
        self.reading = False
        self.created: dict[UUID, datetime] = {}
        self.callbacks: list[int] = []
        self.expected_callbacks: list[int] = []
        self.waiting_callbacks: list[int] = []

    def teardown(self) -> None:
        if getattr(self, "open", False) and not self.reading:
            self.end_with_an_error()
        elif getattr(self, "open", False):
            self.end_reading()

    # --- Blocks ---

    @outside
    @rule()
    def begin(self) -> None:
        enter(self.unit)
        self.open = True

    @outside
    @rule()
    def begin_reading(self) -> None:
        self.block = self.unit.read_only()
        enter(self.block)
        self.open = self.reading = True

    @writing
    @rule()
    def end(self) -> None:
        leave(self.unit)
        self._stored()
        self.open = False

    @writing
    @rule()
    def end_with_an_error(self) -> None:
        with pytest.raises(BlockError):
            leave(self.unit, BlockError())
        self._undone()
        self.open = False

    @precondition(lambda self: self.open and self.reading)
    @rule()
    def end_reading(self) -> None:
        leave(self.block)
        self.open = self.reading = False

    @precondition(lambda self: self.open and self.reading)
    @rule(kind=st.sampled_from(["add", "change", "delete_where", "insert_many", "upsert"]))
    def write_while_reading(self, kind: str) -> None:
        with pytest.raises(ReadOnlyError) as caught:
            self._write(kind)
        with pytest.raises(ReadOnlyError):
            leave(self.block, caught.value)
        self.open = self.reading = False

    def _write(self, kind: str) -> None:
        things = self.unit.things
        if kind == "insert_many":
            do(things.insert_many([{"name": "never"}]))
        elif kind == "upsert":
            do(things.upsert([{"name": "a", "amount": 9}], key=[Thing.name]))
        elif kind == "delete_where":
            do(things.delete_where(true()))
        elif kind == "change" and self.rows:
            do(things.first()).amount = 9
            do(self.unit.flush())
        else:
            things.add(Thing(name="never"))
            do(self.unit.flush())

    @writing
    @rule()
    def commit(self) -> None:
        do(self.unit.commit())
        self._stored()

    @writing
    @rule()
    def roll_back(self) -> None:
        self.unit.after_commit(self._callback(-1))
        do(self.unit.rollback())
        self._undone()

    @writing
    @rule(number=ANY)
    def call_after_commit(self, number: int) -> None:
        self.unit.after_commit(self._callback(number))
        self.waiting_callbacks.append(number)

    def _callback(self, number: int) -> Callable[[], Any]:
        def call() -> Any:
            self.callbacks.append(number)
            return Nothing()

        return call

    def _stored(self) -> None:
        self.committed = copy.deepcopy(self.rows)
        self.expected_callbacks += self.waiting_callbacks
        self.waiting_callbacks = []

    def _undone(self) -> None:
        self.rows = copy.deepcopy(self.committed)
        self.waiting_callbacks = []

    # --- Writes ---

    @writing
    @rule(values=NEW, flush=st.booleans())
    def add(self, values: Row, flush: bool) -> None:
        if self._taken(values["name"]):
            self._expect_a_duplicate(lambda: self.unit.things.add(Thing(**values)))
            return
        thing = Thing(id=new_id(), **values)
        self.unit.things.add(thing)
        if flush:
            do(self.unit.flush())
        self.rows[thing.id] = DEFAULTS | values

    @writing
    @rule(number=ANY, changes=CHANGES, name=st.none() | NAMES, lock=st.booleans())
    def change(self, number: int, changes: Row, name: str | None, lock: bool) -> None:
        if not self.rows:
            return
        id = self._pick(number)
        if name is not None and self.rows[id]["name"] != name:
            changes = changes | {"name": name}
        thing = do(self.unit.things.get_one(id, for_update=lock))
        if "name" in changes and self._taken(changes["name"]):
            self._expect_a_duplicate(lambda: setattr(thing, "name", changes["name"]))
            return
        for attribute, value in changes.items():
            setattr(thing, attribute, value)
        if "name" in changes:
            # A flush inserts before it updates or deletes: the old name is taken until then.
            do(self.unit.flush())
        self.rows[id] |= changes

    @writing
    @rule(rows=st.lists(FULL, max_size=4, unique_by=lambda row: row["name"]))
    def insert_many(self, rows: list[Row]) -> None:
        if any(self._taken(row["name"]) for row in rows):
            self._expect_a_duplicate(lambda: do(self.unit.things.insert_many(rows)))
            return
        ids = [new_id() for _ in rows]
        given = [{"id": id, **row} for id, row in zip(ids, rows, strict=True)]
        assert do(self.unit.things.insert_many(iter(given))) == len(rows)
        self.rows |= dict(zip(ids, rows, strict=True))

    @writing
    @rule(rows=st.lists(FULL, max_size=4))
    def upsert(self, rows: list[Row]) -> None:
        assert do(self.unit.things.upsert(iter(rows), key=[Thing.name])) == len(rows)
        for row in rows:
            id = next((id for id, old in self.rows.items() if old["name"] == row["name"]), None)
            if id is None:
                (thing,) = do(self.unit.things.list(Thing.name == row["name"]))
                id = thing.id
                assert id not in self.rows
            self.rows[id] = dict(row)

    @writing
    @rule(number=ANY)
    def delete(self, number: int) -> None:
        if self.rows:
            id = self._pick(number)
            do(self.unit.things.delete(do(self.unit.things.get_one(id))))
            do(self.unit.flush())
            del self.rows[id]

    @writing
    @rule(amount=AMOUNTS, name=NAMES)
    def delete_where(self, amount: int, name: str) -> None:
        gone = [
            id for id, row in self.rows.items() if row["amount"] > amount and row["name"] >= name
        ]
        deleted = do(self.unit.things.delete_where(Thing.amount > amount, Thing.name >= name))
        assert deleted == len(gone)
        for id in gone:
            del self.rows[id]

    # --- Reads ---

    @in_block
    @rule(number=ANY)
    def get(self, number: int) -> None:
        things = self.unit.things
        unknown = new_id()
        assert do(things.get(unknown)) is None
        for find in (things.get_one, things.read_one):
            with pytest.raises(NotFoundError):
                do(find(unknown))
        if self.rows:
            id = self._pick(number)
            for found in (do(things.get(id)), do(things.get_one(id)), do(things.read_one(id))):
                self._check(found, self.rows[id])

    @in_block
    @rule(amount=AMOUNTS, limit=st.integers(0, 4), descending=st.booleans())
    def list_some(self, amount: int, limit: int, descending: bool) -> None:
        criterion, things = Thing.amount <= amount, self.unit.things
        wanted = {id: row for id, row in self.rows.items() if row["amount"] <= amount}
        order = Thing.name.desc() if descending else Thing.name
        ids = sorted(wanted, key=lambda id: wanted[id]["name"], reverse=descending)

        assert do(things.count(criterion)) == len(wanted)
        assert do(things.exists(criterion)) == bool(wanted)
        first = do(things.first(criterion, order_by=order))
        assert (first and first.id) == (ids[0] if ids else None)
        listed = do(things.list(criterion, order_by=order, limit=limit))
        assert [thing.id for thing in listed] == ids[:limit]
        for thing in listed:
            self._check(thing, self.rows[thing.id])

    @in_block
    @rule(
        by=st.sampled_from([None, "name", "amount", "price"]),
        descending=st.booleans(),
        limit=st.integers(1, 4),
        amount=AMOUNTS,
    )
    def page(self, by: str | None, descending: bool, limit: int, amount: int) -> None:
        rows: list[Any] = []
        after = None
        while True:
            page = do(
                self.unit.things.page(
                    Thing.amount >= amount,
                    by=by and getattr(Thing, by),
                    descending=descending,
                    after=after,
                    limit=limit,
                )
            )
            rows += page.items
            after = page.next
            if after is None:
                break
            assert len(page.items) == limit
        wanted = [id for id, row in self.rows.items() if row["amount"] >= amount]
        keys = {id: (self.rows[id][by], id) if by else (id,) for id in wanted}
        assert [row.id for row in rows] == sorted(wanted, key=keys.__getitem__, reverse=descending)
        for row in rows:
            self._check(row, self.rows[row.id])

    @in_block
    @rule(batch=st.integers(1, 5))
    def stream(self, batch: int) -> None:
        rows = all_of(self.unit.things.stream(batch=batch))
        assert [row.id for row in rows] == sorted(self.rows)
        for row in rows:
            self._check(row, self.rows[row.id])

    # --- What is always true ---

    @invariant()
    def others_see_what_is_committed(self) -> None:
        if not hasattr(self, "unit"):
            return
        assert self.callbacks == self.expected_callbacks
        other = Unit(DATABASE)
        with within(other.read_only()):
            rows = do(other.things.list())
            assert {row.id for row in rows} == set(self.committed)
            for row in rows:
                self._check(row, self.committed[row.id])

    def _check(self, found: Any, expected: Mapping[str, Any]) -> None:
        assert {name: getattr(found, name) for name in expected} == dict(expected)
        assert self.created.setdefault(found.id, found.created_at) == found.created_at

    def _taken(self, name: str) -> bool:
        return any(row["name"] == name for row in self.rows.values())

    def _pick(self, number: int) -> UUID:
        return sorted(self.rows)[number % len(self.rows)]

    def _expect_a_duplicate(self, write: Callable[[], Any]) -> None:
        """Write what is there already; the block ends with it, and nothing of it is stored."""
        # A statement's own error is named when the block ends.
        with pytest.raises((DuplicateError, IntegrityError)) as caught:
            self._flush(write)
        with pytest.raises(DuplicateError):
            leave(self.unit, caught.value)
        self._undone()
        self.open = False

    def _flush(self, write: Callable[[], Any]) -> None:
        write()
        do(self.unit.flush())


class Nothing:
    """What an async project awaits, and a sync one ignores."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


TestRepository = RepositoryMachine.TestCase
TestRepository.settings = examples(20, stateful_step_count=50)
