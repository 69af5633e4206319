"""The URLs of tasks."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, status

from ...api.idempotency import OnceHeader
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import NewUnitOfWork
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

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.post("", response_model=TaskRead, status_code=status.HTTP_201_CREATED)
def submit_task(
    uow: NewUnitOfWork, body: TaskCreate, header: Annotated[OnceHeader, Header()]
) -> Task:
    """Store a new task; with a key, sending it again shows it."""
    task = Task(**body.model_dump())
    asked = body.model_dump(mode="json", exclude_unset=True)
    task.made_for(header.idempotency_key, asked, owner=body.created_by)
    return service.submit_task(uow, task)


@router.get("", response_model=PageRead[TaskSummary])
def list_tasks(uow: NewUnitOfWork, query: Annotated[TaskQuery, Query()]) -> Page[Row]:
    """List the tasks that are wanted, newest first."""
    wanted = TaskFilter(**query.model_dump(exclude={"after", "limit"}))
    return service.list_tasks(uow, wanted, after=query.after, limit=query.limit)


@router.get("/{task_id}", response_model=TaskRead)
def read_task(uow: NewUnitOfWork, task_id: UUID) -> Task:
    """Show one task."""
    return service.read_task(uow, task_id)


@router.patch("/{task_id}", response_model=TaskRead)
def change_task(uow: NewUnitOfWork, task_id: UUID, body: TaskUpdate) -> Task:
    """Change what the body names."""
    return service.change_task(uow, task_id, body.model_dump(exclude_unset=True))


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_task(uow: NewUnitOfWork, task_id: UUID) -> None:
    """Remove a task and its events for good."""
    service.delete_task(uow, task_id)


@router.post("/{task_id}/status", response_model=TaskRead)
def change_status(uow: NewUnitOfWork, task_id: UUID, body: TaskStatusChange) -> Task:
    """Let a task take a step."""
    return service.change_status(uow, task_id, **body.model_dump())


@router.post("/{task_id}/archive", response_model=TaskRead)
def archive_task(uow: NewUnitOfWork, task_id: UUID, body: TaskArchive) -> Task:
    """Take a task out of the lists."""
    return service.archive_task(uow, task_id, actor=body.actor)


@router.get("/{task_id}/events", response_model=PageRead[TaskEventRead])
def list_events(
    uow: NewUnitOfWork, task_id: UUID, page: Annotated[PageQuery, Query()]
) -> Page[Row]:
    """List what happened to a task, newest first."""
    return service.list_events(uow, task_id, after=page.after, limit=page.limit)
