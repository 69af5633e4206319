"""What is counted and timed of the requests, and how Prometheus is told everything."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ..db.measures import FOLDER, ended, kept
from ..db.metrics import SECONDS

PATH = "/metrics"
MEDIA_TYPE = CONTENT_TYPE_LATEST

REQUEST = Histogram(
    "http_request_duration_seconds",
    "From a request to the end of its answer.",
    ["method", "route", "status"],
    buckets=SECONDS,
)

METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


@cache
def _series(method: str, route: str, status: int) -> Callable[[float], None]:
    return kept(REQUEST.labels(method, route, status).observe)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count an answer; a client can make up methods and paths, but no more series by them."""
    series = _series(method if method in METHODS else "other", route or "none", status)
    series(seconds)
    ended()


def exposition() -> bytes:
    """Return all metrics in Prometheus's format, of every process that serves."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return generate_latest(REGISTRY)
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """Count no connections of processes that have ended; what they have done stays counted."""
    for path in folder.glob("gauge_live*.db"):
        named = re.search(r"_(\d+)\.db$", path.name)
        if named and not _is_alive(int(named[1])):
            mark_process_dead(int(named[1]), str(folder))  # type: ignore[no-untyped-call]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
