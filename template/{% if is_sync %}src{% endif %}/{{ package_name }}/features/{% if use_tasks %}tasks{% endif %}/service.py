"""What can be done with tasks; each function is one transaction, a task's event included."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...db.idempotency import idempotent, stored_before
from ...db.pages import Page
from ...db.repository import Row
from ...db.retry import repeated
from ...db.types import utc_now
from ..unit_of_work import UnitOfWork
from .models import Task, TaskEvent, TaskStatus
from .repository import TaskFilter


@idempotent
def submit_task(uow: UnitOfWork, task: Task) -> Task:
    """Store a new task and its first event, or return it if that is done; raises KeyReusedError."""
    with uow:
        earlier = stored_before(uow.tasks, task)
        if earlier is not None:
            return earlier
        uow.tasks.add(task)
        # The event needs the task's id.
        uow.flush()
        uow.task_events.add(
            TaskEvent(
                task_id=task.id, type="created", new_status=task.status, actor=task.created_by
            )
        )
    return task


@repeated
def read_task(uow: UnitOfWork, task_id: UUID) -> Task:
    """Return one task, its JSON included; raises NotFoundError."""
    with uow.read_only():
        return uow.tasks.get_one(task_id)


@repeated
def list_tasks(uow: UnitOfWork, wanted: TaskFilter, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of the tasks that are wanted, newest first; raises InvalidCursorError."""
    with uow.read_only():
        return uow.tasks.page(
            *uow.tasks.matching(wanted),
            by=Task.created_at,
            descending=True,
            after=after,
            limit=limit,
        )


@repeated
def change_task(uow: UnitOfWork, task_id: UUID, changes: dict[str, Any]) -> Task:
    """Set some attributes of a task; raises NotFoundError."""
    with uow:
        task = uow.tasks.get_one(task_id, for_update=True)
        for name, value in changes.items():
            setattr(task, name, value)
    return task


@repeated
def change_status(
    uow: UnitOfWork,
    task_id: UUID,
    status: TaskStatus,
    *,
    actor: str | None,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> Task:
    """Let a task take a step; raises NotFoundError and InvalidTransitionError."""
    with uow:
        task = uow.tasks.get_one(task_id, for_update=True)
        uow.task_events.add(task.change_status(status, actor=actor, result=result, error=error))
    return task


@repeated
def archive_task(uow: UnitOfWork, task_id: UUID, *, actor: str | None) -> Task:
    """Take a task out of the lists; doing so twice leaves one event. Raises NotFoundError."""
    with uow:
        task = uow.tasks.get_one(task_id, for_update=True)
        if task.active:
            task.active = False
            uow.task_events.add(TaskEvent(task_id=task.id, type="archived", actor=actor))
    return task


@repeated
def delete_task(uow: UnitOfWork, task_id: UUID) -> None:
    """Remove a task for good and, by the foreign key, its events; raises NotFoundError."""
    with uow:
        uow.tasks.delete(uow.tasks.get_one(task_id, for_update=True))


@repeated
def list_events(uow: UnitOfWork, task_id: UUID, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of a task's events, newest first; raises NotFoundError, InvalidCursorError."""
    with uow.read_only():
        uow.tasks.read_one(task_id)
        return uow.task_events.page(
            TaskEvent.task_id == task_id,
            by=TaskEvent.created_at,
            descending=True,
            after=after,
            limit=limit,
        )


@repeated
def delete_expired(uow: UnitOfWork) -> int:
    """Remove the tasks whose time is over, and their events; return how many tasks."""
    with uow:
        return uow.tasks.delete_where(Task.expires_at <= utc_now())
