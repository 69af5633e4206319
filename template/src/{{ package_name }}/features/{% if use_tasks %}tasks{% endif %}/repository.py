"""How tasks and their events are found and stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ...db.repository import Criterion, Repository
from ...db.statements import holds
from .models import Task, TaskEvent, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks are wanted; what is None does not matter."""

    active: bool = True
    status: TaskStatus | None = None
    type: str | None = None
    created_by: str | None = None
    name_contains: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class TaskRepository(Repository[Task]):
    """The tasks; rows for reading hold no JSON but the tags."""

    model = Task
    read_columns = (
        Task.id,
        Task.type,
        Task.name,
        Task.status,
        Task.priority,
        Task.created_by,
        Task.tags,
        Task.active,
        Task.started_at,
        Task.finished_at,
        Task.expires_at,
        Task.created_at,
        Task.updated_at,
    )

    def matching(self, wanted: TaskFilter) -> Iterator[Criterion]:
        """Yield what is true of the tasks that are wanted."""
        yield Task.active == wanted.active
        if wanted.status is not None:
            yield Task.status == wanted.status
        if wanted.type is not None:
            yield Task.type == wanted.type
        if wanted.created_by is not None:
            yield Task.created_by == wanted.created_by
        if wanted.name_contains is not None:
            yield Task.name.icontains(wanted.name_contains, autoescape=True)
        if wanted.tag is not None:
            # Not by the text of the JSON: a tag may hold what stands between two others.
            yield holds(self.session.get_bind().dialect.name, Task.tags, wanted.tag)
        if wanted.created_after is not None:
            yield Task.created_at > wanted.created_after
        if wanted.created_before is not None:
            yield Task.created_at < wanted.created_before


class TaskEventRepository(Repository[TaskEvent]):
    """What happened to tasks."""

    model = TaskEvent
