"""How a criterion or order on the attributes of models is said in PyDAL's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydal.objects import Expression, Query
from sqlalchemy import ColumnElement, Table, TextClause, literal_column
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import elements, operators, visitors
from sqlalchemy.types import Boolean

from .adapters.conversion import column_type
from .adapters.tables import Tables
from .derivation import field_name, table_name
from .statements import Order, nulls_last

# PyDAL's own queries are taken too; they have no types.
Criterion = ColumnElement[bool] | TextClause

_PLACE = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


class UntranslatableError(TypeError):
    """Neither PyDAL nor this database has a word for a part of a criterion."""

    def __init__(self, part: object) -> None:
        super().__init__(
            f"PyDAL cannot say {part!r}: write it with text(), or as a query of the unit's db"
        )


def translate(tables: Tables, criterion: Criterion) -> Query:
    """Return a criterion as PyDAL's query; raises UntranslatableError."""
    if isinstance(criterion, Query):
        return criterion
    return _condition(tables, _element(criterion))


def translate_order(tables: Tables, order: Order) -> Expression:
    """Return an order as PyDAL's; rows without a value come last, unless it says otherwise."""
    element, nulls, descending = _element(nulls_last(order)), "", False
    while isinstance(element, elements.UnaryExpression):
        if element.modifier in _NULLS:
            nulls = _NULLS[element.modifier]
        elif element.modifier in (operators.asc_op, operators.desc_op):
            descending = element.modifier is operators.desc_op
        else:
            break
        element = element.element
    return tables.ordered(_expression(tables, element), descending=descending, nulls=nulls)


_NULLS: dict[Any, str] = {operators.nulls_first_op: "FIRST", operators.nulls_last_op: "LAST"}


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
        case elements.AsBoolean():
            wanted = element.operator is operators.is_true
            return _expression(tables, element.element) == tables.constant(wanted)
        case elements.UnaryExpression(operator=operators.inv):
            return ~_condition(tables, element.element)
        case elements.BinaryExpression():
            return _comparison(tables, element)
        case elements.ColumnClause(type=Boolean()):
            return _expression(tables, element) == tables.constant(True)
    return Query(tables, _compiled(tables, element))


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
    if isinstance(element.left, elements.Tuple):
        return Query(tables, _compiled(tables, element))
    field, operator = _expression(tables, element.left), element.operator
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](field, _value(tables, element.right))
    if operator in (operators.in_op, operators.not_in_op) and _is_list(element.right):
        found = tables.belongs(field, element.right.effective_value)
        return found if operator is operators.in_op else ~found
    if operator is operators.between_op:
        low, high = (_value(tables, side) for side in element.right.clauses)
        return (field >= low) & (field <= high)
    if operator in _PATTERNS and isinstance(element.right, elements.BindParameter):
        form, is_sensitive, is_wanted = _PATTERNS[operator]
        pattern = form.format(element.right.effective_value)
        escape = element.modifiers.get("escape")
        found = field.like(pattern, case_sensitive=is_sensitive, escape=escape)
        return found if is_wanted else ~found
    return Query(tables, _compiled(tables, element))


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
    operators.startswith_op: ("{}%", True, True),
    operators.istartswith_op: ("{}%", False, True),
    operators.endswith_op: ("%{}", True, True),
    operators.iendswith_op: ("%{}", False, True),
}


def _is_list(element: Any) -> bool:
    return isinstance(element, elements.BindParameter) and element.expanding


def _value(tables: Tables, element: Any) -> Any:
    """Return the right side of a comparison: a value of Python, or an expression of PyDAL."""
    match element:
        case elements.Null():
            return None
        case elements.True_() | elements.False_():
            return tables.constant(isinstance(element, elements.True_))
        case elements.BindParameter():
            return element.effective_value
    return _expression(tables, element)


def _expression(tables: Tables, element: Any) -> Expression:
    match element:
        case elements.ColumnClause(table=Table() as table):
            return tables[table_name(table.name)][field_name(element.name)]
    type_ = column_type("string", element.type)
    return Expression(tables, _compiled(tables, element), type=type_)


def _compiled(tables: Tables, element: Any) -> str:
    """Return what PyDAL has no word for as SQLAlchemy writes it, with marks for its values."""
    dialect = tables.dialect

    def mark(part: Any, **_: Any) -> Any:
        if isinstance(part, elements.BindParameter) and not part.expanding:
            return literal_column(tables.mark(part.effective_value, part.type), part.type)
        return None

    marked: Any = visitors.replacement_traverse(element, {}, mark)  # type: ignore[call-overload]
    try:
        compiled = marked.compile(dialect=dialect)
    except CompileError as error:
        raise UntranslatableError(element) from error
    if compiled.params:
        raise UntranslatableError(element)
    sql = str(compiled)
    return sql if dialect.paramstyle == "qmark" else sql.replace("%%", "%")
