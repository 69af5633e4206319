"""How the databases hold the values of a table, and how those compare between two of them.

A column at a time: to call something for each value of each row takes longer than the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import JSON, Column, Connection, Dialect, Integer, Numeric, Table, select
from sqlalchemy.types import TypeEngine

from .backend import INTO, Carried
from .backends import CONNECTORS, LANGUAGES
from .errors import DataLayerError
from .types import ExactDecimal, JSONString

BATCH = 1000
Columns = Sequence[Sequence[Any]]
Rows = Sequence[Sequence[Any]]
Convert = Callable[[Sequence[Any]], Sequence[Any]] | None

# PostgreSQL writes numbers in JSON that others write with an exponent as integers.
_LARGE_NUMBER = re.compile(r"\d{16}|\de\+")


class Reader:
    """All rows of a table, a batch in memory at a time."""

    def __init__(self, connection: Connection, table: Table) -> None:
        dialect, columns = connection.dialect, stored_columns(table)
        statement = select(*(_selected(column, dialect) for column in columns))
        compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        # Not through SQLAlchemy: to make rows of its own takes longer than all the rest.
        self._cursor = CONNECTORS[dialect.name].open_cursor(connection.connection)
        self._cursor.execute(str(compiled))
        self._decoders = [
            _decoder(column, dialect, code)
            for column, (_, code, *_) in zip(columns, self._cursor.description, strict=True)
        ]
        self.is_plain = not any(self._decoders)

    def fetch(self, connection: Connection) -> Rows:
        """Return the next rows as the driver gives them; none at the end."""
        rows: Rows = self._cursor.fetchmany(BATCH)
        if not rows:
            self._cursor.close()
        return rows

    def decode(self, rows: Rows) -> Columns:
        """Return the columns of these rows, with the values in the form in which they move."""
        return _convert(self._decoders, zip(*rows, strict=True))


class Writer:
    """What a database needs to store the rows of a table."""

    def __init__(self, table: Table, dialect: Dialect, columns: Sequence[Column[Any]] = ()) -> None:
        columns, quote = columns or stored_columns(table), dialect.identifier_preparer
        self._encoders = [_encoder(column, dialect) for column in columns]
        self.names = [column.name for column in columns]
        self.options = {INTO: (table, self.names)}
        mark = {"qmark": "?", "numeric_dollar": "${}"}.get(dialect.paramstyle, "%s")
        marks = ", ".join(mark.format(number) for number, _ in enumerate(columns, 1))
        into = f"{quote.format_table(table)} ({', '.join(map(quote.format_column, columns))})"
        self.insert = f"INSERT INTO {into} VALUES ({marks})"

    def encode(self, columns: Columns) -> list[tuple[Any, ...]]:
        """Return rows as the driver takes them."""
        return list(zip(*_convert(self._encoders, columns), strict=True))


class Tally:
    """How many rows there are, and the sum of their hashes: their order makes no difference."""

    def __init__(self, table: Table) -> None:
        self._comparable = [_comparable(column.type) for column in stored_columns(table)]
        self._rows = self._checksum = 0

    def add(self, columns: Columns) -> None:
        """Count these rows too; raises DataLayerError for values that cannot be compared."""
        self._add(zip(*_convert(self._comparable, columns), strict=True), len(columns[0]))

    def add_from(self, reader: Reader, rows: Rows) -> None:
        """Count rows that were read, by the short way where there is one."""
        if reader.is_plain and not any(self._comparable):
            self._add(map(tuple, rows), len(rows))
        else:
            self.add(reader.decode(rows))

    def equals(self, other: Tally) -> bool:
        """Tell whether the rows are the same."""
        return (self._rows, self._checksum) == (other._rows, other._checksum)

    def _add(self, rows: Iterable[tuple[Any, ...]], count: int) -> None:
        self._rows += count
        try:
            self._checksum += sum(map(hash, rows))
        except TypeError:
            raise DataLayerError("A column's type has no hash: store it as JSONString.") from None


def stored_columns(table: Table) -> Sequence[Column[Any]]:
    """Return the columns without those that the database computes, which cannot be written."""
    return [column for column in table.columns if column.computed is None]


def _carried(column: Column[Any], dialect: Dialect) -> Carried | None:
    """Return how values move that do not move as the service sees them."""
    known = LANGUAGES[dialect.name].CARRIED.get(type(column.type))
    return known if getattr(column.type, "as_uuid", True) else None


def _selected(column: Column[Any], dialect: Dialect) -> Any:
    carried = _carried(column, dialect)
    return column if carried is None else carried.select(column)


def _decoder(column: Column[Any], dialect: Dialect, code: Any) -> Convert:
    if carried := _carried(column, dialect):
        return carried.decode and partial(_values, carried.decode)
    decode = column.type.dialect_impl(dialect).result_processor(dialect, code)
    return partial(_each, decode) if decode else None


def _encoder(column: Column[Any], dialect: Dialect) -> Convert:
    if carried := _carried(column, dialect):
        return carried.encode and partial(_values, carried.encode)
    encode = column.type.dialect_impl(dialect).bind_processor(dialect)
    return partial(_each, encode) if encode else None


def _convert(converts: Sequence[Convert], columns: Iterable[Sequence[Any]]) -> Columns:
    return [
        values if convert is None else convert(values)
        for convert, values in zip(converts, columns, strict=True)
    ]


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    return list(map(convert, values))


def _values(
    convert: Callable[[Sequence[Any]], Sequence[Any]], column: Sequence[Any]
) -> Sequence[Any]:
    """Convert all that is not NULL."""
    if None not in column:
        return convert(column)
    converted = iter(convert([value for value in column if value is not None]))
    return [None if value is None else next(converted) for value in column]


def _comparable(kind: TypeEngine[Any]) -> Convert:
    if isinstance(kind, (JSON, JSONString)):
        return partial(_each, _json)
    if isinstance(kind, (Integer, Numeric, ExactDecimal)):
        # To Python, -1 and -2 have the same hash.
        return partial(_each, lambda value: (value, value == -1))
    return None


def _json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    if _LARGE_NUMBER.search(text):
        return json.dumps(json.loads(text, parse_int=float), sort_keys=True)
    return text
