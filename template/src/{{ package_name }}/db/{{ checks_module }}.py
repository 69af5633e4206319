"""Whether the service can run with these settings, on this database: nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from . import migrations
from .backends import LANGUAGES
from .comparison import missing_columns
from .engine import run_on_connection
from .errors import DataLayerError
from .findings import Finding, Level
from .pool import most_connections
from .prefix import PREFIX
from .reading import READ_ONLY
from .runtime import run
from .settings import DatabaseSettings, Environment
from .translation import translate

_FAILURES = (DataLayerError, DBAPIError)


def check(settings: DatabaseSettings, workers: int) -> Iterator[Finding]:
    """Yield what is right and what is not, for so many processes."""
    yield Finding(Level.OK, "S001", f"the settings are valid, for {settings.environment}")
    if settings.environment is Environment.PRODUCTION:
        yield from _settings(settings)
    yield _heads()

    def look(connection: Connection) -> Iterator[Finding]:
        backend = connection.dialect.name
        yield from look_at_server(connection, settings, workers, "D001", backend)
        if settings.environment is Environment.PRODUCTION:
            yield from _risks(connection)
        yield from _schema(connection)

    named = f"see that what {PREFIX}DATABASE_URL names is there, and lets this process in"
    yield from connect(
        settings,
        look,
        Finding(Level.ERROR, "D001", "", named),
        Finding(Level.SKIPPED, "M002", "the schema was not looked at"),
    )


def connect(
    settings: DatabaseSettings,
    look: Callable[[Connection], Iterator[Finding]],
    failure: Finding,
    *skipped: Finding,
) -> Iterator[Finding]:
    """Yield what is seen over a connection like the service's, and what made that fail."""
    found: list[Finding] = []

    def collect(connection: Connection) -> None:
        connection.execution_options(**{READ_ONLY: True})
        for finding in look(connection):
            found.append(finding)

    try:
        run(run_on_connection, settings, collect, for_migrations=False)
    except _FAILURES as error:
        problem = error if isinstance(error, DataLayerError) else translate(error)
        if problem is None:
            raise
        why = f"{str(problem).rstrip('.')} ({settings.address})"
        found += [failure._replace(text=why), *skipped]
    yield from found


def look_at_server(
    connection: Connection, settings: DatabaseSettings, workers: int, code: str, name: str
) -> Iterator[Finding]:
    """Yield that it answers, and whether it has room for the pools of all processes."""
    query = LANGUAGES[connection.dialect.name].room(settings)
    room = connection.scalar(text(query)) if query else None
    yield Finding(Level.OK, code, f"{name} answers")
    each = most_connections(settings)
    if room is None or each == 0:
        return
    sizes = f"{name} takes {room} connections, and the pools may open {workers} x {each}"
    if workers * each <= room:
        yield Finding(Level.OK, "D002", sizes)
    else:
        lower = f"lower {PREFIX}DATABASE_POOL_SIZE or {PREFIX}DATABASE_MAX_OVERFLOW"
        yield Finding(Level.WARNING, "D002", sizes, f"{lower}, or serve with fewer processes")


def _settings(settings: DatabaseSettings) -> Iterator[Finding]:
    if settings.database_echo:
        name = f"{PREFIX}DATABASE_ECHO"
        yield Finding(Level.WARNING, "S002", "every statement is logged", f"unset {name}")
    yield from LANGUAGES[settings.url.get_backend_name()].look_at_settings(settings)


def _risks(connection: Connection) -> Iterator[Finding]:
    for query, finding in LANGUAGES[connection.dialect.name].RISKS:
        if connection.scalar(text(query)):
            yield finding


def _heads() -> Finding:
    heads = migrations.heads()
    if len(heads) < 2:
        return Finding(Level.OK, "M001", f"the newest migration is {_names(heads)}")
    several = f"several migrations are the newest: {_names(heads)}"
    return Finding(Level.ERROR, "M001", several, "put one on top of the other: ./manage.py rebase")


def _schema(connection: Connection) -> Iterator[Finding]:
    current = frozenset(MigrationContext.configure(connection).get_current_heads())
    at = f"at {_names(current)}"
    if migrations.is_behind(current):
        behind = f"the schema is {at}, behind {_names(migrations.heads())}"
        yield Finding(Level.ERROR, "M002", behind, "run migrate")
        yield Finding(Level.SKIPPED, "M004", "the models are not compared with a schema that is behind")
        return
    if migrations.unknown(current):
        newer = "deploy the newer version that made it, unless that is being done"
        yield Finding(Level.WARNING, "M003", f"the schema is {at}, unknown to this code", newer)
    else:
        yield Finding(Level.OK, "M002", f"the schema is up to date, {at}")
    if missing := missing_columns(connection):
        lacking = f"the schema lacks what the models have: {', '.join(missing)}"
        yield Finding(
            Level.ERROR, "M004", lacking, "make a migration of it: ./manage.py makemigrations"
        )
    else:
        yield Finding(Level.OK, "M004", "the schema has what the models have")


def _names(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "no revision"
