"""Every type of a column, and tables that are hard to copy, move along a chain of databases."""

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from io import StringIO
from itertools import pairwise
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from shop.db.base import Base
from shop.db.engine import run_on_connection
from shop.db.migrations import upgrade
from shop.db.runtime import run
from shop.db.transfer import transfer
from shop.settings import Settings
from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Connection,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
)

from tests.things import Colour, Thing
from tools.dumps import dump, load

things = Thing.__table__.to_metadata(Base.metadata)
odd = Table(
    "odd",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("big", BigInteger),
    Column("yes", Boolean),
    Column("raw", LargeBinary(100)),
    Column("day", Date),
    Column("inexact", Float(53)),
    Column("Text", Text),
    Column("twice", Integer, Computed("id * 2")),
)
pairs = Table(
    "pairs",
    Base.metadata,
    Column("left", Integer, ForeignKey("odd.id"), primary_key=True, autoincrement=False),
    Column("right", String(20), primary_key=True),
)
Index("ix_things_parent", things.c.parent_id)
Index("ix_odd_inexact", odd.c.inexact, odd.c.big.desc())
EXPRESSION = DDL("""CREATE INDEX ix_odd_expression ON odd (replace("Text", '%%', ':a'))""")
# As PostgreSQL tells it, with the expression.
INDEXES = text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
# Most children come long before their parents, and most parents before their children.
IDS = [UUID(int=number + 1) for number in range(2500)]
# More than a float has.
DIGITS = 123456789012345678
DATA: list[Any] = [None, {"b": 1, "a": [1e22, 1e16, 0.1, -1, None, "\u00fc"]}, [], {}, 0]
ROWS: dict[Table, list[dict[str, Any]]] = {
    things: [
        {
            "id": id,
            "name": f"thing \u00fc\U0001f600 {number} .",
            "amount": number - 3,
            "price": None
            if number % 5 == 0
            else Decimal((DIGITS + number) * (-1) ** number).scaleb(-4),
            "seen_at": None if number % 3 == 0 else NOON - timedelta(microseconds=number),
            "colour": [None, Colour.RED, Colour.DEEP_BLUE][number % 3],
            "data": DATA[number % 5],
            "parent_id": IDS[-1 - number],
            "created_at": NOON,
            "updated_at": NOON,
        }
        for number, id in enumerate(IDS)
    ],
    odd: [
        dict(zip(["id", "big", "yes", "raw", "day", "inexact", "Text"], values, strict=True))
        for values in [
            (7, 2**62, True, b"\x00\xff", date(2026, 2, 28), 0.1, "a\tb\n\\N"),
            (41, -1, False, b"", None, -2.0, ""),
            (42, None, None, None, None, None, None),
        ]
    ],
    pairs: [{"left": 7, "right": "a"}, {"left": 7, "right": "A"}, {"left": 41, "right": "a"}],
}


def make(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(EXPRESSION)
    connection.commit()


def list_indexes(found: list[Any], connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        found.extend(connection.scalars(INDEXES))
    else:
        found.extend(inspect(connection).get_indexes(table.name) for table in ROWS)


def fill(connection: Connection) -> None:
    for table, rows in ROWS.items():
        connection.execute(insert(table), rows)
    connection.commit()


def look(connection: Connection) -> None:
    for table, rows in ROWS.items():
        found = connection.execute(select(*(table.c[name] for name in rows[0])))
        expected = [tuple(row.values()) for row in rows]
        assert sorted(map(tuple, found), key=repr) == sorted(expected, key=repr), table
    assert connection.execute(odd.insert(), {"big": 5}).inserted_primary_key == (43,)
    connection.rollback()


def dump_and_load(source: Settings, target: Settings) -> int:
    """Move all rows as `dumpdata` and `loaddata` do."""
    dumped = StringIO()
    dump(source, Base.metadata.sorted_tables, dumped)
    dumped.seek(0)
    return load(target, dumped, add=False)


move = {"transfer": partial(run, transfer), "dump": dump_and_load}[sys.argv[1]]
chain = [Settings(database_url=SecretStr(url)) for url in sys.argv[2:]]
for settings in chain:
    upgrade(settings)
    run(run_on_connection, settings, make)
run(run_on_connection, chain[0], fill)
for source, target in pairwise(chain):
    before: list[Any] = []
    after: list[Any] = []
    run(run_on_connection, target, partial(list_indexes, before))
    assert move(source, target) == sum(map(len, ROWS.values()))
    run(run_on_connection, target, look)
    run(run_on_connection, target, partial(list_indexes, after))
    assert after == before
    assert "ix_odd_inexact" in str(after)
