"""Tasks to develop with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ...db.seeding import seed_id
from ..unit_of_work import UnitOfWork
from .models import Task, TaskEvent, TaskStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = [
    TaskStatus.PENDING,
    TaskStatus.SUBMITTED,
    TaskStatus.VALIDATING,
    TaskStatus.PREPARING,
    TaskStatus.BUILDING,
    TaskStatus.RUNNING,
]
# One way to each status.
WAYS = [
    *(RUN[:steps] for steps in range(1, len(RUN) + 1)),
    [*RUN, TaskStatus.COMPLETED],
    [*RUN, TaskStatus.FAILED],
    [*RUN, TaskStatus.CANCELLING],
    [*RUN, TaskStatus.CANCELLING, TaskStatus.CANCELLED],
]


async def seed_tasks(uow: UnitOfWork, rows: int) -> None:
    """Store tasks of every status and their events, with fixed ids: a second run finds them."""
    numbers = range(1, rows + 1)
    await uow.tasks.upsert((_task(number) for number in numbers), key=[Task.id])
    await uow.task_events.upsert(
        (event for number in numbers for event in _events(number)), key=[TaskEvent.id]
    )


def _task(number: int) -> dict[str, Any]:
    times = {event["new_status"]: event["created_at"] for event in _events(number)}
    status, changed_at = list(times.items())[-1]
    return {
        "id": seed_id(number),
        "type": f"type {number % 3}",
        "name": f"Task {number}",
        "status": status,
        "priority": number % 2,
        "configuration": {"number": number},
        "created_by": f"user{number % 5}@example.com",
        "tags": ["example", f"tag {number % 4}"],
        "created_at": times[TaskStatus.PENDING],
        "started_at": times.get(TaskStatus.RUNNING),
        "finished_at": changed_at if status.is_terminal else None,
    }


def _events(number: int) -> Iterator[dict[str, Any]]:
    way = WAYS[number % len(WAYS)]
    for step, status in enumerate(way):
        yield {
            "id": seed_id(number * len(WAYS) + step),
            "task_id": seed_id(number),
            "type": "status_changed" if step else "created",
            "previous_status": way[step - 1] if step else None,
            "new_status": status,
            "actor": f"user{number % 5}@example.com",
            "created_at": START + timedelta(minutes=number, seconds=step),
        }
