"""PyDAL on a SQLite file, where SQLAlchemy's engine sets the pragmas and begins transactions."""

from __future__ import annotations

from typing import Any

from pydal.adapters import adapters
from pydal.adapters.base import SQLAdapter
from pydal.adapters.sqlite import SQLite
from pydal.dialects import dialects
from pydal.dialects.sqlite import SQLiteDialect

from .base import LentAdapter, Words

_PARTS = {
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
    "epoch": "%s",
}


@adapters.register_for("lentsqlite")
class LentSQLite(LentAdapter, SQLite):
    """Leaves to the database what PyDAL does itself: locks, and rows that go with others."""

    select = SQLAdapter.select
    delete = SQLAdapter.delete


@dialects.register_for(LentSQLite)
class _SQLiteWords(Words, SQLiteDialect):
    def extract(self, field: Any, what: str, query_env: Any = None) -> str:
        # PyDAL would call a function of Python's, which its own connections have.
        value = self.expand(field, query_env=query_env or {})
        return f"CAST(strftime('{_PARTS[what]}', {value}) AS INTEGER)"

    def select(self, *args: Any, **kwargs: Any) -> str:
        # Who writes has the whole file from the beginning.
        statement: str = super().select(*args, **kwargs)
        return statement.replace(" FOR UPDATE", "")
