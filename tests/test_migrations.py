"""Migrations of rendered projects: written, found wanting, run from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from projects import Project, postgres_database, project_at, run_inside
from rendering import EVERYTHING, LATER, SESSIONS, Renderer
from sqlalchemy import make_url

COLUMNS = """
    c1: Mapped[datetime | None]
    c2: Mapped[Decimal | None]
    c3: Mapped[Decimal | None] = mapped_column(ExactDecimal(12, 4))
    c4: Mapped[Any] = mapped_column(JSONString, nullable=True)
    c5: Mapped[Kind | None] = mapped_column(enum_by_value(Kind))
    c6: Mapped[UUID | None]
    c7: Mapped[dict[str, Any] | None] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))
"""
IMPORTS = """
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB

from ...db.types import ExactDecimal, JSONString, enum_by_value


class Kind(StrEnum):
    A = "a"


class Item("""

# Runs the upgrades of migrations one after another where the project cannot be imported.
UPGRADE_ALONE = """
import importlib.util, runpy, sys
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine
assert importlib.util.find_spec("shop") is None
url, *paths = sys.argv[1:]
with create_engine(url).begin() as connection:
    with Operations.context(MigrationContext.configure(connection)):
        for path in paths:
            runpy.run_path(path)["upgrade"]()
"""


@LATER
def test_what_changes_in_the_models_is_noticed(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    run_inside(project_at(renderer, tmp_path, "", EVERYTHING | {"sessions": "async"}), "detection")


@LATER
def test_a_migration_made_on_one_database_runs_on_the_other_without_the_project(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    project = project_at(renderer, tmp_path, "", EVERYTHING)
    models = project.folder / "src/shop/features/items/models.py"
    models.write_text(models.read_text().replace("class Item(", IMPORTS.lstrip()) + COLUMNS)
    project.run("ruff", "check", "--fix", "--quiet", "--select=I,E402", str(models))
    versions = project.folder / "migrations/versions"
    (initial,) = versions.glob("*.py")
    made = []
    for backend in ("sqlite", "postgresql"):
        with postgres_database(postgres_url) as server:
            url = server if backend == "postgresql" else f"sqlite:///{tmp_path}/{backend}.db"
            project.run("alembic", "upgrade", "head", DATABASE_URL=url)
            project.run("alembic", "revision", "--autogenerate", "-m", backend, DATABASE_URL=url)
            (written,) = versions.glob(f"*_{backend}_*.py")
            assert written.read_text().count("add_column") == 7
            project.run("alembic", "upgrade", "head", DATABASE_URL=url)
            project.run("alembic", "check", DATABASE_URL=url)
            project.run("ruff", "check", "--no-cache", str(written))
            made.append(written.rename(tmp_path / written.name))

    for path in made:
        with postgres_database(postgres_url) as server:
            for url in (f"sqlite:///{path}.db", server.replace(":", "+psycopg:", 1)):
                upgrade_alone(tmp_path, url, initial, path)


def upgrade_alone(folder: Path, url: str, *migrations: Path) -> None:
    paths = [str(path) for path in migrations]
    subprocess.run([sys.executable, "-c", UPGRADE_ALONE, url, *paths], cwd=folder, check=True)


def test_a_second_head_is_noticed(renderer: Renderer, tmp_path: Path) -> None:
    answers = EVERYTHING | {"database": "sqlite", "sessions": "sync", "examples": ["items"]}
    project = project_at(renderer, tmp_path, "", answers)
    for name in ("left", "right"):
        path = project.folder / f"migrations/versions/{name}.py"
        path.write_text(f"revision, down_revision = {name!r}, '0001'\n")
    test = "tests/db/test_migrations.py::test_there_is_one_head"

    done = project.try_run("pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", test)

    assert done.returncode == 1
    assert "two branches met" in done.stdout


@LATER
@SESSIONS
def test_an_installed_wheel_migrates_from_anywhere_with_an_odd_password(
    renderer: Renderer, tmp_path: Path, sessions: str, postgres_url: str
) -> None:
    project = project_at(renderer, tmp_path, "", EVERYTHING | {"sessions": sessions})
    installed, elsewhere = tmp_path / "installed", tmp_path / "else where 100%"
    elsewhere.mkdir()
    run_uv(project.folder, "build", "--wheel", "--quiet", "--out-dir", str(tmp_path / "dist"))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run_uv(tmp_path, "pip", "install", "--quiet", "--no-deps", f"--target={installed}", str(wheel))
    moved = shutil.move(installed, elsewhere / "site")
    shutil.rmtree(project.folder)

    with postgres_database(postgres_url) as url:
        for database in (with_odd_password(url), f"sqlite:///{elsewhere}/a.db"):
            there = Project(elsewhere, project.answers, database, {"PYTHONPATH": str(moved)})
            assert "up to head" in there.run("shop", "migrate")
            assert "up to date" in there.run("shop", "check")


def with_odd_password(server: str) -> str:
    """Return the URL with a password that needs quoting; our own server takes any."""
    url = make_url(server)
    odd = url if url.password else url.set(password="p@ss%w:rd/#?")
    return odd.render_as_string(hide_password=False)


def run_uv(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    subprocess.run(["uv", *arguments], cwd=folder, env=environment, check=True)
