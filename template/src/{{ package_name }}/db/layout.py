"""How the databases hold the values of a table, and how those compare between two of them.

A column at a time: to call something for each value of each row takes longer than the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Integer,
    Numeric,
    Select,
    Table,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from .backends import LANGUAGES
from .errors import DataLayerError
from .types import ExactDecimal, JSONString

Columns = Sequence[Sequence[Any]]
Rows = list[tuple[Any, ...]]
Convert = Callable[[Any], Any] | None

# PostgreSQL writes numbers in JSON that others write with an exponent as integers.
_LARGE_NUMBER = re.compile(r"\d{16}|\de\+")


class Layout:
    """What one database needs to read and to write the rows of a table."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self.table = table
        # What the database computes by itself cannot be written.
        self.columns = [column for column in table.columns if column.computed is None]
        self._dialect = dialect
        self._decoders: list[Convert] = []
        self._encoders: list[Convert] = []
        self.names = [column.name for column in self.columns]
        self.select: Select[Any] = select(*map(self._add, self.columns))
        self.comparable = [_comparable(column.type) for column in self.columns]
        self.is_plain = not any([*self._decoders, *self.comparable])

    @property
    def insert(self) -> str:
        """The INSERT of one row, with the driver's marks for its values."""
        quote = self._dialect.identifier_preparer
        mark = "?" if self._dialect.paramstyle == "qmark" else "%s"
        columns = ", ".join(map(quote.format_column, self.columns))
        marks = ", ".join([mark] * len(self.columns))
        return f"INSERT INTO {quote.format_table(self.table)} ({columns}) VALUES ({marks})"

    def decode(self, rows: Iterable[Sequence[Any]]) -> Columns:
        """Return the columns of rows that were selected, as the service sees the values."""
        return _convert(self._decoders, zip(*rows, strict=True))

    def encode(self, columns: Columns) -> Rows:
        """Return rows as the driver takes them."""
        return list(zip(*_convert(self._encoders, columns), strict=True))

    def _add(self, column: Column[Any]) -> Any:
        kind, known = column.type, LANGUAGES[self._dialect.name].DECODERS
        is_known = type(kind) in known and getattr(kind, "as_uuid", True)
        decoder = known[type(kind)] if is_known else None
        is_native = is_known and decoder is None
        encoder = kind.dialect_impl(self._dialect).bind_processor(self._dialect)
        self._decoders.append(decoder)
        self._encoders.append(None if is_native else encoder)
        return type_coerce(column, NullType()) if is_known else column


@dataclass
class Tally:
    """How many rows there are, and the sum of their hashes: their order makes no difference."""

    rows: int = 0
    checksum: int = 0

    def add(self, layout: Layout, columns: Columns) -> None:
        """Count these rows too; raises DataLayerError for values that cannot be compared."""
        self._add(zip(*_convert(layout.comparable, columns), strict=True), len(columns[0]))

    def add_rows(self, layout: Layout, rows: Sequence[Sequence[Any]]) -> None:
        """Count rows as they were selected, by the short way where there is one."""
        if layout.is_plain:
            self._add(rows, len(rows))
        else:
            self.add(layout, layout.decode(rows))

    def _add(self, rows: Iterable[Any], count: int) -> None:
        self.rows += count
        try:
            self.checksum += sum(map(hash, rows))
        except TypeError:
            raise DataLayerError("A column's type has no hash: store it as JSONString.") from None


def _convert(converts: Sequence[Convert], columns: Iterable[Sequence[Any]]) -> Columns:
    return [
        values if convert is None else list(map(convert, values))
        for convert, values in zip(converts, columns, strict=True)
    ]


def _comparable(kind: TypeEngine[Any]) -> Convert:
    if isinstance(kind, (JSON, JSONString)):
        return _json
    if isinstance(kind, (Integer, Numeric, ExactDecimal)):
        # To Python, -1 and -2 have the same hash.
        return lambda value: (value, value == -1)
    return None


def _json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    if _LARGE_NUMBER.search(text):
        return json.dumps(json.loads(text, parse_int=float), sort_keys=True)
    return text
