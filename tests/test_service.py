"""Rendered projects live: they migrate, seed, serve, and pass their own tests on real databases."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from projects import (
    LONGEST_END,
    Project,
    ask,
    free_port,
    mysql_database,
    postgres_database,
    project_at,
    wait_for,
)
from rendering import (
    INSTALLED,
    LATER,
    ROOT,
    SESSIONS,
    Answers,
    Renderer,
    covering,
    locked,
    name_of,
)

# All choices of two answers; at once only what is furthest from those of INSTALLED.
FURTHEST: dict[str, Any] = {
    "package_name": "shop",
    "database": "sqlite",
    "sessions": "sync",
    "runtime": "pydal",
    "web": "flask",
    "examples": ["accounts"],
}
# What an extra adds to the service, all at once.
EXTRAS: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "sessions": "async",
    "runtime": "sqlalchemy",
    "web": "fastapi",
    "examples": ["accounts", "tasks"],
    "extras": ["metrics", "admin", "replicas"],
}
REST = [EXTRAS, *covering(2, [*INSTALLED, FURTHEST, EXTRAS])]
SOME = pytest.mark.parametrize(
    "answers", [FURTHEST, *(pytest.param(one, marks=LATER) for one in REST)], ids=name_of
)
# Old folders cannot be removed, as when another run of pytest writes into them.
BUSY = """
import errno, os

remove = os.rmdir


def rmdir(path, **options):
    if "garbage-" in str(path):
        raise OSError(errno.ENOTEMPTY, "Directory not empty", path)
    remove(path, **options)


