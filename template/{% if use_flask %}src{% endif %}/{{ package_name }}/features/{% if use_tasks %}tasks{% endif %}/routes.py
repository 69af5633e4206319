"""The URLs of tasks."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from ...api.endpoint import endpoint
from ...api.idempotency import OnceHeader
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import new_unit_of_work
from ..schemas import PageQuery, PageRead
from . import service
from .models import Task
from .repository import TaskFilter
from .schemas import (
    TaskArchive,
    TaskCreate,
    TaskEventRead,
    TaskQuery,
    TaskRead,
    TaskStatusChange,
    TaskSummary,
    TaskUpdate,
)

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")


@blueprint.post("")
@endpoint(TaskRead, status=201)
def submit_task(body: TaskCreate, header: OnceHeader) -> Task:
    """Store a new task; with a key, sending it again shows it."""
    task = Task(**body.model_dump())
    asked = body.model_dump(mode="json", exclude_unset=True)
    task.made_for(header.idempotency_key, asked, owner=body.created_by)
    return service.submit_task(new_unit_of_work(), task)


@blueprint.get("")
@endpoint(PageRead[TaskSummary])
def list_tasks(query: TaskQuery) -> Page[Row]:
    """List the tasks that are wanted, newest first."""
    wanted = TaskFilter(**query.model_dump(exclude={"after", "limit"}))
    return service.list_tasks(new_unit_of_work(), wanted, after=query.after, limit=query.limit)


@blueprint.get("/<task_id>")
@endpoint(TaskRead)
def read_task(task_id: UUID) -> Task:
    """Show one task."""
    return service.read_task(new_unit_of_work(), task_id)


@blueprint.patch("/<task_id>")
@endpoint(TaskRead)
def change_task(task_id: UUID, body: TaskUpdate) -> Task:
    """Change what the body names."""
    return service.change_task(new_unit_of_work(), task_id, body.model_dump(exclude_unset=True))


@blueprint.delete("/<task_id>")
@endpoint(status=204)
def delete_task(task_id: UUID) -> None:
    """Remove a task and its events for good."""
    service.delete_task(new_unit_of_work(), task_id)


@blueprint.post("/<task_id>/status")
@endpoint(TaskRead)
def change_status(task_id: UUID, body: TaskStatusChange) -> Task:
    """Let a task take a step."""
    return service.change_status(new_unit_of_work(), task_id, **body.model_dump())


@blueprint.post("/<task_id>/archive")
@endpoint(TaskRead)
def archive_task(task_id: UUID, body: TaskArchive) -> Task:
    """Take a task out of the lists."""
    return service.archive_task(new_unit_of_work(), task_id, actor=body.actor)


@blueprint.get("/<task_id>/events")
@endpoint(PageRead[TaskEventRead])
def list_events(task_id: UUID, query: PageQuery) -> Page[Row]:
    """List what happened to a task, newest first."""
    return service.list_events(new_unit_of_work(), task_id, after=query.after, limit=query.limit)
