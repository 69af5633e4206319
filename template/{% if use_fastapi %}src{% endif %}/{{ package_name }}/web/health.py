"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..db.errors import UnavailableError
from .database import probe
from .readiness import READY_WITHIN, Liveness, Readiness, with_schema, without_database

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Liveness:
    """Tell that the process answers; nothing else is touched."""
    return Liveness()


@router.get("/ready", responses={503: {"model": Readiness, "description": "Not ready"}})
async def ready(request: Request, response: Response) -> Readiness:
    """Tell whether the database answers in time and its schema is not behind this code."""
    try:
        readiness = with_schema(await probe(request.app.state.database, READY_WITHIN))
    except UnavailableError:
        readiness = without_database()
    response.status_code = readiness.status_code
    return readiness
