"""PyDAL on the connections of SQLAlchemy's engine: all that touches PyDAL's inner parts is here.

PyDAL writes values into the text of a statement. Here it writes a mark in the place of each, and
the driver gets the values themselves, converted by the types of the models, as from SQLAlchemy.
So nothing has to be quoted, and both layers store the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, MethodType
from typing import Any, Protocol

from pydal import DAL, Field
from pydal.adapters import adapters
from pydal.adapters.base import BaseAdapter, SQLAdapter
from pydal.adapters.postgres import Postgre
from pydal.adapters.sqlite import SQLite
from pydal.dialects import dialects
from pydal.dialects.postgre import PostgreDialectJSON
from pydal.dialects.sqlite import SQLiteDialect
from pydal.objects import Expression, Query
from sqlalchemy import Column, CursorResult
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

from .errors import DataLayerError

_MARK = re.compile("«([0-9]+)»")
# How psycopg names the type of a NUMERIC column; SQLAlchemy asks for it, and only on PostgreSQL.
_NUMERIC = 1700

Processor = Callable[[Any], Any] | None


class Lender(Protocol):
    """Who lends PyDAL a connection: a unit of work."""

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy speaks to the database."""

    def send(self, sql: str, values: Any) -> CursorResult[Any]:
        """Execute a statement of the driver with its values."""

    def commit(self) -> None:
        """Store what was done so far."""

    def rollback(self) -> None:
        """Undo what was done so far."""


class ColumnType(str):
    """The name of a PyDAL type, with the column of a model whose type converts the values."""

    column: Column[Any]


def column_type(name: str, column: Column[Any]) -> ColumnType:
    """Return PyDAL's name of a type, for this column."""
    type_ = ColumnType(name)
    type_.column = column
    return type_


class Converter:
    """Converts values to what the driver takes, and back, by the types of the models."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._encoders: dict[TypeEngine[Any], Processor] = {}
        self._decoders: dict[TypeEngine[Any], Processor] = {}

    def encoder(self, type_: TypeEngine[Any]) -> Processor:
        """Return what makes a value fit for the driver. Ask when the engine has connected once."""
        if type_ not in self._encoders:
            fitting = type_.dialect_impl(self.dialect)
            self._encoders[type_] = fitting.bind_processor(self.dialect)
        return self._encoders[type_]

    def decoder(self, type_: TypeEngine[Any]) -> Processor:
        """Return what makes a value of the driver one of the models."""
        if type_ not in self._decoders:
            fitting = type_.dialect_impl(self.dialect)
            self._decoders[type_] = fitting.result_processor(self.dialect, _NUMERIC)
        return self._decoders[type_]

    def encode(self, value: Any, type_: object) -> Any:
        """Return the value as the driver takes it."""
        encoder = self.encoder(type_.column.type) if isinstance(type_, ColumnType) else None
        try:
            return encoder(value) if encoder is not None else value
        except DataLayerError:
            raise
        except Exception as error:
            # As SQLAlchemy does; the text of the statement would not help.
            raise StatementError(str(error), "", None, error) from error

    def decode(self, value: Any, type_: ColumnType) -> Any:
        """Return the driver's value as the models have it."""
        decoder = self.decoder(type_.column.type)
        return decoder(value) if decoder is not None else value


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


