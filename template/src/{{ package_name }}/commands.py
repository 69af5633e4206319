"""The commands that every service has: migrate, seed, check and transfer.

What a command needs is imported when it is called, so that the others start quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from .settings import Settings

# Tracebacks would show local variables, and those may be secrets.
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Run and look after this service."""


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="The revision to reach.")] = "head",
) -> None:
    """Bring the schema up to date."""
    settings = load_settings()
    from .db import migrations

    if not revision:
        fail("Name a revision to reach, or head.")
    with one_line_errors():
        migrations.upgrade(settings, revision)
    typer.echo(f"The schema has the migrations up to {revision}.")


@app.command()
def seed(
    rows: Annotated[int, typer.Option(min=1, help="How many rows in each table.")] = 20,
    if_empty: Annotated[
        bool, typer.Option("--if-empty", help="Only if no table has rows.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Even in production.")] = False,
) -> None:
    """Store development data, all of it or none; run again, it stores none twice."""
    settings = load_settings()
    from .db import seeding
    from .db.engine import Database
    from .db.runtime import run
    from .db.settings import Environment
    from .features.seed import SEEDS
    from .features.unit_of_work import UnitOfWork

    if settings.environment is Environment.PRODUCTION and not force:
        fail("This is production: seed it with --force, if you must.")
    with one_line_errors(settings):
        done = run(seeding.seed, Database(settings), UnitOfWork, SEEDS, rows, if_empty)
    typer.echo("The development data is stored." if done else "There are rows already.")


@app.command()
def check(
    workers: Annotated[
        int, typer.Option(min=1, envvar="WEB_CONCURRENCY", help="How many processes share it.")
    ] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for a warning, too.")] = False,
) -> None:
    """Look at the settings, the database and its schema, and tell what to do."""
    settings = load_settings()
    from .db import checks
    from .features import unit_of_work as unit_of_work

    colors = {"error": typer.colors.RED, "warning": typer.colors.YELLOW}
    levels = set()
    for finding in checks.check(settings, workers):
        levels.add(finding.level)
        typer.secho(finding, err=finding.level in colors, fg=colors.get(finding.level))
    if "error" in levels or (strict and "warning" in levels):
        raise typer.Exit(1)


@app.command()
def transfer(
    source: Annotated[str, typer.Option("--from", help="The URL to copy, past any pooler.")],
    target: Annotated[str, typer.Option("--to", help="The URL of a database without rows.")],
) -> None:
    """Copy all rows to another database, whose schema is made if there is none."""
    origin, destination = _settings_for("--from", source), _settings_for("--to", target)
    from .db import migrations, transfer
    from .db.health import read_heads
    from .db.runtime import run
    from .features import unit_of_work as unit_of_work

    with one_line_errors(destination):
        transfer.refuse_missing(origin)
        if not run(read_heads, destination):
            migrations.upgrade(destination)
        rows = run(transfer.transfer, origin, destination)
    typer.echo(f"{rows} rows were copied and compared.")


@app.command()
def backfill(
    name: Annotated[
        str, typer.Argument(help="Such as orders.fill_totals, of features/orders/backfills.py.")
    ],
    batch: Annotated[int, typer.Option(min=1, help="How many rows in a transaction.")] = 1000,
    again: Annotated[
        bool, typer.Option("--again", help="From the beginning, even if it is done.")
    ] = False,
) -> None:
    """Change rows a batch at a time; interrupted, it goes on where it stopped, and only once."""
    settings = load_settings()
    from .db import backfill
    from .db.runtime import run
    from .features.unit_of_work import UnitOfWork

    feature, _, function = name.partition(".")
    path = Path(__file__).parent / "features" / feature / "backfills.py"
    found = None
    if feature.isidentifier() and path.exists():
        found = getattr(
            import_module(f"{__package__}.features.{feature}.backfills"), function, None
        )
    if not isinstance(found, backfill.Backfill):
        fail(f"There is no backfill {name}: write it in features/{feature}/backfills.py.")
    with one_line_errors(settings):
        changed = run(backfill.fill, settings, UnitOfWork, name, found, batch=batch, again=again)
    typer.echo(f"{name} is done: {changed} rows.")


def load_settings() -> Settings:
    """Return the settings, or end the process with a line for each that is wrong."""
    from .settings import Settings

    with one_line_errors():
        return Settings.load()


def _settings_for(option: str, url: str) -> Settings:
    """Return the settings with another database, or end the process with one line."""
    from .db.settings import parse_url
    from .settings import Settings

    try:
        parse_url(url)
    except ValueError as error:
        fail(f"{option}: {error}")
    with one_line_errors():
        return Settings.load_for(url)


def fail(message: str) -> NoReturn:
    """End the process with one line."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)


@contextmanager
def one_line_errors(settings: Settings | None = None) -> Iterator[None]:
    """End the process with one line where what is asked for cannot be done."""
    from alembic.util import CommandError

    from .db.errors import DataLayerError, UnavailableError
    from .db.settings import SettingsError

    try:
        yield
    except (SettingsError, DataLayerError, CommandError) as error:
        where = f" ({settings.address})" if settings and isinstance(error, UnavailableError) else ""
        fail(f"{error}{where}")
