"""How a criterion or order on the attributes of models is said in PyDAL's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydal.objects import Expression, Query
from sqlalchemy import ColumnElement, Table, TextClause
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import elements, operators
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, String

from .adapters.tables import Tables
from .derivation import field_name, table_name

# PyDAL's own queries are taken too; they have no types.
Criterion = ColumnElement[bool] | TextClause
Order = QueryableAttribute[Any] | elements.UnaryExpression[Any]

_PLACE = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


class UntranslatableError(TypeError):
    """PyDAL has no word for a part of a criterion."""

    def __init__(self, part: object) -> None:
        super().__init__(
            f"PyDAL cannot say {part}: write the criterion with text(), or as a query of uow.db"
        )


def translate(tables: Tables, criterion: Criterion) -> Query:
    """Return a criterion as PyDAL's query; raises UntranslatableError."""
    if isinstance(criterion, Query):
        return criterion
    return _condition(tables, _element(criterion))


def translate_order(tables: Tables, order: Order) -> Expression:
    """Return an order as PyDAL's; rows without a value come last, unless it says otherwise."""
    element, nulls = _element(order), ""
    descending = False
    while isinstance(element, elements.UnaryExpression):
        if element.modifier is operators.nulls_first_op:
            nulls = "FIRST"
        elif element.modifier is operators.nulls_last_op:
            nulls = "LAST"
        elif element.modifier is operators.desc_op:
            descending = True
        elif element.modifier is not operators.asc_op:
            raise UntranslatableError(order)
        element = element.element
    expression = _expression(tables, element)
    # Where there are no nulls, saying so would only keep an index from being used.
    if not nulls and getattr(element, "nullable", True):
        nulls = "LAST"
    expression = ~expression if descending else expression
    if not nulls:
        return expression
    return Expression(tables, tables._adapter.dialect.nulls, expression, nulls)


def _element(value: Any) -> Any:
    return value.__clause_element__() if hasattr(value, "__clause_element__") else value


def _condition(tables: Tables, element: Any) -> Query:
    match element:
        case elements.Grouping():
            return _condition(tables, element.element)
        case TextClause():
            return _text(tables, element)
        case elements.BooleanClauseList():
            return _all_or_any(tables, element)
        case elements.True_():
            return Query(tables, "1=1")
        case elements.False_():
            return Query(tables, "1=0")
        case elements.AsBoolean():
            wanted = element.operator is operators.is_true
            return _expression(tables, element.element) == _constant(tables, wanted)
        case elements.UnaryExpression(operator=operators.inv):
            return ~_condition(tables, element.element)
        case elements.BinaryExpression():
            return _comparison(tables, element)
        case elements.ColumnClause(type=Boolean()):
            return _expression(tables, element) == _constant(tables, True)
    raise UntranslatableError(element)


def _all_or_any(tables: Tables, element: Any) -> Query:
    conditions = [_condition(tables, clause) for clause in element.clauses]
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole & condition if element.operator is operators.and_ else whole | condition
    return whole


def _text(tables: Tables, clause: TextClause) -> Query:
    values = clause.compile().params
    sql = _PLACE.sub(lambda place: tables.mark(values[place[1]]), clause.text)
    return Query(tables, sql.replace("\\:", ":"))


def _comparison(tables: Tables, element: Any) -> Query:
    compare, (operator, left) = _COMPARISONS.get(element.operator), (element.operator, element.left)
    if compare is not None:
        return compare(_expression(tables, left), _value(tables, element.right))
    field = _expression(tables, left)
    if operator in (operators.in_op, operators.not_in_op):
        found = Query(tables, field._dialect.belongs, field, list(_value(tables, element.right)))
        return found if operator is operators.in_op else ~found
    if operator is operators.between_op:
        low, high = (_value(tables, side) for side in element.right.clauses)
        return (field >= low) & (field <= high)
    if operator in _PATTERNS:
        form, is_sensitive, is_wanted = _PATTERNS[operator]
        pattern = form.format(_value(tables, element.right))
        escape = element.modifiers.get("escape")
        found = field.like(pattern, case_sensitive=is_sensitive, escape=escape)
        return found if is_wanted else ~found
    raise UntranslatableError(element)


_COMPARISONS: dict[Any, Callable[[Any, Any], Query]] = {
    operators.eq: lambda left, right: left == right,
    operators.is_: lambda left, right: left == right,
    operators.ne: lambda left, right: left != right,
    operators.is_not: lambda left, right: left != right,
    operators.lt: lambda left, right: left < right,
    operators.le: lambda left, right: left <= right,
    operators.gt: lambda left, right: left > right,
    operators.ge: lambda left, right: left >= right,
}
# The pattern, whether case matters, whether a match is wanted.
_PATTERNS: dict[Any, tuple[str, bool, bool]] = {
    operators.like_op: ("{}", True, True),
    operators.not_like_op: ("{}", True, False),
    operators.ilike_op: ("{}", False, True),
    operators.not_ilike_op: ("{}", False, False),
    operators.contains_op: ("%{}%", True, True),
    operators.not_contains_op: ("%{}%", True, False),
    operators.icontains_op: ("%{}%", False, True),
    operators.not_icontains_op: ("%{}%", False, False),
    operators.startswith_op: ("{}%", True, True),
    operators.not_startswith_op: ("{}%", True, False),
    operators.istartswith_op: ("{}%", False, True),
    operators.endswith_op: ("%{}", True, True),
    operators.not_endswith_op: ("%{}", True, False),
    operators.iendswith_op: ("%{}", False, True),
}
_ARITHMETIC: dict[Any, Callable[[Any, Any], Expression]] = {
    operators.add: lambda left, right: left + right,
    operators.sub: lambda left, right: left - right,
    operators.mul: lambda left, right: left * right,
}
_FUNCTIONS: dict[str, Callable[..., Expression]] = {
    "coalesce": lambda first, *more: first.coalesce(*more),
    "length": lambda field: field.len(),
    "lower": lambda field: field.lower(),
    "upper": lambda field: field.upper(),
}


def _value(tables: Tables, element: Any) -> Any:
    """Return the right side of a comparison: a value of Python, or an expression of PyDAL."""
    match element:
        case elements.Null():
            return None
        case elements.True_() | elements.False_():
            return _constant(tables, isinstance(element, elements.True_))
        case elements.BindParameter():
            return element.effective_value
    return _expression(tables, element)


def _expression(tables: Tables, element: Any) -> Expression:
    match element:
        case elements.Grouping():
            return _expression(tables, element.element)
        case elements.ColumnClause(table=Table() as table):
            return tables[table_name(table.name)][field_name(element.name)]
        case elements.Cast(type=String()):
            return _expression(tables, element.clause).cast("text")
        case elements.BinaryExpression() if element.operator in _ARITHMETIC:
            left = _expression(tables, element.left)
            return _ARITHMETIC[element.operator](left, _value(tables, element.right))
        case FunctionElement() if element.name in _FUNCTIONS:
            first, *more = element.clauses
            others = [_value(tables, clause) for clause in more]
            return _FUNCTIONS[element.name](_expression(tables, first), *others)
    raise UntranslatableError(element)


def _constant(tables: Tables, value: bool) -> Expression:
    """Return true or false as part of the text, so that partial indexes on it are used."""
    words = tables._adapter.dialect
    return Expression(tables, lambda: words.true_exp if value else words.false_exp)
