"""PyDAL as a unit of work has it: tables, queries and rows, and no way to change the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from threading import local
from typing import Any

from pydal import DAL, Field
from pydal.helpers.classes import SQLALL
from pydal.objects import Expression, Query, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from .base import Lender, placeholder
from .conversion import Converter, column_type


class ModelField(Field):
    """A field of a model's table."""

    # PyDAL notes it once; in the copy for a unit of work it is one of that unit's tables.
    referent = property(Field.referenced_field, lambda field, found: None)


class Tables(DAL):
    """A DAL that changes no schema, and works on a connection only while it is lent one.

    Each unit of work has a copy. What is made with it raises RuntimeError in any other unit; and
    after the end, as nobody is lent a copy again that was given out as `db`.
    """

    # What the tables of this copy are copied from, each when it is first used.
    _originals: Mapping[str, Table] = {}

    def __new__(cls, *args: Any, **kwargs: Any) -> Tables:
        # PyDAL would keep it for as long as this thread lives.
        tables: Tables = object.__new__(cls)
        tables._db_uid = ""
        return tables

    def __init__(self, converter: Converter) -> None:
        name = converter.dialect.name
        # It makes the adapter of this database known to PyDAL.
        import_module(f".{name}", __package__)
        super().__init__(
            f"lent{name}://",
            adapter_args={"converter": converter},
            attempts=1,
            check_reserved=None,
            fake_migrate_all=True,
            migrate=False,
            migrate_enabled=False,
        )

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in self._originals:
                table = _copy_table(self._originals[name], self)
                self[name] = table
                return table
            if name.startswith("_"):
                raise
            known = ", ".join(self.tables)
            raise AttributeError(
                f"PyDAL knows no table {name}, because no model that is imported has it: name its"
                f" repository in features/unit_of_work.py. It knows: {known}"
            ) from None

    def another(self) -> Tables:
        """Return a copy for another unit of work; to derive it would take many times as long."""
        another: Tables = object.__new__(type(self))
        values = _with_own_lists(vars(self))
        tables = {name: values.pop(name) for name in self.tables}
        another.__dict__.update(values, _aliased_tables=local(), _originals=tables)
        another._adapter = self._adapter.another(another)
        return another

    def lend(self, lender: Lender | None) -> None:
        """Work for a unit of work, or for nobody."""
        self._adapter.lender = lender
        self.forget()

    def forget(self) -> None:
        """Drop the values of the statements that were written until now."""
        self._adapter.forget()

    def mark(self, value: Any, type_: TypeEngine[Any] | None = None) -> str:
        """Return what stands for a value in a piece of SQL."""
        converting = None if type_ is None else column_type("string", type_)
        mark: str = self._adapter.represent(value, converting)
        return mark

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy speaks to the database, which it knows once it is connected."""
        dialect: Dialect = self._adapter.connection.dialect
        return dialect

    @property
    def converter(self) -> Converter:
        """What converts values, as the models do."""
        converter: Converter = self._adapter.converter
        return converter

    def quoted(self, name: str) -> str:
        """Return a name as the database takes it, whatever it is."""
        quoted: str = self._adapter.dialect.quote(name)
        return quoted

    def constant(self, value: bool) -> Expression:
        """Return true or false as part of the text, so that partial indexes on it are used."""
        words = self._adapter.dialect
        return Expression(self, lambda: words.true_exp if value else words.false_exp)

    def belongs(self, field: Expression, values: Iterable[Any]) -> Query:
        """Tell whether a field has one of these values; PyDAL's own would have to sort them."""
        return Query(self, self._adapter.dialect.belongs, field, [*values])

    def ordered(self, value: Expression, *, descending: bool, nulls: str) -> Expression:
        """Return an order, with the rows without a value FIRST, LAST, or where they fall."""
        order = ~value if descending else value
        return (
            Expression(self, self._adapter.dialect.nulls, order, (value, nulls)) if nulls else order
        )

    def among(self, table: Table, query: Query) -> Query:
        """Return a query that is about this table, even if it is only text or of other tables."""
        if table._tablename in self._adapter.tables(query):
            return query
        return query & self._adapter.id_query(table)

    def insert_rows(
        self,
        table: Any,
        names: Sequence[str],
        rows: Iterable[Sequence[Any]],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Insert rows with the values of these fields, sent with one statement."""
        fields = [table[name] for name in names]
        places = ",".join([placeholder(self.dialect)] * len(fields))
        columns = ",".join(field._rname for field in fields)
        command = self._adapter.dialect.insert(table._rname, columns, places).rstrip("; ")
        encode = self.converter.encode
        encoded = [
            tuple(encode(value, field.type) for value, field in zip(row, fields, strict=True))
            for row in rows
        ]
        self._adapter.execute_many(command, encoded, options)


def _copy_table(table: Table, tables: Tables) -> Table:
    """Return a copy of a table as one of these."""
    copied: Table = object.__new__(type(table))
    here = {"db": tables, "_db": tables}
    there = {"table": copied, "_table": copied, **here}
    values = _with_own_lists(vars(table))
    fields = {name: _copy_field(values[name], there) for name in table.fields}
    # The key has more names than one.
    keys = {name: fields[key.name] for name in ("id", "_id") if (key := values.get(name))}
    # Of these PyDAL wants to know only whose they are.
    referring = [_copy_field(field, here) for field in table._referenced_by]
    values.update(keys, **fields, ALL=SQLALL(copied), _db=tables, _referenced_by=referring)
    copied.__dict__ = values
    return copied


def _copy_field(field: Field, changes: Mapping[str, Any]) -> Field:
    copied: Field = object.__new__(type(field))
    copied.__dict__ = {**vars(field), **changes}
    return copied


def _with_own_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same values, but copies of those that PyDAL adds to."""
    return {
        name: type(value)(value) if isinstance(value, (list, dict)) else value
        for name, value in values.items()
    }


def row_value(
    tables: Tables, fields: Sequence[Field], operator: str, values: Sequence[Any]
) -> Query:
    """Return a comparison of several fields at once, the first of which counts most."""
    pairs = zip(values, fields, strict=True)
    marks = ",".join(tables._adapter.represent(value, field.type) for value, field in pairs)
    left = ",".join(field.sqlsafe for field in fields)
    return Query(tables, f"({left}) {operator} ({marks})")
