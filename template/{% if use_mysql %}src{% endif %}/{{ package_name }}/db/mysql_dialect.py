"""What models and migrations say, written so that MySQL and MariaDB do it as the others do.

A moment keeps its microseconds, a text has any length and tells `a` from `A` and `e` from `é`, and
an order may say where the rows without a value belong.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, DateTime, Table, Text, UnaryExpression
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.dialects.mysql.mysqldb import MySQLCompiler_mysqldb
from sqlalchemy.sql import operators

# The one that both have and that compares characters, not what some language takes them for.
CHARACTERS = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_NULLS = {operators.nulls_first_op: "IS NOT NULL", operators.nulls_last_op: "IS NULL"}


class Types(MySQLTypeCompiler):
    """The types of columns."""

    def visit_datetime(self, type_: DateTime, **kw: Any) -> str:
        """Keep the microseconds."""
        return "DATETIME(6)"

    def visit_text(self, type_: Text, **kw: Any) -> str:
        """Take more than 64 KB."""
        return "LONGTEXT"


class Definitions(MySQLDDLCompiler):
    """The definitions of tables."""

    def get_column_default_string(self, column: Column[Any]) -> str | None:
        """Return a default that MySQL takes for the column's type."""
        default = super().get_column_default_string(column)
        if default is None:
            return None
        if default.upper() == "CURRENT_TIMESTAMP":
            return "CURRENT_TIMESTAMP(6)"
        is_text = self.dialect.type_compiler_instance.process(column.type) == "LONGTEXT"
        return f"({default})" if is_text and default.startswith("'") else default

    def post_create_table(self, table: Table) -> str:
        """Name the characters, because those of the database may be any."""
        options = super().post_create_table(table)
        is_named = any("char" in name for name in table.dialect_kwargs)
        return options if is_named else f"{options} {CHARACTERS}"


class Statements(MySQLCompiler_mysqldb):
    """The statements."""

    def visit_unary(self, unary: Any, *args: Any, **kw: Any) -> Any:
        """Write what NULLS FIRST and NULLS LAST mean, which MySQL does not know."""
        if unary.modifier not in _NULLS:
            return super().visit_unary(unary, *args, **kw)  # type: ignore[no-untyped-call]
        value = unary.element
        while isinstance(value, UnaryExpression) and value.modifier is not None:
            value = value.element
        nulls = f"{self.process(value, **kw)} {_NULLS[unary.modifier]}"
        return f"{nulls}, {self.process(unary.element, **kw)}"


def defaults_differ(
    context: Any, found: Any, column: Column[Any], found_default: str | None, *_: Any
) -> bool:
    """Tell whether a column's default is another than the model's, however the server spells it."""
    wanted = context.dialect.ddl_compiler(context.dialect, None).get_column_default_string(column)
    return _plain(found_default) != _plain(wanted)


def _plain(default: str | None) -> str | None:
    if default is None:
        return None
    text = re.sub(r"^\((.*)\)$", r"\1", default.strip()).replace("\\'", "'")
    if literal := re.fullmatch(r"(?:_utf8mb4)?'(.*)'", text, re.DOTALL):
        return literal[1]
    text = text.lower()
    return {"true": "1", "false": "0"}.get(text, text)
