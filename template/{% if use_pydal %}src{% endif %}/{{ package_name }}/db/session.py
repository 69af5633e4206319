"""The transaction of one unit of work: it lends its connection to PyDAL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydal.objects import Field, Query
from sqlalchemy import Connection, CursorResult
from sqlalchemy.engine import Dialect

from .adapters.tables import Tables
from .base import Base
from .derivation import define
from .engine import Database
from .entities import table_of
from .errors import ReadOnlyError
from .identity_map import IdentityMap

_WRITES = re.compile(r"\b(DELETE|INSERT|MERGE|UPDATE)\b")


class Session:
    """A connection while it is needed, PyDAL's tables on it, and the entities of the unit."""

    def __init__(self, database: Database, *, read_only: bool) -> None:
        self.entities = IdentityMap(self)
        self._database = database
        self._read_only = read_only
        self._connection: Connection | None = None
        self._has_given_out = False
        self._tables: Tables | None = database.lend_tables(self)

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy speaks to the database, which it knows once it is connected."""
        return self.connection.dialect

    @property
    def tables(self) -> Tables:
        """PyDAL, in this session's transaction, for repositories; they keep nothing of it."""
        if self._tables is None:
            raise RuntimeError("this session is closed: open another block")
        return self._tables

    def give_out(self) -> Tables:
        """Return PyDAL for those who may keep what they make with it, which ends with the unit."""
        self._has_given_out = True
        return self.tables

    @property
    def connection(self) -> Connection:
        """The connection, taken from the pool when it is first needed."""
        if self._tables is None:
            raise RuntimeError("this session is closed: open another block")
        if self._connection is None:
            self._connection = self._database.connect(read_only=self._read_only)
        return self._connection

    def send(
        self, sql: str, values: Any, options: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Execute a statement of the driver with its values; raises ReadOnlyError."""
        if self._read_only and not _only_reads(sql):
            raise ReadOnlyError("This unit of work only reads.")
        return self.connection.exec_driver_sql(sql, values, options)

    def table(self, model: type[Base]) -> Any:
        """Return PyDAL's table of a model."""
        return define(self.tables, table_of(model))

    def select(
        self, query: Query, fields: Sequence[Field], **options: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the values of these fields, as the models have them; raises ReadOnlyError."""
        if self._read_only and options.get("for_update"):
            raise ReadOnlyError("This unit of work only reads.")
        rows = self.tables(query).select(*fields, processor=_as_they_come, **options)
        decoders = [self._decoder(field) for field in fields]
        for row in rows:
            yield tuple(
                value if decode is None else decode(value)
                for decode, value in zip(decoders, row, strict=True)
            )

    def commit(self) -> None:
        """Store what was done so far, and give the connection back."""
        self.entities.flush()
        if self._connection is not None:
            self._connection.commit()
        self.entities.keep()
        self._release()

    def rollback(self) -> None:
        """Undo what was done since the last commit, and give the connection back."""
        try:
            if self._connection is not None:
                self._connection.rollback()
        finally:
            self.entities.undo()
            self._release()

    def read_again(self) -> None:
        """Let entities hold what is stored, after a rollback inside the block."""
        self.entities.read_again()
        self._release()

    def close(self) -> None:
        """Give everything back; what was not committed is undone."""
        if self._tables is None:
            return
        tables = self._tables
        try:
            self.entities.undo()
            self._release()
        finally:
            self._tables = None
            self._database.take_back(tables, was_given_out=self._has_given_out)

    def _decoder(self, field: Field) -> Callable[[Any], Any] | None:
        return self.tables.converter.decoder(field.type)

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self.tables.forget()
        if connection is not None:
            connection.close()


def _only_reads(sql: str) -> bool:
    word = sql.lstrip("( ").partition(" ")[0].upper()
    if word == "SELECT":
        return not sql.rstrip().upper().endswith(" FOR UPDATE")
    return word == "WITH" and not _WRITES.search(sql.upper())


def _as_they_come(rows: Any, fields: Any, colnames: Any, cacheable: bool) -> Any:
    return rows
