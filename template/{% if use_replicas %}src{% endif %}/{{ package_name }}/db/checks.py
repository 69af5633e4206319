"""Whether the service can run with these settings, on this primary and these replicas."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import postgres_language, primary_checks
from .findings import Finding
from .prefix import PREFIX
from .settings import DatabaseSettings, Environment


def check(settings: DatabaseSettings, workers: int) -> Iterator[Finding]:
    """Yield what is right and what is not, for so many processes."""
    # While the primary stands in for a replica, that one's pools are filled there, too.
    yield from primary_checks.check(settings, workers * (1 + len(settings.replica_urls)))
    for url in settings.replica_urls:
        own = {"database_url": url, "database_direct_url": None}
        yield from _replica(settings.model_copy(update=own), workers)


def _replica(settings: DatabaseSettings, workers: int) -> Iterator[Finding]:
    if settings.environment is Environment.PRODUCTION:
        yield from postgres_language.look_at_settings(settings)
    name = f"the replica {settings.address}"
    look = partial(
        primary_checks.look_at_server, settings=settings, workers=workers, code="D003", name=name
    )
    hint = f"the primary is read instead: start it, or take it out of {PREFIX}DATABASE_REPLICA_URL"
    yield from primary_checks.connect(settings, look, Finding("warning", "D003", "", hint))
