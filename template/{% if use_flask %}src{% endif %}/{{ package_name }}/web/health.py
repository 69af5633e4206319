"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from flask import Blueprint, current_app

from ..api.endpoint import endpoint
from ..db.errors import UnavailableError
from .database import probe
from .readiness import READY_WITHIN, Liveness, Readiness, with_schema, without_database

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
@endpoint(Liveness)
def live() -> Liveness:
    """Tell that the process answers; nothing else is touched."""
    return Liveness()


@blueprint.get("/ready")
@endpoint(Readiness, others={503: "Not ready"})
def ready() -> tuple[Readiness, int]:
    """Tell whether the database answers in time and its schema is not behind this code."""
    try:
        readiness = with_schema(probe(current_app.extensions["database"], READY_WITHIN))
    except UnavailableError:
        readiness = without_database()
    return readiness, readiness.status_code
