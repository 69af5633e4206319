"""Tasks and their events as JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ..schemas import Name, PageQuery, Text, optional
from .models import TaskStatus

DEEPEST = 50
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")

Type = Annotated[Name, Field(max_length=64)]
Priority = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]


def refuse_number(value: Any) -> Any:
    """Return what may be a date and time: a number would be taken for seconds since 1970."""
    if ":" not in str(value):
        raise ValueError("is not a date and time")
    return value


# The first and the last day are out: in another time zone they may lie outside the calendar.
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(refuse_number),
    Field(ge=datetime(1, 1, 2, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),
    AfterValidator(lambda moment: moment.astimezone(UTC)),
]


def refuse_unstorable(value: Any, depth: int = 1) -> Any:
    """Return the JSON; raises a ValueError if a database would refuse it."""
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            refuse_unstorable(key, depth)
            refuse_unstorable(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            refuse_unstorable(inner, depth + 1)
    elif isinstance(value, str) and UNSTORABLE.search(value):
        raise ValueError("holds a character that cannot be stored")
    elif isinstance(value, int | float) and not -(2**63) <= value < 2**63:
        raise ValueError("holds a number that does not fit 64 bits")
    return value


# They are in every list of tasks.
Tags = Annotated[list[Name], Field(max_length=100)]
Json = Annotated[dict[str, Any], BeforeValidator(refuse_unstorable)]


class TaskCreate(BaseModel):
    """A new task."""

    model_config = ConfigDict(extra="forbid")

    type: Type
    name: Name | None = None
    description: Text | None = None
    priority: Priority = 0
    configuration: Json
    created_by: Name
    tags: Tags = []
    expires_at: Moment | None = None


class TaskUpdate(BaseModel):
    """What may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    description: Text | None = None
    priority: Priority = optional()
    tags: Tags = optional()
    expires_at: Moment | None = None


class TaskStatusChange(BaseModel):
    """A step, who takes it, and what came of it."""

    model_config = ConfigDict(extra="forbid")

    status: TaskStatus
    actor: Name | None = None
    result: Json | None = None
    error: Json | None = None


class TaskArchive(BaseModel):
    """Who takes the task out of the lists."""

    model_config = ConfigDict(extra="forbid")

    actor: Name | None = None


class TaskQuery(PageQuery):
    """Which tasks are wanted, and which page of them."""

    active: bool = True
    status: TaskStatus | None = None
    type: Type | None = None
    created_by: Name | None = None
    name_contains: Name | None = None
    tag: Name | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None


class TaskSummary(BaseModel):
    """A stored task in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    type: str
    name: str | None
    status: TaskStatus
    priority: int
    created_by: str
    tags: list[str]
    active: bool
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskRead(TaskSummary):
    """A stored task with all that is known about it."""

    description: str | None
    configuration: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class TaskEventRead(BaseModel):
    """Something that happened to a task."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    type: str
    data: dict[str, Any] | None
    previous_status: TaskStatus | None
    new_status: TaskStatus | None
    actor: str | None
    created_at: datetime
