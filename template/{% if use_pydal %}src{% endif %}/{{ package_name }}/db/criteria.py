"""How a criterion or order on the attributes of models is said in PyDAL's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from pydal.objects import Expression, Query
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    SelectBase,
    Table,
    TextClause,
    literal_column,
    select,
)
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import elements, operators, visitors
from sqlalchemy.types import Boolean, TupleType

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


@dataclass(frozen=True)
class _Scope:
    """Where something is said: to PyDAL, in a statement on the rows of a table."""

    tables: Tables
    table: FromClause
    criteria: Sequence[Any] = ()

    def statement(self) -> Select[Any]:
        """Return SQLAlchemy's statement: its subqueries do not name what it has tables for."""
        whole: Select[Any] = select(literal_column("1")).select_from(self.table)
        return whole.select_from(*whole.where(*self.criteria).get_final_froms())


def translate(tables: Tables, table: FromClause, *criteria: Criterion) -> Query:
    """Return what is wanted of the rows of a table as PyDAL's query; raises UntranslatableError."""
    said = [_element(criterion) for criterion in criteria]
    scope = _Scope(tables, table, [each for each in said if not isinstance(each, Query)])
    return reduce(
        and_, [each if isinstance(each, Query) else _condition(scope, each) for each in said]
    )


def translate_order(tables: Tables, table: FromClause, order: Order) -> Expression:
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
    ordering = _expression(_Scope(tables, table), element)
    return tables.ordered(ordering, descending=descending, nulls=nulls)


def translate_value(tables: Tables, table: FromClause, value: Any) -> Expression:
    """Return what the database computes for a row as PyDAL's; raises UntranslatableError."""
    return _expression(_Scope(tables, table), _element(value))


def is_computed(value: Any) -> bool:
    """Tell whether the database computes it, as in `thing.amount = Thing.amount + 1`."""
    return isinstance(value, elements.ClauseElement | QueryableAttribute)


_NULLS: dict[Any, str] = {operators.nulls_first_op: "FIRST", operators.nulls_last_op: "LAST"}


def _element(value: Any) -> Any:
    return value.__clause_element__() if hasattr(value, "__clause_element__") else value


def _condition(scope: _Scope, element: Any) -> Query:
    tables = scope.tables
    match element:
        case elements.Grouping():
            return _condition(scope, element.element)
        case TextClause():
            return _text(tables, element)
        case elements.BooleanClauseList():
            return _all_or_any(scope, element)
        case elements.AsBoolean():
            wanted = element.operator is operators.is_true
            return _expression(scope, element.element) == tables.constant(wanted)
        case elements.UnaryExpression(operator=operators.inv):
            return ~_condition(scope, element.element)
        case elements.BinaryExpression():
            return _comparison(scope, element)
        case elements.ColumnClause(type=Boolean()):
            return _expression(scope, element) == tables.constant(True)
    return Query(tables, _compiled(scope, element))


def _all_or_any(scope: _Scope, element: Any) -> Query:
    conditions = [_condition(scope, clause) for clause in element.clauses]
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole & condition if element.operator is operators.and_ else whole | condition
    return whole


def _text(tables: Tables, clause: TextClause) -> Query:
    values = clause.compile().binds
    sql = _PLACE.sub(lambda place: _marked(tables, values[place[1]]), clause.text)
    return Query(tables, sql.replace("\\:", ":"))


def _comparison(scope: _Scope, element: Any) -> Query:
    tables = scope.tables
    if isinstance(element.left, elements.Tuple) or _minds_nulls(element):
        return Query(tables, _compiled(scope, element))
    field, operator = _expression(scope, element.left), element.operator
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](field, _value(scope, element.right))
    if operator in (operators.in_op, operators.not_in_op) and _is_list(element.right):
        found = tables.belongs(field, element.right.effective_value)
        return found if operator is operators.in_op else ~found
    if operator is operators.between_op:
        low, high = (_value(scope, side) for side in element.right.clauses)
        return (field >= low) & (field <= high)
    # PyDAL would escape what is no escape to SQLAlchemy, so that patterns are not its own.
    return Query(tables, _compiled(scope, element))


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


def _minds_nulls(element: Any) -> bool:
    """Tell whether IS means something else than an equals sign, which partial indexes need."""
    is_is = element.operator in (operators.is_, operators.is_not)
    return is_is and getattr(element.left, "nullable", True)


def _is_list(element: Any) -> bool:
    return isinstance(element, elements.BindParameter) and element.expanding


def _value(scope: _Scope, element: Any) -> Any:
    """Return the right side of a comparison: a value of Python, or an expression of PyDAL."""
    match element:
        case elements.Null():
            return None
        case elements.True_() | elements.False_():
            return scope.tables.constant(isinstance(element, elements.True_))
        case elements.BindParameter():
            return element.effective_value
    return _expression(scope, element)


def _expression(scope: _Scope, element: Any) -> Expression:
    match element:
        case elements.ColumnClause(table=Table() as table):
            return scope.tables[table_name(table.name)][field_name(element.name)]
    type_ = column_type("string", element.type)
    return Expression(scope.tables, _compiled(scope, element), type=type_)


def _compiled(scope: _Scope, element: Any) -> str:
    """Return what PyDAL has no word for as SQLAlchemy writes it, with marks for its values."""
    tables, dialect = scope.tables, scope.tables.dialect
    has_subquery = False

    def mark(part: Any, **_: Any) -> Any:
        nonlocal has_subquery
        has_subquery = has_subquery or isinstance(part, SelectBase)
        if isinstance(part, elements.BindParameter) and not isinstance(part.type, TupleType):
            return literal_column(_marked(tables, part), part.type)
        return None

    marked: Any = visitors.replacement_traverse(element, {}, mark)  # type: ignore[call-overload]
    before = ""
    try:
        if has_subquery:
            statement = scope.statement()
            before = f"{statement.compile(dialect=dialect)} \nWHERE "
            marked = statement.where(marked)
        compiled = marked.compile(dialect=dialect)
    except CompileError as error:
        raise UntranslatableError(element) from error
    sql = str(compiled)
    if compiled.params or not sql.startswith(before):
        raise UntranslatableError(element)
    sql = sql.removeprefix(before)
    return sql if dialect.paramstyle == "qmark" else sql.replace("%%", "%")


def _marked(tables: Tables, parameter: Any) -> str:
    """Return what stands for the value of a parameter, or for its list of values."""
    value, type_ = parameter.effective_value, parameter.type
    if parameter.required or isinstance(type_, TupleType):
        raise UntranslatableError(parameter)
    if not parameter.expanding:
        return tables.mark(value, type_)
    marks = ", ".join(tables.mark(each, type_) for each in value)
    writer: Any = tables.dialect.statement_compiler(tables.dialect, None)
    return f"({marks or writer.visit_empty_set_expr([type_])})"
