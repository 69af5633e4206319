"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from ..db.errors import UnavailableError
from ..db.migrations import heads, is_behind
from .database import probe

READY_WITHIN = 2.0

router = APIRouter(prefix="/health", tags=["health"])


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests can be served, and where the schema stands."""

    status: Literal["ready", "unavailable"]
    database: Literal["up", "down"]
    revision: list[str]
    head: list[str]


@router.get("/live")
async def live() -> Liveness:
    """Tell that the process answers; nothing else is touched."""
    return Liveness()


@router.get("/ready", responses={503: {"model": Readiness, "description": "Not ready"}})
async def ready(request: Request, response: Response) -> Readiness:
    """Tell whether the database answers in time and its schema is not behind this code."""
    head = sorted(heads())
    try:
        revision = await probe(request.app.state.database, READY_WITHIN)
    except UnavailableError:
        response.status_code = 503
        return Readiness(status="unavailable", database="down", revision=[], head=head)
    behind = is_behind(revision)
    response.status_code = 503 if behind else 200
    status: Literal["ready", "unavailable"] = "unavailable" if behind else "ready"
    return Readiness(status=status, database="up", revision=sorted(revision), head=head)
