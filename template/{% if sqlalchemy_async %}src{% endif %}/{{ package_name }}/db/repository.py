"""How the rows of one table are found and stored.

Entities for writes: get, get_one, get_many, first and list return objects whose changes are stored.
Rows for reads: read_one, page and stream return plain rows, at a fraction of the cost.
Nothing here commits; the unit of work does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    TextClause,
    bindparam,
    delete,
    func,
    inspect,
    select,
    tuple_,
)
from sqlalchemy import Row as SelectedRow
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import QueryableAttribute, Session

from .base import Base
from .errors import NotFoundError
from .many import insert_rows
from .pages import Page, decode_cursor, encode_cursor
from .statements import Order, alike, nulls_last, upsert

Model = TypeVar("Model", bound=Base)
Criterion = ColumnElement[bool] | TextClause
Row = SelectedRow[Any]

BATCH = 1000


class Repository(Generic[Model]):
    """The rows of one model; subclass it, name the model, and add the queries it needs."""

    model: type[Model]
    # What a row for reading holds: all columns, unless a subclass names fewer, with the id.
    read_columns: ClassVar[Sequence[QueryableAttribute[Any]] | None] = None

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    @property
    def dialect(self) -> str:
        """Which kind of database it is, such as sqlite."""
        return self.session.get_bind().dialect.name

    def query(self) -> Select[Model]:
        """Return the rows that exist for this repository; override it to hide some everywhere."""
        return select(self.model)

    async def get(self, id: Any, *, for_update: bool = False) -> Model | None:
        """Return the entity or None; with for_update nobody else can change it until the commit."""
        build = _by_key_locked if for_update else _by_key
        statement = self._statement(build, entities=True)
        return (await self.session.scalars(statement, {"row_id": id})).one_or_none()

    async def get_one(self, id: Any, *, for_update: bool = False) -> Model:
        """Return the entity; raises NotFoundError. See get."""
        entity = await self.get(id, for_update=for_update)
        if entity is None:
            raise self._not_found(id)
        return entity

    async def get_many(self, ids: Iterable[Any]) -> Sequence[Model]:
        """Return the entities in the order of the ids, without those that do not exist.

        As many queries as it takes, because a statement holds only so many parameters.
        """
        wanted = list(dict.fromkeys(ids))
        key, found = self._key(), dict[Any, Model]()
        for start in range(0, len(wanted), BATCH):
            statement = self.query().where(key.in_(wanted[start : start + BATCH]))
            for entity in await self.session.scalars(statement):
                found[getattr(entity, key.key)] = entity
        return [found[id] for id in wanted if id in found]

    async def first(self, *criteria: Criterion, order_by: Order | None = None) -> Model | None:
        """Return the first entity that matches, or None."""
        return (await self.session.scalars(self._ordered(criteria, order_by).limit(1))).first()

    async def list(
        self, *criteria: Criterion, order_by: Order | None = None, limit: int = 100
    ) -> Sequence[Model]:
        """Return at most `limit` entities that match, in an order that never varies.

        Those without a value in the column to order by come last, in either direction.
        """
        return (await self.session.scalars(self._ordered(criteria, order_by).limit(limit))).all()

    async def exists(self, *criteria: Criterion) -> bool:
        """Tell whether any row matches."""
        statement = select(self.query().where(*criteria).exists())
        return bool(await self.session.scalar(statement))

    async def count(self, *criteria: Criterion) -> int:
        """Return how many rows match."""
        rows = self.query().where(*criteria).with_only_columns(self._key()).subquery()
        return await self.session.scalar(select(func.count()).select_from(rows)) or 0

    async def read_one(self, id: Any) -> Row:
        """Return the row, not an entity; raises NotFoundError."""
        rows = await self._read(self._statement(_by_key), {"row_id": id})
        if not rows:
            raise self._not_found(id)
        return rows[0]

    async def page(
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
        statement = self._statement(_page, by, descending, after is not None)
        # One more than asked for tells whether there is another page.
        parameters = {"page_limit": limit + 1}
        if after is not None:
            last = decode_cursor(after, [key.type.python_type for key in keys])
            parameters |= {f"page_{key.key}": value for key, value in zip(keys, last, strict=True)}
        rows = await self._read(statement.where(*criteria) if criteria else statement, parameters)
        items = rows[:limit]
        if len(rows) <= limit:
            return Page(items, None)
        return Page(items, encode_cursor([getattr(items[-1], key.key) for key in keys]))

    async def stream(self, *criteria: Criterion, batch: int = BATCH) -> AsyncIterator[Row]:
        """Yield every row that matches in the order of the ids, `batch` in memory at a time.

        Each batch is a query of its own, so that none has to stay open while the rows are used.
        """
        key = self._key()
        statement = self._rows().where(*criteria).order_by(key).limit(batch)
        following = statement.where(key > bindparam("stream_key", type_=key.type))
        rows = await self._read(statement)
        while rows:
            for row in rows:
                yield row
            if len(rows) < batch:
                return
            rows = await self._read(following, {"stream_key": getattr(rows[-1], key.key)})

    def add(self, entity: Model) -> None:
        """Store the entity at the next flush or at the commit."""
        self.session.add(entity)

    def add_all(self, entities: Iterable[Model]) -> None:
        """Store the entities at the next flush or at the commit."""
        self.session.add_all(entities)

    async def insert_many(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows of the same columns, or raise InvalidValueError; return how many."""
        return await self.session.run_sync(insert_rows, self.model, rows)

    async def upsert(
        self, rows: Iterable[Mapping[str, Any]], *, key: Sequence[QueryableAttribute[Any]]
    ) -> int:
        """Insert rows as insert_many does, or update those whose key exists; return how many."""
        stored, remaining = 0, alike(rows)
        while batch := list(islice(remaining, BATCH)):
            await self.session.execute(upsert(self.dialect, self.model, list(batch[0]), key), batch)
            stored += len(batch)
        return stored

    async def delete(self, entity: Model) -> None:
        """Delete the entity at the next flush or at the commit."""
        await self.session.delete(entity)

    async def delete_where(self, first: Criterion, *more: Criterion) -> int:
        """Delete the rows that match, without loading them; return how many."""
        statement = delete(self.model).where(first, *more)
        return cast("CursorResult[Any]", await self.session.execute(statement)).rowcount

    @classmethod
    @cache
    def _key(cls) -> QueryableAttribute[Any]:
        mapper = inspect(cls.model)
        if len(mapper.primary_key) > 1:
            raise TypeError(f"{cls.model.__name__} has no id of one column, as a repository needs")
        name = mapper.get_property_by_column(mapper.primary_key[0]).key
        key: QueryableAttribute[Any] = getattr(cls.model, name)
        return key

    @classmethod
    @cache
    def _columns(cls) -> Sequence[ColumnElement[Any]]:
        """Return what a row for reading holds, by the names of the attributes."""
        mapper = inspect(cls.model)
        names = [attribute.key for attribute in cls.read_columns or mapper.column_attrs]
        columns = [(name, mapper.columns[name]) for name in names]
        return [column if column.key == name else column.label(name) for name, column in columns]

    def _statement(
        self, build: Callable[..., Select[Any]], *how: Any, entities: bool = False
    ) -> Select[Any]:
        # What exists may depend on the repository, if it has a query of its own.
        if type(self).query is not Repository.query:
            return build(self.query() if entities else self._rows(), self._key(), *how)
        return self._built(build, *how, entities=entities)

    @classmethod
    @cache
    def _built(cls, build: Callable[..., Select[Any]], *how: Any, entities: bool) -> Select[Any]:
        # Once, because it takes a fifth of the time of a request.
        found = select(cls.model) if entities else select(*cls._columns())
        return build(found, cls._key(), *how)

    def _rows(self) -> Select[Any]:
        return self.query().with_only_columns(*self._columns(), maintain_column_froms=True)

    async def _read(
        self, statement: Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        return await self.session.run_sync(_read_rows, statement, parameters)

    def _ordered(self, criteria: Sequence[Criterion], order_by: Order | None) -> Select[Model]:
        order = [self._key()] if order_by is None else [nulls_last(order_by), self._key()]
        return self.query().where(*criteria).order_by(*order)

    def _not_found(self, id: Any) -> NotFoundError:
        return NotFoundError(f"No {self.model.__name__.lower()} has the id {id}.")


def _by_key(rows: Select[Any], key: QueryableAttribute[Any]) -> Select[Any]:
    return rows.where(key == bindparam("row_id"))


def _by_key_locked(rows: Select[Any], key: QueryableAttribute[Any]) -> Select[Any]:
    # What was read before the lock may be out of date.
    return _by_key(rows, key).with_for_update().execution_options(populate_existing=True)


def _page(
    rows: Select[Any],
    key: QueryableAttribute[Any],
    by: QueryableAttribute[Any] | None,
    descending: bool,
    follows: bool,
) -> Select[Any]:
    keys = [key] if by is None else [by, key]
    if follows:
        row = tuple_(*keys)
        last = tuple_(*(bindparam(f"page_{one.key}", type_=one.type) for one in keys))
        rows = rows.where(row < last if descending else row > last)
    order = [one.desc() if descending else one for one in keys]
    return rows.order_by(*order).limit(bindparam("page_limit"))


def _read_rows(
    session: Session, statement: Select[Any], parameters: Mapping[str, Any] | None
) -> Sequence[Row]:
    # Straight from the connection: of rows the session keeps nothing, and would look at each.
    if session.autoflush:
        session.flush()
    return session.connection().execute(statement, parameters).all()
