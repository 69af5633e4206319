"""Whether the service can run with these settings, on this database; no table is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from . import migrations
from .backends import LANGUAGES
from .base import Base
from .engine import run_on_connection
from .errors import DataLayerError
from .findings import Finding
from .pool import most_connections
from .prefix import PREFIX
from .reading import READ_ONLY
from .runtime import run
from .settings import DatabaseSettings, Environment
from .translation import translate

_FAILURES = (DataLayerError, DBAPIError)


def check(settings: DatabaseSettings, workers: int) -> Iterator[Finding]:
    """Yield what is right and what is not, for so many processes."""
    language = LANGUAGES[settings.url.get_backend_name()]
    in_production = settings.environment is Environment.PRODUCTION
    yield Finding("ok", "S001", f"the settings are valid, for {settings.environment}")
    if in_production and settings.database_echo:
        yield Finding(
            "warning", "S002", "every statement is logged", f"unset {PREFIX}DATABASE_ECHO"
        )
    if in_production:
        yield from language.look_at_settings(settings)
    yield _heads()

    def look(connection: Connection) -> Iterator[Finding]:
        yield from look_at_server(connection, settings, workers, "D001", connection.dialect.name)
        for query, risk in language.RISKS if in_production else ():
            if connection.scalar(text(query)):
                yield risk
        yield from _schema(connection)

    hint = f"see that what {PREFIX}DATABASE_URL names is there, and lets this process in"
    unseen = Finding("skipped", "M002", "the schema could not be looked at")
    yield from connect(settings, look, Finding("error", "D001", "", hint), unseen)


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
        found.extend(look(connection))

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
    yield Finding("ok", code, f"{name} answers")
    each = most_connections(settings)
    if room is None or each == 0:
        return
    sizes = f"{name} takes {room} connections, and the pools may open {workers} x {each}"
    if workers * each <= room:
        yield Finding("ok", "D002", sizes)
    else:
        lower = f"lower {PREFIX}DATABASE_POOL_SIZE or {PREFIX}DATABASE_MAX_OVERFLOW"
        yield Finding("warning", "D002", sizes, f"{lower}, or serve with fewer processes")


def _heads() -> Finding:
    heads = migrations.heads()
    if len(heads) < 2:
        return Finding("ok", "M001", f"the migrations end at {_names(heads)}")
    hint = "put one on top of the other: ./manage.py rebase"
    return Finding("error", "M001", f"the migrations have several ends: {_names(heads)}", hint)


def _schema(connection: Connection) -> Iterator[Finding]:
    current = frozenset(MigrationContext.configure(connection).get_current_heads())
    at = f"the schema is at {_names(current)}"
    if migrations.is_behind(current):
        newest = _names(migrations.heads())
        yield Finding("error", "M002", f"{at}, behind {newest}", "run migrate")
        yield Finding("skipped", "M004", "the models were not compared with it")
        return
    if migrations.unknown(current):
        hint = "deploy the newer version that made it, unless that is being done"
        yield Finding("warning", "M003", f"{at}, which this code does not know", hint)
    else:
        yield Finding("ok", "M002", f"{at}, up to date")
    if missing := _missing_columns(connection):
        lacking = f"the schema lacks what the models have: {', '.join(missing)}"
        yield Finding("error", "M004", lacking, "make a migration: ./manage.py makemigrations")
    else:
        yield Finding("ok", "M004", "the schema has what the models have")


def _missing_columns(connection: Connection) -> list[str]:
    missing: list[str] = []
    found = inspect(connection)
    tables = found.get_table_names()
    for table in Base.metadata.sorted_tables:
        if table.name not in tables:
            missing.append(table.name)
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        missing.extend(str(column) for column in table.columns if column.name not in there)
    return missing


def _names(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "no revision"
