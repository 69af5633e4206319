"""All of it or nothing, in rendered projects: units of work, and migrations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from projects import Project, postgres_database, project_at, run_inside
from rendering import EVERYTHING, LAYERS, SESSIONS, Renderer, answers_of

# Migrates each of the databases, repairs the last migration, and migrates each once more. Prints
# the exit statuses, with the revisions and tables that are there after each.
MIGRATE_AND_REPAIR = """
import os, pathlib, sys, json
from alembic.config import main
from sqlalchemy import create_engine, inspect, text

def migrate(url):
    os.environ["DATABASE_URL"], status = url, 0
    try:
        main(["upgrade", "head"])
    except BaseException as error:
        status = 1
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        schema = inspect(connection)
        revisions = []
        if schema.has_table("alembic_version"):
            revisions = list(connection.scalars(text("SELECT version_num FROM alembic_version")))
        found = [status, revisions, sorted(set(schema.get_table_names()) - {"alembic_version"})]
    engine.dispose()
    return found

broken, *urls = sys.argv[1:]
results = [migrate(url) for url in urls]
path = pathlib.Path(broken)
path.write_text(path.read_text().replace("SELEC", "SELECT 1"))
print(json.dumps(results + [migrate(url) for url in urls]))
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {revision!r}, {before!r}


def upgrade():
    {body}
"""
TABLE = 'op.create_table({name!r}, sa.Column("id", sa.Integer(), primary_key=True))'
CONCURRENTLY = """with op.get_context().autocommit_block():
        op.create_index("ix_late", "one", ["id"], postgresql_concurrently=True)"""


@LAYERS
def test_a_unit_of_work_is_stored_whole_or_not_at_all(
    renderer: Renderer, tmp_path: Path, layer: str, postgres_url: str
) -> None:
    answers = EVERYTHING | answers_of(layer)
    run_inside(project_at(renderer, tmp_path, "", answers), "atomicity")


@SESSIONS
def test_a_failing_migration_leaves_nothing_and_those_before_it_stay(
    renderer: Renderer, tmp_path: Path, sessions: str, postgres_url: str
) -> None:
    """The second revision leaves the transaction; SQLite has one transaction for them all."""
    answers = EVERYTHING | {"sessions": sessions, "examples": []}
    project = project_at(renderer, tmp_path, "", answers)
    bodies = [
        TABLE.format(name="one"),
        CONCURRENTLY,
        f"{TABLE.format(name='two')}\n    op.execute('SELEC')",
    ]
    before = None
    for number, body in enumerate(bodies, 1):
        text = REVISION.format(revision=f"r{number}", before=before, body=body)
        (project.folder / f"migrations/versions/r{number}.py").write_text(text)
        before = f"r{number}"

    with postgres_database(postgres_url) as url:
        results = migrate_and_repair(project, [f"sqlite:///{tmp_path}/a.db", url])

    assert results == [
        [1, [], []],
        [1, ["r2"], ["one"]],
        [0, ["r3"], ["one", "two"]],
        [0, ["r3"], ["one", "two"]],
    ]


def migrate_and_repair(project: Project, urls: list[str]) -> list[object]:
    broken = project.folder / "migrations/versions/r3.py"
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE_AND_REPAIR, str(broken), *urls],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    results: list[object] = json.loads(done.stdout)
    return results
