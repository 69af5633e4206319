"""PyDAL on the connections of SQLAlchemy's engine: what touches PyDAL's inner parts begins here.

PyDAL writes values into the text of a statement. Here it writes a mark in the place of each, and
the driver gets the values themselves, converted by the types of the models, as from SQLAlchemy.
So nothing has to be quoted, and both layers store the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import count
from types import FunctionType, MethodType
from typing import Any, Protocol, Self

from pydal import DAL
from pydal.adapters.base import BaseAdapter, SQLAdapter
from pydal.objects import Expression
from sqlalchemy import CursorResult
from sqlalchemy.engine import Dialect

from .conversion import ColumnType, Converter

# Which list of values a mark points into, and its place there.
_MARK = re.compile("«([0-9]+:)([0-9]+)»")
_lists = count()

_FOREIGN = "this query is of another unit of work, or of before the commit: make it anew with `db`"


class Lender(Protocol):
    """Who lends PyDAL a connection: a unit of work."""

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy speaks to the database, which it knows once it is connected."""

    def send(
        self, sql: str, values: Any, options: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Execute a statement of the driver with its values, and SQLAlchemy's options."""

    def commit(self) -> None:
        """Store what was done so far."""

    def rollback(self) -> None:
        """Undo what was done so far."""


class _Cursor:
    """What PyDAL looks at after a statement."""

    def __init__(self, result: CursorResult[Any]) -> None:
        self.description = result.cursor.description if result.returns_rows else None
        self.fetchall = result.fetchall
        self.fetchone = result.fetchone
        self._result = result

    @property
    def lastrowid(self) -> int:
        """The id that the database gave to the row."""
        return self._result.lastrowid

    @property
    def rowcount(self) -> int:
        """How many rows the statement reached."""
        return self._result.rowcount


class LentAdapter(SQLAdapter):
    """An adapter without a connection of its own: each statement goes to whoever lends one."""

    lender: Lender | None = None
    converter: Converter
    cursor: Any = None

    def _initialize_(self) -> None:
        BaseAdapter._initialize_(self)
        self.converter = self.adapter_args["converter"]
        self.forget()

    def another(self, db: DAL) -> Self:
        """Return a copy for another unit of work's database, with values of its own."""
        another = copy(self)
        another.db = db
        another.dialect = copy(self.dialect)
        another.dialect.adapter = another
        another.expand = another._expand
        another.forget()
        return another

    def find_driver(self) -> None:
        self.driver = None

    @property
    def connection(self) -> Lender:
        if self.lender is None:
            raise RuntimeError("this database is closed: use the `db` of an open unit of work")
        return self.lender

    def get_connection(self, use_pool: bool = True) -> Lender:
        return self.connection

    def set_connection(self, connection: Any, run_hooks: bool = False) -> None:
        """Do nothing: the unit of work has the connection."""

    def close(self, action: str = "commit", really: bool = True) -> None:
        """Do nothing: the unit of work closes what it opened."""

    def represent(self, obj: Any, field_type: object) -> str:
        if isinstance(obj, Expression):
            return str(obj)
        value = obj() if isinstance(obj, FunctionType | MethodType) else obj
        self._values.append((value, field_type))
        return f"«{self._list}{len(self._values) - 1}»"

    def adapt(self, obj: Any) -> str:
        return self.represent(obj, None)

    def tables(self, *queries: Any) -> dict[str, Any]:
        """Return the tables of queries by name; raises RuntimeError for another unit's."""
        found: dict[str, Any] = super().tables(*queries)
        if any(table._db is not self.db for table in found.values()):
            raise RuntimeError(_FOREIGN)
        return found

    def parse_value(
        self, value: Any, field_itype: Any, field_type: Any, blob_decode: bool = True
    ) -> Any:
        if isinstance(field_type, ColumnType):
            return self.converter.decode(value, field_type)
        return super().parse_value(value, field_itype, field_type, blob_decode)

    def execute(self, command: str, *values: Any) -> None:
        lender = self.connection
        command = command.rstrip("; ")
        sql, bound = (command, values[0]) if values else self._bind(command, lender.dialect)
        self.cursor = _Cursor(lender.send(sql, bound))

    def execute_many(
        self, command: str, rows: Sequence[tuple[Any, ...]], options: Mapping[str, Any] | None
    ) -> None:
        """Execute one statement for each of the rows, whose values are encoded."""
        self.cursor = _Cursor(self.connection.send(command, rows, options))

    def forget(self) -> None:
        """Drop the values of the statements that were written until now, which are void then."""
        self._values: list[tuple[Any, object]] = []
        self._list = f"{next(_lists)}:"

    def _bind(self, command: str, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
        parts = _MARK.split(command)
        if any(name != self._list for name in parts[1::3]):
            raise RuntimeError(_FOREIGN)
        values = [self._values[int(number)] for number in parts[2::3]]
        texts = [escape_percents(text, dialect) for text in parts[::3]]
        sql = placeholder(dialect).join(texts)
        return sql, tuple(self.converter.encode(value, type_) for value, type_ in values)

    def create_table(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("only a migration changes the schema: alembic revision --autogenerate")

    drop_table = create_index = drop_index = truncate = create_table


def placeholder(dialect: Dialect) -> str:
    """Return what stands for a value in a statement of the driver."""
    return "?" if dialect.paramstyle == "qmark" else "%s"


def escape_percents(text: str, dialect: Dialect) -> str:
    """Return a piece of a statement whose percent signs are no places of values."""
    return text if dialect.paramstyle == "qmark" else text.replace("%", "%%")


class Words:
    """What each dialect says otherwise, because values are marks and never part of the text."""

    case_insensitive = "LOWER({}) LIKE LOWER({})"

    def _binary_cmp(
        self: Any, op: str, first: Any, second: Any, null_form: str | None, query_env: Any
    ) -> str:
        left = self.expand(first, query_env=query_env)
        if second is not None:
            # Without a type PyDAL would take a value for SQL.
            right = self.expand(second, first.type or "string", query_env=query_env)
            return f"({left} {op} {right})"
        if null_form is None:
            raise RuntimeError(f"nothing is {op} NULL")
        return f"({left} {null_form})"

    def like(self: Any, first: Any, second: Any, escape: Any = None, query_env: Any = None) -> str:
        return Words._pattern(self, "{} LIKE {}", first, second, escape, query_env)

    def ilike(self: Any, first: Any, second: Any, escape: Any = None, query_env: Any = None) -> str:
        return Words._pattern(self, self.case_insensitive, first, second, escape, query_env)

    def _pattern(
        self: Any, form: str, first: Any, second: Any, escape: str | None, query_env: Any
    ) -> str:
        if escape is None and isinstance(second, str):
            second = second.replace("\\", "\\\\")
        env = query_env or {}
        left, right = (self.expand(side, "string", query_env=env) for side in (first, second))
        return f"({form.format(left, right)} ESCAPE '{escape or chr(92)}')"

    def nulls(self: Any, first: Any, second: tuple[Any, str], query_env: Any = None) -> str:
        """Return an order that says where the rows without a value belong."""
        return f"{self.expand(first, query_env=query_env or {})} NULLS {second[1]}"
