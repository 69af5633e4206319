"""The entities of one unit of work: each row is one object, and its changes are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydal.objects import Query
from sqlalchemy.exc import InvalidRequestError

from .base import Base
from .criteria import UntranslatableError, is_computed, translate_value
from .derivation import field_name
from .entities import (
    Identity,
    changed_values,
    columns_of,
    forget,
    identity_of,
    key_of,
    make,
    mark_stored,
    rank,
    refresh,
    table_of,
    values_for_insert,
    values_for_update,
)
from .errors import StaleError

if TYPE_CHECKING:
    from .session import Session


class IdentityMap:
    """Knows what was read and added, and writes what became of it at the flush."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[type[Base], Identity], Base] = {}
        self._new: list[Base] = []
        self._deleted: list[Base] = []
        # What a rollback makes new again, and what it brings back.
        self._inserted: list[Base] = []
        self._removed: list[Base] = []
        # Those whose keys were changed, and the keys that a rollback gives them again.
        self._moved: list[tuple[Base, Identity]] = []
        self._has_failed = False

    def add(self, entity: Base) -> None:
        """Insert the entity at the next flush, or its changes if it was stored before."""
        if identity_of(entity) is not None:
            self._know(entity)
        elif not _holds(self._new, entity):
            self._new.append(entity)

    def delete(self, entity: Base) -> None:
        """Delete the row at the next flush."""
        if identity_of(entity) is None:
            raise InvalidRequestError("this entity is not stored, so that it cannot be deleted")
        self._know(entity)
        self._deleted.append(entity)

    def load(
        self, model: type[Base], query: Query, *, anew: bool = False, **options: Any
    ) -> list[Any]:
        """Return the entities that match; if read anew, they hold what is stored now."""
        table, columns = self._session.table(model), columns_of(model)
        fields = [table[field_name(column.name)] for column in columns.values()]
        found = []
        for values in self._session.select(query, fields, **options):
            row = dict(zip(columns, values, strict=True))
            entity = self._known.get((model, tuple(row[name] for name in key_of(model))))
            if entity is None:
                entity = make(model, row)
                self._know(entity)
            elif anew:
                refresh(entity, row)
            found.append(entity)
        return found

    def has_changes(self) -> bool:
        """Tell whether a flush would write."""
        return bool(self._new or self._deleted or any(self._changed()))

    def flush(self) -> None:
        """Write what was added, changed and deleted, parents before their children."""
        if self._has_failed:
            raise InvalidRequestError("an earlier change failed: roll back before going on")
        try:
            self._write()
        except BaseException:
            # What was written of it before must not be committed.
            self._has_failed = True
            raise

    def keep(self) -> None:
        """Note that what was flushed is committed."""
        self._inserted.clear()
        self._removed.clear()
        self._moved.clear()

    def undo(self) -> None:
        """Note that what was not committed is not stored."""
        for entity, identity in reversed(self._moved):
            self._store(entity, dict(zip(key_of(type(entity)), identity, strict=True)))
        for entity in self._inserted:
            self._known.pop(_key(entity), None)
        for entity in self._removed:
            if not _holds(self._inserted, entity):
                self._know(entity)
        forget(self._inserted)
        self._has_failed = False
        for entities in (self._new, self._deleted, self._inserted, self._removed):
            entities.clear()
        self._moved.clear()

    def read_again(self) -> None:
        """Let all entities hold what is stored now."""
        for entity in list(self._known.values()):
            self.load(type(entity), self._row_of(entity), anew=True)

    def _write(self) -> None:
        new, self._new = sorted(self._new, key=rank), []
        changed, deleted = list(self._changed()), sorted(self._deleted, key=rank, reverse=True)
        self._deleted = []
        for model, entities in groupby(new, type):
            self._insert(model, list(entities))
        for entity in sorted(changed, key=lambda entity: (rank(entity), identity_of(entity))):
            self._update(entity)
        for entity in deleted:
            self._delete(entity)

    def _know(self, entity: Base) -> None:
        self._known.setdefault(_key(entity), entity)

    def _changed(self) -> Iterator[Base]:
        for entity in self._known.values():
            if changed_values(entity) and not _holds(self._deleted, entity):
                yield entity

    def _insert(self, model: type[Base], entities: Sequence[Base]) -> None:
        rows = [values_for_insert(entity) for entity in entities]
        names = columns_of(model).keys()
        if len(rows) > 1 and all(row.keys() == names and not _computed(row) for row in rows):
            self._session.table(model)._db.insert_rows(
                self._session.table(model),
                _fields(model, rows[0]).keys(),
                [list(row.values()) for row in rows],
            )
        else:
            for row in rows:
                self._insert_row(model, row)
        for entity, row in zip(entities, rows, strict=True):
            mark_stored(entity, row)
            self._inserted.append(entity)
            self._know(entity)

    def _insert_row(self, model: type[Base], row: dict[str, Any]) -> None:
        """Insert a row, and add to it what the database has filled in."""
        key: Any = self._session.table(model).insert(**self._fields(model, row))
        for name in key_of(model):
            row.setdefault(name, int(key) if isinstance(key, int) else key[field_name(name)])
        missing = [name for name in columns_of(model) if name not in row or is_computed(row[name])]
        self._read_into(row, model, missing)

    def _update(self, entity: Base) -> None:
        (model, identity), values = _key(entity), values_for_update(entity)
        fields = self._fields(model, values)
        if not self._session.tables(self._row_of(entity)).update(**fields):
            raise StaleError("The row was changed by somebody else; read it again.")
        row = {**dict(zip(key_of(model), identity, strict=True)), **values}
        self._read_into(row, model, _computed(values))
        self._store(entity, {name: row[name] for name in values})
        if _key(entity)[1] != identity:
            self._moved.append((entity, identity))

    def _read_into(self, row: dict[str, Any], model: type[Base], names: Sequence[str]) -> None:
        """Add to a row what the database has made of these attributes."""
        if names:
            table, columns = self._session.table(model), columns_of(model)
            fields = [table[field_name(columns[name].name)] for name in names]
            query = self._where(model, {name: row[name] for name in key_of(model)})
            (values,) = self._session.select(query, fields)
            row.update(zip(names, values, strict=True))

    def _store(self, entity: Base, values: Mapping[str, Any]) -> None:
        """Note that these values are stored, and know the entity by the key that it has now."""
        before = _key(entity)
        mark_stored(entity, values)
        if _key(entity) != before:
            self._known.pop(before, None)
            self._know(entity)

    def _fields(self, model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what PyDAL's fields become; raises UntranslatableError for a computed key."""
        tables, table = self._session.tables, table_of(model)
        if keys := {*key_of(model)} & {*_computed(values)}:
            raise UntranslatableError(values[keys.pop()])
        self._session.table(model)
        return {
            name: translate_value(tables, table, value) if is_computed(value) else value
            for name, value in _fields(model, values).items()
        }

    def _delete(self, entity: Base) -> None:
        self._session.tables(self._row_of(entity)).delete()
        self._known.pop(_key(entity), None)
        self._removed.append(entity)

    def _row_of(self, entity: Base) -> Query:
        model, identity = _key(entity)
        return self._where(model, dict(zip(key_of(model), identity, strict=True)))

    def _where(self, model: type[Base], key: Mapping[str, Any]) -> Query:
        table, query = self._session.table(model), None
        for name, value in _fields(model, key).items():
            condition = table[name] == value
            query = condition if query is None else query & condition
        return query


def _key(entity: Base) -> tuple[type[Base], Identity]:
    return type(entity), identity_of(entity) or ()


def _fields(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of attributes by the names of PyDAL's fields."""
    columns = columns_of(model)
    return {field_name(columns[name].name): value for name, value in values.items()}


def _computed(values: Mapping[str, Any]) -> list[str]:
    return [name for name, value in values.items() if is_computed(value)]


def _holds(entities: Sequence[Base], entity: Base) -> bool:
    return any(entity is other for other in entities)
