"""PyDAL on MySQL and MariaDB, through the driver of SQLAlchemy's engine."""

from __future__ import annotations

from typing import Any

from pydal.adapters import adapters
from pydal.adapters.mysql import MySQL
from pydal.dialects import dialects
from pydal.dialects.mysql import MySQLDialect
from sqlalchemy.engine import Dialect

from .base import LentAdapter, Words


@adapters.register_for("lentmysql")
class LentMySQL(LentAdapter, MySQL):
    """Leaves the session as strict as it was begun, with a backslash that escapes."""

    def _bind(self, command: str, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
        return super()._bind(command.replace("ESCAPE '\\'", "ESCAPE '\\\\'"), dialect)


@dialects.register_for(LentMySQL)
class _MySQLWords(Words, MySQLDialect):
    def nulls(self, first: Any, second: tuple[Any, str], query_env: Any = None) -> str:
        value, place = second
        test = "IS NOT NULL" if place == "FIRST" else "IS NULL"
        env = query_env or {}
        return f"{self.expand(value, query_env=env)} {test}, {self.expand(first, query_env=env)}"
