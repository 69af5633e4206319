"""Many rows for one table, without all that SQLAlchemy does for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from .layout import Writer
from .statements import alike

FIRST, BATCH = 1000, 5000


def insert_rows(session: Session, model: type[Any], rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert rows of the same columns; return how many."""
    keys = {name: column.key for name, column in inspect(model).columns.items()}
    remaining = alike(rows)
    if any(name != key for name, key in keys.items()):
        remaining = ({keys.get(name, name): row[name] for name in row} for row in remaining)
    inserted, send = 0, None
    while batch := list(islice(remaining, BATCH if send else FIRST)):
        if send and len(batch) > 1:
            send(batch)
        else:
            # Few rows cost no more than they must; many go by what SQLAlchemy made of the first.
            result: Any = session.execute(insert(model.__table__), batch)
            send = _sender(result.context) if len(batch) == FIRST else None
        inserted += len(batch)
    return inserted


def _sender(context: Any) -> Callable[[list[dict[str, Any]]], None] | None:
    """Return what sends more rows; None if their statement does more than to take the values."""
    compiled, table = context.compiled, context.compiled.statement.table
    keys, defaults = list(compiled.positiontup or compiled.binds), compiled.insert_prefetch
    for one in table.columns:
        made_there = one.default is not None and one.key not in keys
        if made_there or one.type.bind_expression(compiled.binds.get(one.key)) is not None:
            return None
    columns, dialect = [table.columns[key] for key in keys], context.dialect
    encoders = [one.type.dialect_impl(dialect).bind_processor(dialect) for one in columns]
    writer = Writer(table, dialect, columns)

    def send(rows: list[dict[str, Any]]) -> None:
        for row in rows if defaults else ():
            # As SQLAlchemy does it, because a default may look at the rest of its row.
            context.current_parameters = row
            for column in defaults:
                row[column.key] = context.get_insert_default(column)
        values = [map(itemgetter(key), rows) for key in keys]
        encoded = [map(do, one) if do else one for do, one in zip(encoders, values, strict=True)]
        tuples = list(zip(*encoded, strict=True))
        context.root_connection.exec_driver_sql(writer.insert, tuples, writer.options)

    return send
