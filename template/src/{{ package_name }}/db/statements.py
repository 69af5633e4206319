"""Statements that each database spells in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Insert, Table, UnaryExpression, inspect
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import operators
from sqlalchemy.sql.schema import CallableColumnDefault

from .backends import LANGUAGES
from .errors import InvalidValueError

Order = QueryableAttribute[Any] | UnaryExpression[Any]


def upsert(
    dialect: str, model: type[Any], columns: Sequence[str], key: Sequence[QueryableAttribute[Any]]
) -> Insert:
    """Return an INSERT of these columns that updates the row whose key is there already.

    Columns with an `onupdate`, such as updated_at, move too; an upsert would not do that by itself.
    """
    table: Table = model.__table__
    key_names = {attribute.key for attribute in key}
    named = inspect(model).columns
    changes: dict[str, Any] = {named[name].key: None for name in columns if name not in key_names}
    for column in table.columns:
        if isinstance(column.onupdate, CallableColumnDefault):
            update: Callable[[Any], Any] = column.onupdate.arg
            changes[column.key] = update(None)
    return LANGUAGES[dialect].upsert(model, key, changes)


def alike(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield copies of rows; raises InvalidValueError for one with other columns than the first."""
    names: set[str] | None = None
    for number, row in enumerate(rows, 1):
        copy = dict(row)
        names = set(copy) if names is None else names
        if copy.keys() != names:
            differing = ", ".join(sorted(copy.keys() ^ names))
            raise InvalidValueError(f"Row {number} has other columns than the first: {differing}.")
        yield copy


def holds(dialect: str, column: QueryableAttribute[Any], text: str) -> ColumnElement[bool]:
    """Tell in a query whether a JSON list holds a text."""
    return LANGUAGES[dialect].holds(column, text)


def nulls_last(order: Order) -> Order:
    """Put rows without a value last, as the databases disagree where they belong.

    An order that says nulls_first() or nulls_last() itself stays as it is.
    """
    expression: Any = order
    while isinstance(expression, UnaryExpression):
        if expression.modifier in (operators.nulls_first_op, operators.nulls_last_op):
            return order
        expression = expression.element
    # Where there are no nulls, saying so would only keep an index from being used.
    return order.nulls_last() if getattr(expression, "nullable", True) else order
