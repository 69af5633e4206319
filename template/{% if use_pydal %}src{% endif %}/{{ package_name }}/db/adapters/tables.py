"""PyDAL as a unit of work has it: tables, queries and rows, and no way to change the schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from pydal import DAL, Field
from pydal.objects import Query

from .base import Lender, placeholder
from .conversion import Converter


class Tables(DAL):
    """A DAL that changes no schema, and works on a connection only while it is lent one."""

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
            if name.startswith("_"):
                raise
            known = ", ".join(self.tables)
            raise AttributeError(
                f"PyDAL knows no table {name}, because no model that is imported has it: name its"
                f" repository in features/unit_of_work.py. It knows: {known}"
            ) from None

    def lend(self, lender: Lender | None) -> None:
        """Work for a unit of work, or for nobody."""
        self._adapter.lender = lender
        self.forget()

    def forget(self) -> None:
        """Drop the values of the statements that were written until now."""
        self._adapter.forget()

    def mark(self, value: Any) -> str:
        """Return what stands for a value in a piece of SQL."""
        mark: str = self._adapter.adapt(value)
        return mark

    @property
    def converter(self) -> Converter:
        """What converts values, as the models do."""
        converter: Converter = self._adapter.converter
        return converter

    def insert_rows(
        self, table: Any, names: Sequence[str], rows: Iterable[Sequence[Any]], ending: str = ""
    ) -> None:
        """Insert rows with the values of these fields, sent with one statement."""
        fields = [table[name] for name in names]
        places = ",".join([placeholder(self.converter.dialect)] * len(fields))
        columns = ",".join(field._rname for field in fields)
        command = self._adapter.dialect.insert(table._rname, columns, places).rstrip("; ")
        encode = self.converter.encode
        encoded = [
            tuple(encode(value, field.type) for value, field in zip(row, fields, strict=True))
            for row in rows
        ]
        self._adapter.execute_many(f"{command}{ending}", encoded)

    def upsert_rows(
        self,
        table: Any,
        names: Sequence[str],
        rows: Iterable[Sequence[Any]],
        keys: Sequence[str],
        changed: Sequence[str],
    ) -> None:
        """Do so, and change these fields where the keys exist; what has an `update` moves too."""
        updated = [field for field in table if field.update is not None]
        moving = [field for field in updated if field.name not in changed]
        late = [field for field in moving if field.name not in names]
        fields = [*(table[name] for name in changed), *moving]
        ending = self._adapter.dialect.on_conflict([table[name] for name in keys], fields)
        now = [field.update() for field in late]
        all_names = [*names, *(field.name for field in late)]
        self.insert_rows(table, all_names, ([*row, *now] for row in rows), ending)


def row_value(
    tables: Tables, fields: Sequence[Field], operator: str, values: Sequence[Any]
) -> Query:
    """Return a comparison of several fields at once, the first of which counts most."""
    pairs = zip(values, fields, strict=True)
    marks = ",".join(tables._adapter.represent(value, field.type) for value, field in pairs)
    left = ",".join(field.sqlsafe for field in fields)
    return Query(tables, f"({left}) {operator} ({marks})")
