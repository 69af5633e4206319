"""What MySQL and MariaDB get wrong when left to themselves, a project has right."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pymysql
import pytest
from conftest import SERVERS, load_server
from projects import (
    Project,
    ask_mysql,
    is_alive,
    mysql_database,
    project_at,
    run_inside,
    wait_until,
)
from rendering import LATER, SESSIONS, Renderer

ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "mysql",
    "web": "none",
    "examples": ["items", "accounts", "tasks"],
}
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.create_table("late", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("SELEC")
"""
# Answers each line that it reads with what became of a unit of work, and how long that took.
# Written for async sessions; without these two words it is for sync ones.
ASK = """
import sys, time
from shop.db.engine import Database
from shop.db.errors import UnavailableError
from shop.db.runtime import run
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

async def main(database):
    for line in sys.stdin:
        began = time.monotonic()
        try:
            async with UnitOfWork(database) as uow:
                said = await uow.items.count()
        except UnavailableError as error:
            said = error
        print(f"{time.monotonic() - began:.1f} {said}", flush=True)

run(main, Database(Settings()))
"""

HOLD = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("mysql", sys.argv[1])
mysql = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mysql)
server = mysql.start()
print(server.url, flush=True)
time.sleep(60)
"""


@SESSIONS
def test_what_mysql_gets_wrong_is_right(
    renderer: Renderer, tmp_path: Path, sessions: str, mysql_url: str
) -> None:
    project = project_at(renderer, tmp_path, "", ANSWERS | {"sessions": sessions})
    run_inside(project, "mysql")
    if sessions == "async":
        run_inside(project, "mysql_cancelled")


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
@pytest.mark.parametrize(
    ("name", "only"),
    [
        # The others are of constraints that wait for the commit, and of PostgreSQL.
        ("atomicity", "no_exception or savepoint"),
        ("concurrency", "not units_that"),
        ("odd_data", ""),
    ],
)
def test_what_is_right_elsewhere_is_right_on_mysql(
    renderer: Renderer, tmp_path: Path, sessions: str, name: str, only: str, mysql_url: str
) -> None:
    answers = ANSWERS | {"sessions": sessions, "web": "fastapi"}
    run_inside(project_at(renderer, tmp_path, "", answers), name, only)


@SESSIONS
def test_a_migration_that_stops_half_way_says_what_is_left(
    renderer: Renderer, tmp_path: Path, sessions: str, mysql_url: str
) -> None:
    with mysql_database(mysql_url) as url:
        project = project_at(renderer, tmp_path, url, ANSWERS | {"sessions": sessions})
        written = project.folder / "migrations" / "versions" / "0002.py"
        written.write_text(REVISION)

        failed, current = project.try_each("alembic upgrade head", "alembic current")

        assert failed.code == 1
        assert "What it did before is still there" in failed.stderr
        assert "0001" in current.stdout
        assert ask_mysql(url, "SHOW TABLES LIKE 'late'") == [("late",)]
        ask_mysql(url, "DROP TABLE late")
        written.write_text(REVISION.replace("SELEC", "SELECT 1"))
        project.run_each("alembic upgrade head")


@SESSIONS
def test_processes_that_migrate_at_once_all_succeed(
    renderer: Renderer, tmp_path: Path, sessions: str, mysql_url: str
) -> None:
    with mysql_database(mysql_url) as url:
        project = project_at(renderer, tmp_path, url, ANSWERS | {"sessions": sessions})
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        processes = [
            subprocess.Popen(
                command,
                cwd=project.folder,
                env=project.environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        outputs = [process.communicate(timeout=120)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], outputs


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_one_schema_serves_whatever_the_url_calls_the_server(
    renderer: Renderer, tmp_path: Path, scheme: str, mysql_url: str
) -> None:
    with mysql_database(mysql_url) as url:
        named = url.replace("mysql:", f"{scheme}:")
        answers = ANSWERS | {"sessions": "sync"}
        project = Project(renderer.render(answers), answers, url)

        other = {"DATABASE_URL": named}
        project.run_each(
            "alembic upgrade head", ("alembic check", other), ("shop seed --rows=2", other)
        )

        (kind,) = ask_mysql(
            url,
            "SELECT COLUMN_TYPE FROM information_schema.columns WHERE TABLE_SCHEMA = DATABASE()"
            " AND TABLE_NAME = 'items' AND COLUMN_NAME = 'id'",
        )
        assert kind == ("char(32)",)


def test_the_schema_is_written_as_mysql_itself_demands(renderer: Renderer) -> None:
    """MariaDB is less strict: it takes a default of less precision, and one of a text as it is."""
    answers = ANSWERS | {"sessions": "sync"}
    project = Project(renderer.render(answers), answers, "mysql://nobody@127.0.0.1:1/none")

    written = project.run_each("alembic upgrade head --sql")

    assert written.count("CREATE TABLE") == written.count("COLLATE utf8mb4_bin") == 6
    assert "DEFAULT CURRENT_TIMESTAMP(6)" in written
    assert not re.search(r"DATETIME(?!\(6\))|CURRENT_TIMESTAMP(?!\(6\))", written)
    assert "LONGTEXT NOT NULL DEFAULT ('[]')" in written
    assert "UUID" not in written


WRONG = [
    ("mysql://u:s3cret@127.0.0.1:1/x", "The database cannot be reached"),
    ("mysql://u:s3cret@no.such.host.invalid/x", "The database cannot be reached"),
    ("mysql://nobody:s3cret@{address}/mysql", "The database refuses the credentials"),
    ("mysql://root@{address}/no_such_database", "The database does not exist"),
]


@SESSIONS
def test_what_is_wrong_is_said_in_one_line(
    renderer: Renderer, sessions: str, mysql_url: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    address = mysql_url.partition("@")[2].partition("/")[0]
    project = Project(renderer.render(answers), answers, "")
    calls = [
        (command, {"DATABASE_URL": url.format(address=address)})
        for url, _ in WRONG
        for command in ("shop check", "alembic upgrade head")
    ]

    ends = project.try_each(*calls)

    for number, end in enumerate(ends):
        assert end.code not in (0, None), calls[number]
        assert WRONG[number // 2][1] in end.stderr, calls[number]
        assert end.stderr.count("\n") == 1, end.stderr
        assert "s3cret" not in end.stdout + end.stderr


class Fragile:
    """A MariaDB of a test's own, to which anything may happen."""

    def __init__(self, url: str) -> None:
        self.url = url
        pid = ask_mysql(url, "SELECT @@pid_file")[0][0]
        self.process = int(Path(pid).read_text())
        self._command = Path(f"/proc/{self.process}/cmdline").read_text().split("\0")[:-1]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have a server that accepts connections and never answers for the time of the block."""
        os.kill(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Have no server for the time of the block."""
        os.kill(self.process, signal.SIGKILL)
        wait_until(lambda: not is_alive(self.process))
        try:
            yield
        finally:
            started = subprocess.Popen(self._command, stdout=DEVNULL, stderr=DEVNULL)
            self.process = started.pid
            wait_until(self._answers, 30)

    def _answers(self) -> bool:
        with suppress(pymysql.err.OperationalError):
            return bool(ask_mysql(self.url, "SELECT 1"))
        return False

    def end(self) -> None:
        """Leave nothing."""
        os.kill(self.process, signal.SIGKILL)


