"""What the health checks tell."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from ..db.migrations import heads, is_behind

READY_WITHIN = 2.0


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests can be served, and where the schema stands."""

    status: Literal["ready", "unavailable"]
    database: Literal["up", "down"]
    revision: list[str]
    head: list[str]

    @property
    def status_code(self) -> int:
        """What a probe understands."""
        return 200 if self.status == "ready" else 503


def without_database() -> Readiness:
    """Return what is told while no database answers."""
    return Readiness(status="unavailable", database="down", revision=[], head=sorted(heads()))


def with_schema(revision: frozenset[str]) -> Readiness:
    """Return what is told of a database that answers, by the revision of its schema."""
    behind = is_behind(revision)
    return Readiness(
        status="unavailable" if behind else "ready",
        database="up",
        revision=sorted(revision),
        head=sorted(heads()),
    )
