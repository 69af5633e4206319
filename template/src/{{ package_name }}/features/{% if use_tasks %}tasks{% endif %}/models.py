"""What a task is, which status may follow which, and what is known of its past."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, text, true
from sqlalchemy.orm import Mapped, mapped_column, validates

from ...db.base import Base, HasId, HasTimestamps
from ...db.errors import InvalidValueError
from ...db.idempotency import HasIdempotencyKey
from ...db.types import JSONString, enum_by_value, utc_now
from .errors import InvalidTransitionError


class TaskStatus(StrEnum):
    """How far a task is."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    VALIDATING = "validating"
    PREPARING = "preparing"
    BUILDING = "building"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether no other status may follow."""
        return not NEXT_STATUSES[self]


NEXT_STATUSES: dict[str, set[str]] = {
    "pending": {"submitted", "failed", "cancelled"},
    "submitted": {"validating", "failed", "cancelled"},
    "validating": {"preparing", "failed", "cancelling"},
    "preparing": {"building", "running", "failed", "cancelling"},
    "building": {"running", "failed", "cancelling"},
    "running": {"completed", "failed", "cancelling"},
    "cancelling": {"cancelled", "failed"},
    "completed": set(),
    "failed": set(),
    "cancelled": set(),
}


class Task(HasIdempotencyKey, HasTimestamps, Base):
    """Work that somebody asked for, and how far it is."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_created_at", "created_at"),
        Index(
            "ix_tasks_status",
            "status",
            sqlite_where=text("active = 1"),
            postgresql_where=text("active"),
        ),
        Index(
            "ix_tasks_type",
            "type",
            sqlite_where=text("active = 1"),
            postgresql_where=text("active"),
        ),
    )

    type: Mapped[str] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[TaskStatus] = mapped_column(
        enum_by_value(TaskStatus), default=TaskStatus.PENDING, server_default=TaskStatus.PENDING
    )
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    configuration: Mapped[dict[str, Any]] = mapped_column(JSONString)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONString)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONString)
    created_by: Mapped[str] = mapped_column(String(255), index=True)
    tags: Mapped[list[str]] = mapped_column(JSONString, default=list, server_default="[]")
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)

    @validates("configuration", "result", "error")
    def _check_object(self, key: str, value: Any) -> Any:
        if value is not None and not isinstance(value, dict):
            raise InvalidValueError(f"A task's {key} is an object of JSON.")
        return value

    @validates("tags")
    def _check_tags(self, key: str, value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
            raise InvalidValueError("A task's tags are a list of texts.")
        return value

    def change_status(
        self,
        status: TaskStatus,
        *,
        actor: str | None,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> TaskEvent:
        """Take a step and return its event, to be stored too; raises InvalidTransitionError."""
        if status not in NEXT_STATUSES[self.status]:
            raise InvalidTransitionError(f"A task that is {self.status} cannot become {status}.")
        event = TaskEvent(
            task_id=self.id,
            type="status_changed",
            data=error,
            previous_status=self.status,
            new_status=status,
            actor=actor,
            created_at=utc_now(),
        )
        self.status = status
        if status is TaskStatus.RUNNING:
            self.started_at = event.created_at
        if status.is_terminal:
            self.finished_at = event.created_at
        if result is not None:
            self.result = result
        if error is not None:
            self.error = error
        return event


class TaskEvent(HasId, Base):
    """Something that happened to a task; it goes with its task."""

    __tablename__ = "task_events"

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any] | None] = mapped_column(JSONString)
    previous_status: Mapped[TaskStatus | None] = mapped_column(enum_by_value(TaskStatus))
    new_status: Mapped[TaskStatus | None] = mapped_column(enum_by_value(TaskStatus))
    actor: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(
        default=utc_now, server_default=text("CURRENT_TIMESTAMP"), sort_order=1
    )
