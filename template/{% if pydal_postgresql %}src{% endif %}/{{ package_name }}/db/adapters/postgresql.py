"""PyDAL on PostgreSQL, through the driver of SQLAlchemy's engine."""

from __future__ import annotations

from typing import Any

from pydal.adapters import adapters
from pydal.adapters.postgres import Postgre
from pydal.dialects import dialects
from pydal.dialects.postgre import PostgreDialectJSON

from .base import LentAdapter, Words


@adapters.register_for("lentpostgresql")
class LentPostgres(LentAdapter, Postgre):
    """Sets nothing on the connection, and takes the new id from what the INSERT returns."""

    def _config_json(self) -> None:
        """Do nothing: the models know what is JSON."""

    def lastrowid(self, table: Any) -> Any:
        found = self.cursor.fetchone()[0]
        return self.parse_value(found, None, table._id.type)


@dialects.register_for(LentPostgres)
class _PostgresWords(Words, PostgreDialectJSON):
    case_insensitive = "{} ILIKE {}"
