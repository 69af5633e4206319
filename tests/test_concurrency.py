"""What is done at once in rendered projects: writing, being cancelled, and migrating."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
from projects import Project, postgres_database, project_at, run_inside
from rendering import EVERYTHING, LATER, LAYERS, SESSIONS, Renderer, answers_of

PROCESSES = 4
ROUNDS = 3

# Migrates the databases that it reads, one a line, and answers each with alembic's exit status.
MIGRATE = """
import os, sys, traceback
from alembic.config import main
for line in sys.stdin:
    os.environ["DATABASE_URL"] = line.strip()
    status = 0
    try:
        main(["upgrade", "head"])
    except BaseException as error:
        status = getattr(error, "code", 1)
        traceback.print_exc()
    print(status, flush=True)
"""
# Opens new files, each in several processes at once, and tells what went wrong.
OPEN = """
import multiprocessing, sys
from shop.db.engine import create_engine
from shop.settings import Settings

def open_file(barrier, path):
    barrier.wait()
    create_engine(Settings(database_url=f"sqlite:///{path}")).connect().close()

context = multiprocessing.get_context("fork")
for number in range(40):
    barrier = context.Barrier(4)
    arguments = (barrier, f"{sys.argv[1]}/{number}.db")
    processes = [context.Process(target=open_file, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
"""
INDEX = """
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_late", "items", ["description"], postgresql_concurrently=True, if_not_exists=True
        )


def downgrade():
    op.drop_index("ix_late", "items")
"""
COLUMN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade():
    op.add_column("items", sa.Column("late", sa.Integer()))


def downgrade():
    op.drop_column("items", "late")
"""


@LAYERS
def test_work_at_once_loses_nothing(
    renderer: Renderer, tmp_path: Path, layer: str, postgres_url: str
) -> None:
    answers = EVERYTHING | answers_of(layer)
    run_inside(project_at(renderer, tmp_path, "", answers), "concurrency")


@LATER
def test_cancelled_work_leaves_nothing(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    answers = EVERYTHING | {"sessions": "async"}
    run_inside(project_at(renderer, tmp_path, "", answers), "cancellation")


@contextmanager
def migrating(project: Project, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that are ready to migrate."""
    with ExitStack() as stack:
        processes = []
        for number in range(count):
            log = stack.enter_context((project.folder / f"{number}.log").open("w"))
            process = subprocess.Popen(
                [sys.executable, "-c", MIGRATE],
                cwd=project.folder,
                env=project.environment(DATABASE_LOCK_TIMEOUT="60"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        yield processes


def upgrade(project: Project, processes: list[subprocess.Popen[str]], url: str) -> None:
    """Let all the processes migrate a database at once; each must succeed."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{url}\n")
    answers = [process.stdout.readline().strip() for process in processes if process.stdout]
    logs = [log.read_text() for log in project.folder.glob("*.log")]
    assert answers == ["0"] * len(processes), logs


@SESSIONS
def test_processes_that_migrate_at_once_all_succeed(
    renderer: Renderer, tmp_path: Path, sessions: str, postgres_url: str
) -> None:
    project = project_at(renderer, tmp_path, "", EVERYTHING | {"sessions": sessions})
    (project.folder / "migrations/versions/0002_index.py").write_text(INDEX)

    with migrating(project, PROCESSES) as processes:
        for number in range(ROUNDS):
            path = tmp_path / f"{number}.db"
            upgrade(project, processes, f"sqlite:///{path}")
            with closing(sqlite3.connect(path, isolation_level=None)) as holder:
                found = holder.execute("SELECT version_num FROM alembic_version").fetchall()
                assert found == [("0002",)]
                # At the newest revision nobody asks for the lock that somebody else holds.
                holder.execute("BEGIN IMMEDIATE")
                upgrade(project, processes[:1], f"sqlite:///{path}")
        for _ in range(ROUNDS):
            with postgres_database(postgres_url) as url:
                upgrade(project, processes, url)
                with psycopg.connect(url, autocommit=True) as holder:
                    found = holder.execute("SELECT version_num FROM alembic_version").fetchall()
                    assert found == [("0002",)]
                    (valid,) = holder.execute(
                        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_late'::regclass"
                    ).fetchall()
                    assert valid == (True,)
                    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
                    assert holder.execute(invalid).fetchone() == (0,)
                    holder.execute("SELECT pg_advisory_lock(7305811094)")
                    upgrade(project, processes[:1], url)


@LATER
def test_processes_that_open_a_new_file_at_once_all_succeed(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = Project(renderer.render(EVERYTHING | {"sessions": "sync"}), EVERYTHING, "")

    project.run_code(OPEN, str(tmp_path))


@SESSIONS
def test_a_migration_that_cannot_get_its_lock_says_so_in_one_line(
    renderer: Renderer, tmp_path: Path, sessions: str, postgres_url: str
) -> None:
    answers = EVERYTHING | {"sessions": sessions}
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", answers)
    versions = project.folder / "migrations/versions"
    with postgres_database(postgres_url) as url, migrating(project, 1) as processes:
        for each in (project.url, url):
            upgrade(project, processes, each)
        (versions / "0003_column.py").write_text(COLUMN.replace('"0002"', '"0001"'))

        with psycopg.connect(url) as reader:
            reader.execute("SELECT count(*) FROM items")
            check_one_line(project, "a lock was not free in time", DATABASE_URL=url)
        with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            check_one_line(project, "another writer holds it")


def check_one_line(project: Project, said: str, **variables: str) -> None:
    done = project.try_run("alembic", "upgrade", "head", DATABASE_LOCK_TIMEOUT="0.2", **variables)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert said in done.stderr.splitlines()[-1]
