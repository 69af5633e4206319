"""How migrations run: by `alembic`, by this service's command line, and in tests."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.operations.ops import DropTableOp, MigrationScript, ModifyTableOps
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Enum, MetaData, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import False_, True_

from .backends import LANGUAGES
from .engine import run_on_connection
from .errors import SchemaBehindError, SchemaExistsError, UnavailableError
from .reading import READ_ONLY
from .runtime import run
from .settings import DatabaseSettings, SettingsError
from .translation import translate

# Any number will do, as long as every process of this service takes the same.
LOCK_KEY = 7_305_811_094
LOCK_WAIT = 600.0


def alembic_config() -> Config:
    """Return the configuration that the `alembic` command reads from pyproject.toml."""
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def revisions() -> ScriptDirectory:
    """Return the migrations folder, read once."""
    return ScriptDirectory.from_config(alembic_config())


def heads() -> frozenset[str]:
    """Return the newest revisions in the migrations folder."""
    return frozenset(revisions().get_heads())


def is_behind(current: frozenset[str]) -> bool:
    """Tell whether a schema at these revisions lacks a migration of this code.

    A revision that this code does not know is a later one: a newer version is being deployed.
    """
    return not heads() <= current and not unknown(current)


def unknown(current: frozenset[str]) -> frozenset[str]:
    """Return which of these revisions this code does not know."""
    return current - {script.revision for script in revisions().walk_revisions()}


def upgrade(settings: DatabaseSettings, revision: str = "head") -> None:
    """Bring the schema to a revision; raises CommandError with one clear line."""
    config = alembic_config()
    config.attributes["settings"] = settings
    command.upgrade(config, revision)


def run_migrations(settings_type: type[DatabaseSettings], metadata: MetaData) -> None:
    """Do what Alembic was asked for; migrations/env.py is only this call."""
    if context.config.cmd_opts is not None:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    try:
        settings = context.config.attributes.get("settings") or settings_type.load()
    except SettingsError as error:
        raise CommandError(str(error)) from error
    if context.is_offline_mode():
        _write_sql(settings, metadata)
        return
    try:
        run(run_on_connection, settings, partial(_migrate, metadata))
    except (UnavailableError, DBAPIError) as error:
        problem = error if isinstance(error, UnavailableError) else translate(error)
        if isinstance(problem, SchemaExistsError):
            failed = LANGUAGES[settings.url.get_backend_name()].FAILED
            raise CommandError(f"{problem} {failed} ({settings.address})") from error
        # What else a migration runs into is a mistake in it, and needs the traceback.
        if not isinstance(problem, UnavailableError) or isinstance(problem, SchemaBehindError):
            error.add_note(LANGUAGES[settings.url.get_backend_name()].FAILED)
            raise
        raise CommandError(f"{problem} ({settings.address})") from error


def _migrate(metadata: MetaData, connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        # SQLite holds its lock for all revisions at once; elsewhere each one stands by itself.
        transaction_per_migration=not is_sqlite,
        transactional_ddl=True,
        **_options(metadata, connection.dialect.name),
    )
    if is_sqlite:
        # It does everything in a transaction, and leaving that would let go of its lock.
        context.get_context().autocommit_block = nullcontext  # type: ignore[assignment,method-assign]
    target = _target()
    if target and _is_at(target, connection.engine):
        return
    with _lock(connection.engine) if target else nullcontext(), context.begin_transaction():
        context.run_migrations()
        if target and is_sqlite:
            _check_foreign_keys(connection)


def _write_sql(settings: DatabaseSettings, metadata: MetaData) -> None:
    context.configure(
        url=settings.url,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transaction_per_migration=True,
        **_options(metadata, settings.url.get_backend_name()),
    )
    with context.begin_transaction():
        context.run_migrations()


def _options(metadata: MetaData, backend: str) -> dict[str, Any]:
    def is_ours(name: str | None, kind: str, parents: Any) -> bool:
        # Other services' tables may live in the same database: leave them alone.
        return kind != "table" or name in metadata.tables

    return {
        "target_metadata": metadata,
        "include_name": is_ours,
        # Written so everywhere, because a migration made on PostgreSQL must also run on SQLite.
        "render_as_batch": True,
        "render_item": _render_item,
        "process_revision_directives": _drop_tables_whole,
        "compare_server_default": LANGUAGES[backend].COMPARE_DEFAULTS,
        "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    }


def _drop_tables_whole(context: Any, revision: Any, scripts: list[MigrationScript]) -> None:
    """Leave a dropped table's indexes to it: MySQL keeps those that a foreign key needs."""
    for script in scripts:
        for steps in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            dropped = {step.table_name for step in steps.ops if isinstance(step, DropTableOp)}
            steps.ops = [
                step
                for step in steps.ops
                if not (isinstance(step, ModifyTableOps) and step.table_name in dropped)
            ]


def _render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    default = getattr(item, "arg", None)
    if kind == "server_default" and isinstance(default, True_ | False_):
        # Alembic would write what this database calls it.
        return f"sa.{default}()"
    if kind != "type":
        return False
    if isinstance(item, Enum) and not item.native_enum:
        return f"sa.String(length={item.length})"
    written: str = getattr(item, "migration_type", "")
    if type(item).__module__.startswith(postgresql.__name__):
        # Alembic knows where the types inside it come from on PostgreSQL only.
        written = re.sub(r"(?<![\w.'])[A-Z]\w*(?=\()", _with_module, repr(item))
    if "postgresql." in written:
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
    return written or False


def _with_module(name: re.Match[str]) -> str:
    return f"{'postgresql' if name[0] in postgresql.__all__ else 'sa'}.{name[0]}"


def _target() -> frozenset[str]:
    """Return the revisions to reach; none for commands that only look, such as check."""
    try:
        target = context.get_revision_argument()
    except KeyError:
        return frozenset()
    return frozenset((target,) if isinstance(target, str) else target or ("base",))


def _is_at(target: frozenset[str], engine: Engine) -> bool:
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        current = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    return frozenset(current) == target == heads()


@contextmanager
def _lock(engine: Engine) -> Iterator[None]:
    """Keep other processes from migrating, where the database does not do that by itself.

    Polled on a connection without a transaction: one that waits inside a transaction would
    deadlock with CREATE INDEX CONCURRENTLY.
    """
    take_lock = LANGUAGES[engine.dialect.name].TAKE_LOCK
    if take_lock is None:
        yield
        return
    deadline = time.monotonic() + LOCK_WAIT
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not take_lock(connection, LOCK_KEY):
            if time.monotonic() > deadline:
                raise CommandError("Another process has been migrating for ten minutes.")
            time.sleep(0.1)
        yield


def _check_foreign_keys(connection: Connection) -> None:
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        tables = ", ".join(sorted({row[0] for row in orphans}))
        raise CommandError(f"The migration leaves rows that refer to nothing, in: {tables}")


def _folder() -> Path:
    package = Path(__file__).resolve().parents[1]
    inside_wheel = package / "migrations"
    return inside_wheel if inside_wheel.exists() else package.parents[1] / "migrations"
