"""How the rows of one table are found and stored, by PyDAL.

Entities for writes: get, get_one, get_many, first and list return objects whose changes are stored.
Rows for reads: read_one, page and stream return plain rows, at a fraction of the cost.
Nothing here commits; the unit of work does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

from pydal.objects import Expression, Field, Query, Set
from sqlalchemy.orm import QueryableAttribute

from .adapters.tables import row_value
from .backend import INTO
from .base import Base
from .criteria import Criterion, translate, translate_order
from .derivation import field_name, python_default
from .entities import columns_of, key_of, table_of
from .errors import NotFoundError
from .pages import Page, decode_cursor, encode_cursor
from .rows import Row, row_type
from .session import Session
from .statements import Order, alike, upsert

__all__ = ["Criterion", "Repository", "Row"]

Model = TypeVar("Model", bound=Base)

BATCH = 1000


class Repository(Generic[Model]):
    """The rows of one model; subclass it, name the model, and add the queries it needs."""

    model: type[Model]
    # What a row for reading holds: all columns, unless a subclass names fewer, with the id.
    read_columns: ClassVar[Sequence[QueryableAttribute[Any]] | None] = None

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def dialect(self) -> str:
        """Which kind of database it is, such as sqlite."""
        return self.session.dialect.name

    def visible(self) -> Criterion | None:
        """Return what is true of the rows that exist for this repository; None for all rows."""
        return None

    def get(self, id: Any, *, for_update: bool = False) -> Model | None:
        """Return the entity or None; with for_update nobody else can change it until the commit."""
        found = self._entities([self._key() == id], for_update=for_update)
        return found[0] if found else None

    def get_one(self, id: Any, *, for_update: bool = False) -> Model:
        """Return the entity; raises NotFoundError. See get."""
        entity = self.get(id, for_update=for_update)
        if entity is None:
            raise self._not_found(id)
        return entity

    def get_many(self, ids: Iterable[Any]) -> Sequence[Model]:
        """Return the entities in the order of the ids, without those that do not exist.

        As many queries as it takes, because a statement holds only so many parameters.
        """
        wanted = list(dict.fromkeys(ids))
        key, found = self._key(), dict[Any, Model]()
        for start in range(0, len(wanted), BATCH):
            for entity in self._entities([key.in_(wanted[start : start + BATCH])]):
                found[getattr(entity, key.key)] = entity
        return [found[id] for id in wanted if id in found]

    def first(self, *criteria: Criterion, order_by: Order | None = None) -> Model | None:
        """Return the first entity that matches, or None."""
        found = self.list(*criteria, order_by=order_by, limit=1)
        return found[0] if found else None

    def list(
        self, *criteria: Criterion, order_by: Order | None = None, limit: int = 100
    ) -> Sequence[Model]:
        """Return at most `limit` entities that match, in an order that never varies.

        Those without a value in the column to order by come last, in either direction.
        """
        order = [self._key()] if order_by is None else [order_by, self._key()]
        return self._entities(criteria, orderby=self._order(order), limitby=(0, limit))

    def exists(self, *criteria: Criterion) -> bool:
        """Tell whether any row matches."""
        return not self._matching(criteria).isempty()

    def count(self, *criteria: Criterion) -> int:
        """Return how many rows match."""
        self.session.entities.flush()
        return int(self._matching(criteria).count())

    def read_one(self, id: Any) -> Row:
        """Return the row, not an entity; raises NotFoundError."""
        for row in self._rows([self._key() == id]):
            return row
        raise self._not_found(id)

    def page(
        self,
        *criteria: Criterion,
        by: QueryableAttribute[Any] | None = None,
        descending: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Row]:
        """Return the rows that follow the cursor, ordered by a column that is never null.

        The cost does not grow with the depth. Raises InvalidCursorError.
        """
        keys = [self._key()] if by is None else [by, self._key()]
        wanted = [*criteria]
        if after is not None:
            last = decode_cursor(after, [key.type.python_type for key in keys])
            fields = [self._field(key) for key in keys]
            wanted.append(row_value(self.session.tables, fields, "<" if descending else ">", last))
        order = self._order([key.desc() if descending else key for key in keys])
        # One more than asked for tells whether there is another page.
        rows = [*self._rows(wanted, orderby=order, limitby=(0, limit + 1))]
        items = rows[:limit]
        if len(rows) <= limit:
            return Page(items, None)
        return Page(items, encode_cursor([getattr(items[-1], key.key) for key in keys]))

    def stream(self, *criteria: Criterion, batch: int = BATCH) -> Iterator[Row]:
        """Yield every row that matches in the order of the ids, `batch` in memory at a time.

        Each batch is a query of its own, so that none has to stay open while the rows are used.
        """
        key = self._key()
        following, options = criteria, {"orderby": self._order([key]), "limitby": (0, batch)}
        while True:
            rows = [*self._rows(following, **options)]
            yield from rows
            if len(rows) < batch:
                return
            following = (*criteria, key > getattr(rows[-1], key.key))

    def add(self, entity: Model) -> None:
        """Store the entity at the next flush or at the commit."""
        self.session.entities.add(entity)

    def add_all(self, entities: Iterable[Model]) -> None:
        """Store the entities at the next flush or at the commit."""
        for entity in entities:
            self.add(entity)

    def insert_many(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows of the same columns, or raise InvalidValueError; return how many."""
        inserted = 0
        for batch in self._batches(rows):
            names, values = self._filled_in(batch)
            # To find out whether there is a faster way takes longer than to send a few.
            options = self._into(names) if len(batch) == BATCH else {}
            self.session.tables.insert_rows(self._table(), names, values, options)
            inserted += len(batch)
        return inserted

    def upsert(
        self, rows: Iterable[Mapping[str, Any]], *, key: Sequence[QueryableAttribute[Any]]
    ) -> int:
        """Insert rows as insert_many does, or update those whose key exists; return how many.

        Columns with an `onupdate`, such as updated_at, move too.
        """
        stored = 0
        for batch in self._batches(rows):
            # PyDAL's own would look first whether the row is there, and meet others doing the same.
            statement = upsert(self.dialect, self.model, list(batch[0]), key)
            self.session.connection.execute(statement, [*batch])
            stored += len(batch)
        return stored

    def delete(self, entity: Model) -> None:
        """Delete the entity at the next flush or at the commit."""
        self.session.entities.delete(entity)

    def delete_where(self, first: Criterion, *more: Criterion) -> int:
        """Delete the rows that match, without loading them; return how many."""
        self.session.entities.flush()
        return int(self.session.tables(self._all([first, *more])).delete())

    def _table(self) -> Any:
        return self.session.table(self.model)

    def _key(self) -> QueryableAttribute[Any]:
        name, *more = key_of(self.model)
        if more:
            raise TypeError(f"{self.model.__name__} has no id of one column, as a repository needs")
        key: QueryableAttribute[Any] = getattr(self.model, name)
        return key

    def _field(self, attribute: QueryableAttribute[Any]) -> Field:
        return self._table()[field_name(columns_of(self.model)[attribute.key].name)]

    def _all(self, criteria: Iterable[Criterion]) -> Query:
        table, tables = self._table(), self.session.tables
        return tables.among(table, translate(tables, table_of(self.model), *criteria))

    def _matching(self, criteria: Iterable[Criterion]) -> Set:
        """Return PyDAL's set of the rows that match, after what is pending was stored."""
        self.session.entities.flush()
        visible = self.visible()
        wanted = [*criteria, *([] if visible is None else [visible])]
        return self.session.tables(self._all(wanted) if wanted else self._table())

    def _entities(self, criteria: Iterable[Criterion], **options: Any) -> Sequence[Model]:
        query = self._matching(criteria).query
        # What was read before the lock may be out of date.
        anew = options.get("for_update", False)
        return self.session.entities.load(self.model, query, anew=anew, **options)

    def _rows(self, criteria: Iterable[Criterion], **options: Any) -> Iterator[Row]:
        names = tuple(column.key for column in self.read_columns or self._attributes())
        fields = [self._field(getattr(self.model, name)) for name in names]
        query = self._matching(criteria).query
        return map(row_type(names), self.session.select(query, fields, **options))

    def _attributes(self) -> Sequence[QueryableAttribute[Any]]:
        return [getattr(self.model, name) for name in columns_of(self.model)]

    def _order(self, orders: Iterable[Order]) -> Sequence[Expression]:
        self._table()
        table = table_of(self.model)
        return [translate_order(self.session.tables, table, order) for order in orders]

    def _names(self, names: Iterable[str]) -> Sequence[str]:
        """Return what PyDAL calls the columns of these attributes."""
        return [field_name(columns_of(self.model)[name].name) for name in names]

    def _batches(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
        self.session.entities.flush()
        remaining = alike(rows)
        while batch := [*islice(remaining, BATCH)]:
            yield batch

    def _filled_in(
        self, batch: Sequence[Mapping[str, Any]]
    ) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Return the names of fields and their values, with those that Python fills in."""
        given = [*batch[0]]
        columns = columns_of(self.model).items()
        defaults = {
            name: make
            for name, column in columns
            if name not in given and (make := python_default(column)) is not None
        }
        rows = [
            [*(row[name] for name in given), *(make() for make in defaults.values())]
            for row in batch
        ]
        return self._names([*given, *defaults]), rows

    def _into(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Return the option that lets a driver take rows with these fields by its fastest way."""
        table = table_of(self.model)
        columns = {field_name(column.name): column.name for column in table.columns}
        return {INTO: (table, [columns[name] for name in names])}

    def _not_found(self, id: Any) -> NotFoundError:
        return NotFoundError(f"No {self.model.__name__.lower()} has the id {id}.")
