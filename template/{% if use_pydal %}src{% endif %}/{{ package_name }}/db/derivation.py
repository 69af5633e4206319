"""PyDAL's tables, derived from those of the models, so that nothing has to be kept in step."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa
from pydal.objects import Table

from .adapters.conversion import Converter, column_type
from .adapters.tables import ModelField, Tables
from .types import JSONString

# The first that fits counts, so that the special come before the general.
_TYPES: list[tuple[type[Any], str]] = [
    (sa.Boolean, "boolean"),
    (sa.BigInteger, "bigint"),
    (sa.Integer, "integer"),
    (sa.Float, "double"),
    (sa.Numeric, "decimal({precision},{scale})"),
    (sa.DateTime, "datetime"),
    (sa.Date, "date"),
    (sa.Time, "time"),
    (sa.JSON, "json"),
    (sa.LargeBinary, "blob"),
    (sa.Text, "text"),
    (sa.String, "string"),
    (sa.Uuid, "string"),
    (sa.Interval, "string"),
]
_UUID_LENGTH = 36


def derive(metadata: sa.MetaData, converter: Converter) -> Tables:
    """Return PyDAL with all tables of the metadata."""
    tables = Tables(converter)
    for table in metadata.sorted_tables:
        define(tables, table)
    return tables


def define(tables: Tables, table: sa.Table) -> Table:
    """Return PyDAL's table of a model, and define it if it is not yet."""
    name = table_name(table.name)
    if name not in tables.tables:
        keys = [field_name(column.name) for column in table.primary_key]
        numbered = _numbered(table) is not None
        tables.define_table(
            name,
            *(_field(tables, column) for column in table.columns),
            rname=tables.quoted(table.name),
            **({} if numbered else {"primarykey": keys}),
        )
    return tables[name]


def table_name(name: str) -> str:
    """Return the attribute that stands for a table: with an underscore where PyDAL has its own."""
    return f"{name}_" if hasattr(Tables, name) or keyword.iskeyword(name) else name


def field_name(name: str) -> str:
    """Return the attribute that stands for a column: with an underscore where PyDAL has its own."""
    return f"{name}_" if hasattr(Table, name) or keyword.iskeyword(name) else name


def python_default(column: sa.Column[Any]) -> Callable[[], Any] | None:
    """Return what makes the value of a column that was left out, or None."""
    return _maker(column, column.default)


def python_onupdate(column: sa.Column[Any]) -> Callable[[], Any] | None:
    """Return what makes the value of a column when its row changes, or None."""
    return _maker(column, column.onupdate)


def is_filled_in(column: sa.Column[Any]) -> bool:
    """Tell whether the database itself gives a value to a column that is left out."""
    return column.server_default is not None or column is _numbered(column.table)


def _maker(column: sa.Column[Any], default: Any) -> Callable[[], Any] | None:
    if default is None or default.is_sequence:
        return None
    if default.is_clause_element:
        raise TypeError(
            f"the default of {column} is SQL: make it a server_default, or a function of Python"
        )
    if default.is_callable:
        return lambda: default.arg(None)
    return lambda: default.arg


def _numbered(table: sa.FromClause) -> sa.Column[Any] | None:
    """Return the primary key that the database counts up, if it does."""
    column = cast("sa.Table", table).autoincrement_column
    return None if column is None or column.foreign_keys else column


def _field(tables: Tables, column: sa.Column[Any]) -> ModelField:
    type_ = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
    foreign = next(iter(column.foreign_keys), None)
    return ModelField(
        field_name(column.name),
        column_type(_type_name(column, type_), column.type),
        length=_UUID_LENGTH if isinstance(type_, sa.Uuid) else getattr(type_, "length", None),
        notnull=not column.nullable,
        unique=_is_unique(column),
        default=python_default(column),
        update=python_onupdate(column),
        ondelete=(foreign and foreign.ondelete) or "NO ACTION",
        onupdate=(foreign and foreign.onupdate) or "NO ACTION",
        rname=tables.quoted(column.name),
        # The types of the models convert and refuse; PyDAL would cut off what it does not know.
        filter_in=_unchanged,
        requires=None,
    )


def _type_name(column: sa.Column[Any], type_: Any) -> str:
    if column is _numbered(column.table):
        return "id"
    for key in column.foreign_keys:
        target = key.column
        if len(target.table.primary_key) == 1 and target.primary_key:
            name = table_name(target.table.name)
            is_id = target is _numbered(target.table)
            return f"reference {name}" if is_id else f"reference {name}.{field_name(target.name)}"
    if isinstance(column.type, JSONString):
        return "json"
    for kind, name in _TYPES:
        if isinstance(type_, kind):
            precision = getattr(type_, "precision", None) or 38
            return name.format(precision=precision, scale=getattr(type_, "scale", None) or 0)
    raise TypeError(f"PyDAL has no type for {column}, which is {type_!r}")


def _is_unique(column: sa.Column[Any]) -> bool:
    table = column.table
    alone = [
        constraint
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint) and list(constraint.columns) == [column]
    ]
    indexes = [index for index in table.indexes if index.unique and list(index.columns) == [column]]
    return bool(column.unique or alone or indexes)


def _unchanged(value: Any) -> Any:
    return value