os.rmdir = rmdir
"""
BASE: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "other_databases": ["mysql"],
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}
BOTH_SESSIONS = pytest.mark.parametrize("sessions", ["async", "sync"])
EACH_DATABASE = pytest.mark.parametrize(
    ("sessions", "url"),
    [
        pytest.param("async", "postgresql", marks=LATER),
        pytest.param("sync", "sqlite", marks=LATER),
        pytest.param("async", "sqlite", marks=LATER),
        pytest.param("sync", "postgresql", marks=LATER),
        ("sync", "mysql"),
        pytest.param("async", "mysql", marks=LATER),
    ],
    indirect=["url"],
)
# On those that take back DDL.
EACH_OTHER_DATABASE = pytest.mark.parametrize(
    ("sessions", "url"),
    [
        pytest.param("async", "postgresql", marks=LATER),
        ("sync", "sqlite"),
        pytest.param("async", "sqlite", marks=LATER),
        pytest.param("sync", "postgresql", marks=LATER),
    ],
    indirect=["url"],
)


@pytest.fixture
def kept(answers: Answers) -> Iterator[Path]:
    """A folder that is empty but for the environment and caches of the last run."""
    folder = ROOT / ".cache" / "installed" / name_of(answers)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        for path in folder.iterdir():
            if path.name not in {".venv", ".uv", ".mypy_cache", ".ruff_cache"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / ".venv" / ".done").unlink(missing_ok=True)
        yield folder


@SOME
def test_its_own_tests_pass(
    renderer: Renderer, tmp_path: Path, answers: Answers, postgres_url: str, mysql_url: str
) -> None:
    project = project_at(renderer, tmp_path, "", answers)
    plugins = ["-p", "no:asyncio"] if answers["sessions"] == "sync" else []

    output = project.run("pytest", "-p", "no:cacheprovider", *plugins)

    assert "skipped" not in output
    assert "failed" not in output


def test_another_run_that_clears_away_the_same_folders_is_no_failure(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = project_at(renderer, tmp_path, "", FURTHEST)
    for number in range(5):
        (tmp_path / f"pytest-of-{getpass.getuser()}" / f"pytest-{number}").mkdir(parents=True)
    (project.folder / "busy.py").write_text(BUSY)
    arguments = ["-pbusy", "-pno:cacheprovider", "-pno:asyncio", "-q", "tests/test_commands.py"]

    output = project.run("pytest", *arguments, PYTEST_DEBUG_TEMPROOT=str(tmp_path))

    assert "passed" in output
    assert list(tmp_path.glob("pytest-of-*/garbage-*"))


@SOME
def test_the_commands_of_the_documents_work(
    renderer: Renderer, tmp_path: Path, answers: Answers, postgres_url: str, mysql_url: str
) -> None:
    with postgres_database(postgres_url) as made, mysql_database(mysql_url) as other:
        urls = {"postgresql": made, "mysql": other, "sqlite": f"sqlite:///{tmp_path}/a.db"}
        url = urls[answers["database"]]
        project = project_at(renderer, tmp_path, url, answers)
        package = project.package
        said = project.run_each(
            "alembic upgrade head",
            "alembic check",
            f"{package} seed",
            f"{package} check",
            "alembic downgrade base",
        )
        assert "up to date" in said
        assert "0001" not in project.run_each("alembic current")


@EACH_DATABASE
def test_it_serves_on_either_database_by_the_url_alone(
    renderer: Renderer, tmp_path: Path, sessions: str, url: str
) -> None:
    project = project_at(renderer, tmp_path, url, BASE | {"sessions": sessions})
    with project.serve() as address:
        assert ask(f"{address}/health/ready")[0] == 503
        status, problem = ask(f"{address}/items")
        assert (status, problem["detail"]) == (503, "The schema is behind: migrations must run.")
        project.run("shop", "migrate")
        assert ask(f"{address}/health/ready")[0] == 200
        status, item = ask(f"{address}/items", {"name": "Lamp"})
        assert status == 201
        assert ask(f"{address}/items/{item['id']}") == (200, item)
        user = {"email": "Ada@Example.com", "password": "correct horse", "full_name": "Ada"}
        assert ask(f"{address}/users", user)[0] == 201
        assert ask(f"{address}/users", user | {"email": "ada@example.COM"})[0] == 409
        status, task = ask(
            f"{address}/tasks", {"type": "sql", "configuration": {"a": 1}, "created_by": "ada"}
        )
        assert status == 201
        assert ask(f"{address}/tasks/{task['id']}/events")[0] == 200
        assert ask(f"{address}/items", {"name": ""})[0] == 422


@pytest.mark.parametrize(
    ("answers", "ended"),
    [
        ({"sessions": "async"}, "Application shutdown complete"),
        ({"sessions": "sync"}, "Application shutdown complete"),
        ({"sessions": "sync", "web": "flask"}, "Shutting down: Master"),
    ],
)
def test_it_shuts_down_cleanly_when_interrupted(
    renderer: Renderer, tmp_path: Path, answers: Answers, ended: str
) -> None:
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", {**BASE, **answers})
    project.run("shop", "migrate")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "shop", "serve"],
        cwd=project.folder,
        env=project.environment(PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(lambda: ask(f"http://127.0.0.1:{port}/health/ready")[0] == 200, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LONGEST_END)
    assert ended in output
    assert "Traceback" not in output


@EACH_DATABASE
def test_a_second_migration_that_alters_a_column_keeps_the_rows(
    renderer: Renderer, tmp_path: Path, sessions: str, url: str
) -> None:
    project = project_at(renderer, tmp_path, url, BASE | {"sessions": sessions})
    project.run_each(
        "alembic upgrade head", "shop seed --rows=5", "alembic revision --autogenerate -m nothing"
    )
    (empty,) = (project.folder / "migrations/versions").glob("*_nothing_*.py")
    assert empty.read_text().count("    pass") == 2
    empty.unlink()
    edit(
        project.folder / "src/shop/features/accounts/models.py",
        "full_name: Mapped[str] = mapped_column(String(255))",
        "full_name: Mapped[str | None] = mapped_column(String(300))\n"
        "    nickname: Mapped[str | None] = mapped_column(String(50), index=True)",
    )

    project.run("alembic", "revision", "--autogenerate", "-m", "add a column")
    (written,) = (project.folder / "migrations/versions").glob("*_add_a_column_*.py")
    assert "add_column" in written.read_text()
    project.run("ruff", "check", "--no-cache", "migrations")
    project.run("ruff", "format", "--no-cache", "--check", "migrations")
    project.run_each("alembic upgrade head", "alembic check")

    # The users were rebuilt on SQLite: their files and items must still be there.
    count = (
        "import sys; from sqlalchemy import create_engine, text; "
        "e = create_engine(sys.argv[1]).connect(); "
        "print(*(e.scalar(text(f'SELECT count(*) FROM {t}')) for t in ('users','files','items')))"
    )
    sync_url = url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")
    done = subprocess.run(
        [sys.executable, "-c", count, sync_url], capture_output=True, text=True, check=True
    )
    users, files, items = map(int, done.stdout.split())
    assert users == 5
    assert files >= 5
    assert items == 5
    project.run_each("alembic downgrade -1", "alembic upgrade +1")


@EACH_OTHER_DATABASE
def test_a_failing_migration_leaves_nothing_and_passes_once_repaired(
    renderer: Renderer, tmp_path: Path, sessions: str, url: str
) -> None:
    project = project_at(renderer, tmp_path, url, BASE | {"sessions": sessions})
    upgrade_twice_at_once(project)
    project.run("alembic", "revision", "-m", "broken")
    (written,) = (project.folder / "migrations/versions").glob("*_broken_*.py")
    good = 'op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))'
    edit(written, "    pass", f"    {good}\n    op.execute('SELEC')", count=1)

    failed, current = project.try_each("alembic upgrade head", "alembic current")
    assert failed.code != 0
    assert "0001" in current.stdout
    edit(written, "    op.execute('SELEC')", "")
    project.run_each("alembic upgrade head")


WRONG: Sequence[tuple[dict[str, str], str]] = [
    ({"DATABASE_URL": "nonsense"}, "DATABASE_URL: is not a database URL"),
    ({"DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x"}, "The database cannot be reached"),
    ({"DATABASE_URL": "postgresql://u:s3cret@no.such.host.invalid/x"}, "cannot be reached"),
    ({"DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x?sslmod=a"}, "is not known: sslmod"),
    ({"DATABASE_URL": "sqlite:////no/such/folder/x.db"}, "The database file cannot be opened"),
    ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE: "),
    ({"ENVIRONMENT": "moon"}, "ENVIRONMENT: "),
]


@BOTH_SESSIONS
def test_a_url_with_the_options_of_libpq_is_understood(
    renderer: Renderer, postgres_url: str, sessions: str
) -> None:
    answers = BASE | {"sessions": sessions}
    options = "sslmode=prefer&connect_timeout=3&options=-csearch_path%3Dtenant"
    project = Project(renderer.render(answers), answers, f"{postgres_url}?{options}")

    done = project.run_code(
        "from sqlalchemy import text\n"
        "from shop.db.engine import run_on_connection\n"
        "from shop.db.runtime import run\n"
        "from shop.settings import Settings\n"
        "path = text('SHOW search_path')\n"
        "look = lambda connection: print(connection.scalar(path))\n"
        "run(run_on_connection, Settings(), look, for_migrations=False)\n"
        "run(run_on_connection, Settings(), look)\n"
    )

    assert done.split() == ["tenant", "tenant"]


@BOTH_SESSIONS
def test_what_is_wrong_is_said_in_one_line(
    renderer: Renderer, tmp_path: Path, sessions: str
) -> None:
    answers = BASE | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/a.db")
    calls = [
        (command, variables, line)
        for variables, line in WRONG
        for command in ("shop check", "alembic upgrade head", "shop serve")
        if command != "shop serve" or "DATABASE_URL" not in variables
    ]

    ends = project.try_each(*((command, variables) for command, variables, _ in calls))

    for (command, variables, line), end in zip(calls, ends, strict=True):
        assert end.code not in (0, None), (command, variables)
        assert line in end.stderr, (command, variables)
        assert end.stderr.count("\n") == 1, end.stderr
        assert "s3cret" not in end.stdout + end.stderr
    # A process of its own shows no more than that.
    done = project.try_run("shop", "check", DATABASE_URL="nonsense")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@LATER
@SESSIONS
def test_its_tests_leave_the_developers_database_alone(
    renderer: Renderer, tmp_path: Path, sessions: str
) -> None:
    answers = BASE | {"sessions": sessions, "database": "sqlite", "other_databases": []}
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/dev.db", answers)
    project.run("shop", "migrate")
    project.run("shop", "seed")
    (project.folder / ".env").write_text(f"DATABASE_URL={project.url}\n")
    before = (tmp_path / "dev.db").read_bytes()
    plugins = ["-p", "no:asyncio"] if sessions == "sync" else []

    project.run(
        "pytest",
        "-p",
        "no:cacheprovider",
        *plugins,
        "tests/features/items/test_service.py",
        "tests/test_commands.py",
    )

    assert (tmp_path / "dev.db").read_bytes() == before
    assert not list(project.folder.glob("*.db"))


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(answers, marks=[] if number == 0 else LATER)
        for number, answers in enumerate(INSTALLED)
    ],
    ids=name_of,
)
def test_the_makefile_does_all_of_its_own_set_up(
    renderer: Renderer, kept: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_POSTGRES_URL", raising=False)
    answers = {"package_name": "shop", **answers}
    project = renderer.copy(answers, kept)
    done = make(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    if answers == {"package_name": "shop", **INSTALLED[0]}:
        done = make(project, "check")
        assert done.returncode == 0, done.stdout + done.stderr

    port = free_port()
    variables = Project(project, answers, "").environment(PORT=str(port))
    del variables["DATABASE_URL"], variables["PYTHONPATH"]
    server = subprocess.Popen(
        ["make", "run"],
        cwd=project,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: ask(f"http://127.0.0.1:{port}/health/ready")[0] == 200, server)
        path = {"items": "items", "accounts": "users", "tasks": "tasks"}[answers["examples"][0]]
        status, page = ask(f"http://127.0.0.1:{port}/{path}")
        assert status == 200
        assert len(page["items"]) == 20
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=LONGEST_END)
    left = subprocess.run(["pgrep", "-g", str(server.pid)], capture_output=True, check=False)
    assert left.returncode == 1, "make run left processes behind"


def test_another_environment_that_is_active_stays_as_it_is(
    renderer: Renderer, tmp_path: Path
) -> None:
    """UV takes that of VIRTUAL_ENV, unless it is told otherwise."""
    for folder in (ROOT, renderer.render({})):
        environment = os.environ | {"VIRTUAL_ENV": str(tmp_path)}
        command = ["make", "--dry-run", "--always-make", "UV=uv", ".venv/.done"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        installs = [line for line in done.stdout.splitlines() if " pip install " in line]
        assert len(installs) == 1
        assert " --python .venv/bin/python " in installs[0]


def upgrade_twice_at_once(project: Project) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=project.folder,
            env=project.environment(DATABASE_LOCK_TIMEOUT="60"),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", target], cwd=folder, capture_output=True, text=True, timeout=500, check=False
    )


def edit(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))