@pytest.fixture
def fragile(mysql_url: str) -> Iterator[Fragile]:
    with load_server("mysql").start() as started:
        server = Fragile(started.url)
        yield server
        server.end()


def test_a_private_server_leaves_nothing_even_if_its_holder_is_killed(
    tmp_path: Path, mysql_url: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(SERVERS["mysql"])],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        server = Fragile(holder.stdout.readline().strip())
        assert is_alive(server.process)
        assert list(tmp_path.iterdir()) != []
        holder.kill()
    wait_until(lambda: not is_alive(server.process), 30)
    wait_until(lambda: list(tmp_path.iterdir()) == [], 30)


@LATER
@SESSIONS
def test_a_server_that_hangs_or_dies_is_reported_soon_and_used_again(
    renderer: Renderer, fragile: Fragile, sessions: str
) -> None:
    with mysql_database(fragile.url) as url:
        answers = ANSWERS | {"sessions": sessions}
        project = Project(renderer.render(answers), answers, url)
        limits = {"DATABASE_CONNECT_TIMEOUT": "1", "DATABASE_STATEMENT_TIMEOUT": "1"}
        project.run("alembic", "upgrade", "head")
        code = ASK if sessions == "async" else ASK.replace("async ", "").replace("await ", "")
        with subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=project.folder,
            env=project.environment(**limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        ) as process:
            assert asked(process)[1] == "0"
            with fragile.frozen():
                for _ in range(2):
                    seconds, said = asked(process)
                    assert said == "The database cannot be reached."
                    # A connection is tested, and another one made.
                    assert seconds < 1 + 1 + 3
            wait_until(lambda: asked(process)[1] == "0")
            with fragile.killed():
                seconds, said = asked(process)
                assert said == "The database cannot be reached."
                assert seconds < 4
            wait_until(lambda: asked(process)[1] == "0")


def asked(process: subprocess.Popen[str]) -> tuple[float, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    seconds, _, said = process.stdout.readline().strip().partition(" ")
    return float(seconds), said
