"""The statements of the four paths, as one would write them by hand, and what they return.

The rendered project is on the path, for its schemas, its tables and its cursors: those are alike
on both sides. A ceiling has no repository, no unit of work, no retry and no handling of errors.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shop.db.pages import encode_cursor
from shop.features.items.models import Item
from shop.features.items.schemas import ItemCreate
from shop.features.tasks.models import Task
from shop.features.tasks.schemas import TaskSummary
from sqlalchemy import Insert, Select, Table, insert, select
from uuid_utils.compat import uuid7

Rows = Sequence[Mapping[str, Any]]

URL = os.environ.get("BENCH_URL", "")
POOL = int(os.environ.get("BENCH_POOL", "16"))
ITEMS: Table = Item.__table__  # type: ignore[assignment]
TASKS: Table = Task.__table__  # type: ignore[assignment]
SUMMARY = [TASKS.c[name] for name in TaskSummary.model_fields]

_ITEM_NAMES = ", ".join(column.name for column in ITEMS.columns)
_TASK_NAMES = ", ".join(column.name for column in SUMMARY)
GET = f"SELECT {_ITEM_NAMES} FROM items WHERE id = %s"
LIST = f"SELECT {_ITEM_NAMES} FROM items ORDER BY id LIMIT %s"
INSERT = f"INSERT INTO items ({_ITEM_NAMES}) VALUES (%s, %s, %s, %s, %s)"
PAGE = f"SELECT {_TASK_NAMES} FROM tasks WHERE active ORDER BY created_at DESC, id DESC LIMIT %s"


def get(id: UUID) -> Select[Any]:
    return select(ITEMS).where(ITEMS.c.id == id)


def list_items(limit: int) -> Select[Any]:
    return select(ITEMS).order_by(ITEMS.c.id).limit(limit)


def add_item() -> Insert:
    return insert(ITEMS)


def page(limit: int) -> Select[Any]:
    newest = (TASKS.c.created_at.desc(), TASKS.c.id.desc())
    return select(*SUMMARY).where(TASKS.c.active.is_(True)).order_by(*newest).limit(limit)


def new_item(body: ItemCreate) -> dict[str, Any]:
    """Return the values of the row, in the order of the columns."""
    now = datetime.now(UTC)
    values = {"id": uuid7(), **body.model_dump(), "created_at": now, "updated_at": now}
    return {column.name: values[column.name] for column in ITEMS.columns}


def page_of(
    rows: Sequence[Any],
    limit: int,
    *keys: str,
    read: Callable[[Any, str], object] = operator.getitem,
) -> dict[str, Any]:
    """Return the page of the rows, of which there is one more if there is another page."""
    items = rows[:limit]
    if len(rows) <= limit:
        return {"items": items, "next": None}
    return {"items": items, "next": encode_cursor([read(items[-1], key) for key in keys])}