class _Lent(SQLAdapter):
    """An adapter without a connection of its own: each statement goes to whoever lends one."""

    lender: Lender | None = None
    converter: Converter
    cursor: Any = None

    def _initialize_(self) -> None:
        BaseAdapter._initialize_(self)
        self.converter = self.adapter_args["converter"]
        self._values: list[tuple[Any, object]] = []

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
        return f"«{len(self._values) - 1}»"

    def adapt(self, obj: Any) -> str:
        return self.represent(obj, None)

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

    def execute_many(self, command: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each of the rows, whose values are encoded."""
        self.cursor = _Cursor(self.connection.send(command, rows))

    def forget(self) -> None:
        """Drop the values of the statements that were written until now."""
        self._values.clear()

    def _bind(self, command: str, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
        parts = _MARK.split(command)
        values = [self._values[int(number)] for number in parts[1::2]]
        texts = [escape_percents(text, dialect) for text in parts[::2]]
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


class _Words:
    """What each dialect says otherwise, because values are marks and never part of the text."""

    case_insensitive = "LOWER({}) LIKE LOWER({})"

    def _binary_cmp(
        self: Any, op: str, first: Any, second: Any, null_form: str | None, query_env: Any
    ) -> str:
        left = self.expand(first, query_env=query_env)
        if second is not None:
            return f"({left} {op} {self.expand(second, first.type, query_env=query_env)})"
        if null_form is None:
            raise RuntimeError(f"nothing is {op} NULL")
        return f"({left} {null_form})"

    def like(self: Any, first: Any, second: Any, escape: Any = None, query_env: Any = None) -> str:
        return self._pattern("{} LIKE {}", first, second, escape, query_env or {})

    def ilike(self: Any, first: Any, second: Any, escape: Any = None, query_env: Any = None) -> str:
        return self._pattern(self.case_insensitive, first, second, escape, query_env or {})

    def _pattern(
        self: Any, form: str, first: Any, second: Any, escape: str | None, query_env: Any
    ) -> str:
        if escape is None and isinstance(second, str):
            second = second.replace("\\", "\\\\")
        left, right = (self.expand(side, "string", query_env=query_env) for side in (first, second))
        return f"({form.format(left, right)} ESCAPE '{escape or chr(92)}')"

    def on_conflict(self: Any, keys: Sequence[Any], changed: Sequence[Any]) -> str:
        """Return the end of an INSERT that updates the row that is there."""
        places = ",".join(field._rname for field in keys)
        changes = ",".join(f"{field._rname}=excluded.{field._rname}" for field in changed)
        return f" ON CONFLICT ({places}) DO UPDATE SET {changes}"

    def nulls(self: Any, first: Any, second: str, query_env: Any = None) -> str:
        return f"{self.expand(first, query_env=query_env or {})} NULLS {second}"


@adapters.register_for("lentsqlite")
class LentSQLite(_Lent, SQLite):
    """SQLite, where SQLAlchemy's engine has set the foreign keys, and begins the transactions."""

    select = SQLAdapter.select
    delete = SQLAdapter.delete


@dialects.register_for(LentSQLite)
class _SQLiteWords(_Words, SQLiteDialect):
    def select(self, *args: Any, **kwargs: Any) -> str:
        # Who writes has the whole file from the beginning.
        statement: str = super().select(*args, **kwargs)
        return statement.replace(" FOR UPDATE", "")


@adapters.register_for("lentpostgresql")
class LentPostgres(_Lent, Postgre):
    """PostgreSQL, through the driver of SQLAlchemy's engine."""

    def _config_json(self) -> None:
        """Do nothing: the models know what is JSON."""

    def lastrowid(self, table: Any) -> Any:
        found = self.cursor.fetchone()[0]
        return self.parse_value(found, None, table._id.type)


@dialects.register_for(LentPostgres)
class _PostgresWords(_Words, PostgreDialectJSON):
    case_insensitive = "{} ILIKE {}"


class Tables(DAL):
    """A DAL that changes no schema, and works on a connection only while it is lent one."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Tables:
        # PyDAL would keep it for as long as this thread lives.
        tables: Tables = object.__new__(cls)
        tables._db_uid = ""
        return tables

    def __init__(self, converter: Converter) -> None:
        super().__init__(
            f"lent{converter.dialect.name}://",
            adapter_args={"converter": converter},
            attempts=1,
            check_reserved=None,
            fake_migrate_all=True,
            migrate=False,
            migrate_enabled=False,
        )

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            known = ", ".join(self.tables)
            raise AttributeError(
                f"PyDAL knows no table {name}, because no model that is imported has it: name its"
                f" repository in features/unit_of_work.py. It knows: {known}"
            ) from None

    def lend(self, lender: Lender | None) -> None:
        """Work for a unit of work, or for nobody."""
        self._adapter.lender = lender
        self.forget()

    def forget(self) -> None:
        """Drop the values of the statements that were written until now."""
        self._adapter.forget()

    @property
    def converter(self) -> Converter:
        """What converts values, as the models do."""
        converter: Converter = self._adapter.converter
        return converter

    def insert_rows(
        self, table: Any, names: Sequence[str], rows: Iterable[Sequence[Any]], ending: str = ""
    ) -> None:
        """Insert rows with the values of these fields, sent with one statement."""
        fields = [table[name] for name in names]
        places = ",".join([placeholder(self.converter.dialect)] * len(fields))
        columns = ",".join(field._rname for field in fields)
        command = self._adapter.dialect.insert(table._rname, columns, places).rstrip("; ")
        encode = self.converter.encode
        encoded = [
            tuple(encode(value, field.type) for value, field in zip(row, fields, strict=True))
            for row in rows
        ]
        self._adapter.execute_many(f"{command}{ending}", encoded)

    def upsert_rows(
        self,
        table: Any,
        names: Sequence[str],
        rows: Iterable[Sequence[Any]],
        keys: Sequence[str],
        changed: Sequence[str],
    ) -> None:
        """Do so, and change these fields where the keys exist; what has an `update` moves too."""
        moving = [field for field in table if field.update is not None and field.name not in changed]
        late = [field for field in moving if field.name not in names]
        fields = [*(table[name] for name in changed), *moving]
        ending = self._adapter.dialect.on_conflict([table[name] for name in keys], fields)
        now = [field.update() for field in late]
        all_names = [*names, *(field.name for field in late)]
        self.insert_rows(table, all_names, ([*row, *now] for row in rows), ending)


def raw(dal: DAL, sql: str, *values: Any) -> Query:
    """Return a condition written as SQL, with a `{}` for each value."""
    marks = [dal._adapter.adapt(value) for value in values]
    return Query(dal, sql.format(*marks))


def row_value(dal: DAL, fields: Sequence[Field], operator: str, values: Sequence[Any]) -> Query:
    """Return a comparison of several fields at once, the first of which counts most."""
    marks = [dal._adapter.represent(v, f.type) for v, f in zip(values, fields, strict=True)]
    left = ",".join(field.sqlsafe for field in fields)
    return Query(dal, f"({left}) {operator} ({','.join(marks)})")
