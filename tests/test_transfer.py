"""All rows of a project move between its databases, or none: whatever happens on the way."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import copier
import psycopg
import pytest
from projects import INSIDE, Project, mysql_database, postgres_database, wait_until
from rendering import EVERYTHING, LATER, SESSIONS, Renderer, answers_of, commit, git
from servers import FragileServer, fragile_server

BOTH = EVERYTHING | {"web": "none", "other_databases": ["mysql"]}
TABLES = ["users", "files", "items", "tasks", "task_events"]
# Every ordered pair of the databases, each once, and from a file to a file.
ROUND = [
    "file",
    "file",
    "postgres",
    "postgres",
    "mysql",
    "mysql",
    "postgres",
    "file",
    "mysql",
    "file",
]

ODD = (INSIDE / "odd_tables.py").read_text()


class Databases:
    """Makes empty databases of each kind, and removes them at the end."""

    def __init__(self, folder: Path, stack: ExitStack, postgres: str, mysql: str) -> None:
        self._folder, self._stack, self._postgres, self._mysql = folder, stack, postgres, mysql

    def new(self, kind: str) -> str:
        if kind == "file":
            return f"sqlite:///{self._folder}/{uuid4().hex}.db"
        if kind == "postgres":
            return self._stack.enter_context(postgres_database(self._postgres))
        return self._stack.enter_context(mysql_database(self._mysql))


@pytest.fixture
def databases(tmp_path: Path, postgres_url: str, mysql_url: str) -> Iterator[Databases]:
    with ExitStack() as stack:
        yield Databases(tmp_path, stack, postgres_url, mysql_url)


def steps(urls: list[str]) -> list[str]:
    pairs = pairwise(urls)
    return [f"shop transfer --from {source} --to {target}" for source, target in pairs]


def rows_of(url: str) -> dict[str, list[Any]]:
    """Return what a SQLite file holds, byte for byte but for the order of JSON's keys."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return {
            table: sorted(map(comparable, connection.execute(f"SELECT * FROM {table}")))
            for table in TABLES
        }


def comparable(row: tuple[Any, ...]) -> str:
    return repr(
        [
            json.dumps(json.loads(value), sort_keys=True)
            if isinstance(value, str) and value[:1] in "[{" and value
            else value
            for value in row
        ]
    )


@pytest.mark.parametrize(
    ("sessions", "rows"),
    [
        ("async", 20),
        pytest.param("sync", 20, marks=LATER),
        pytest.param("async", 11_200, marks=LATER),
        pytest.param("sync", 11_200, marks=LATER),
    ],
)
def test_the_rows_are_the_same_after_every_pair_of_databases(
    renderer: Renderer, databases: Databases, tmp_path: Path, sessions: str, rows: int
) -> None:
    urls = [databases.new(kind) for kind in ROUND]
    answers = BOTH | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, urls[0])
    project.run_each("shop migrate", f"shop seed --rows={rows}")
    before = rows_of(urls[0])

    said = project.run_each(*steps(urls))

    total = sum(map(len, before.values()))
    assert total >= 9 * rows
    assert said.count(f"{total} rows were copied and compared.") == len(ROUND) - 1
    assert rows_of(urls[-1]) == before


@SESSIONS
@pytest.mark.parametrize("way", ["transfer", "dump"])
def test_every_type_and_odd_tables_arrive_and_numbers_go_on(
    renderer: Renderer, databases: Databases, tmp_path: Path, sessions: str, way: str
) -> None:
    answers = BOTH | {"sessions": sessions, "examples": []}
    project = Project(renderer.render(answers), answers, "")
    urls = [databases.new(kind) for kind in ("file", "postgres", "mysql", "postgres", "file")]
    project.run_code(ODD, way, *urls, DATABASE_URL=urls[0], PYTHONPATH=f"{project.folder / 'src'}")


# --- Interruptions ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[FragileServer]:
    """A server of these tests alone."""
    with fragile_server() as started:
        yield started


@pytest.fixture(scope="module")
def filled(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with rows."""
    path = tmp_path_factory.mktemp("filled") / "shop.db"
    project = Project(renderer.render(BOTH), BOTH, f"sqlite:///{path}")
    project.run_each("shop migrate", "shop seed --rows=500")
    return path


def kill(server: FragileServer, database: str, process: subprocess.Popen[str]) -> None:
    process.kill()


def interrupt(server: FragileServer, database: str, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def end_sessions(server: FragileServer, database: str, process: subprocess.Popen[str]) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND application_name = 'shop'",
        database,
    )


def crash(server: FragileServer, database: str, process: subprocess.Popen[str]) -> None:
    with server.killed():
        process.wait(20)


@SESSIONS
@pytest.mark.parametrize(
    "event",
    [kill, *(pytest.param(one, marks=LATER) for one in (crash, interrupt, end_sessions))],
)
def test_half_way_nothing_is_stored_and_the_same_command_starts_again(
    renderer: Renderer,
    server: FragileServer,
    filled: Path,
    sessions: str,
    event: Callable[[FragileServer, str, subprocess.Popen[str]], None],
) -> None:
    answers = BOTH | {"sessions": sessions}
    database = new_database(server)
    project = Project(renderer.render(answers), answers, server.url_of(database))
    project.run("shop", "migrate")
    source, indexes = f"sqlite:///{filled}", index_names(project.url)

    with begun(server, project, source, database) as process:
        event(server, database, process)
        said, complained = process.communicate(timeout=60)

    assert process.returncode != 0
    assert "copied" not in said
    assert "Traceback" not in complained
    if event in (end_sessions, crash):
        assert process.returncode == 1
        assert complained.startswith(f"{server.address}/{database}")
        assert complained.count("\n") == 1
    wait_until(lambda: waiting(server, database) == 0)
    assert counts(project.url) == [0] * len(TABLES)
    assert index_names(project.url) == indexes
    total = sum(map(len, rows_of(source).values()))
    done = project.run("shop", "transfer", "--from", source, "--to", project.url)
    assert done == f"{total} rows were copied and compared.\n"
    assert index_names(project.url) == indexes


@LATER
@SESSIONS
def test_a_source_that_dies_is_named_and_the_target_stays_empty(
    renderer: Renderer, server: FragileServer, filled: Path, sessions: str
) -> None:
    answers = BOTH | {"sessions": sessions}
    origin, database = new_database(server), new_database(server)
    source, target = server.url_of(origin), server.url_of(database)
    project = Project(renderer.render(answers), answers, target)
    project.run_each("shop migrate", f"shop transfer --from sqlite:///{filled} --to {source}")

    with begun(server, project, source, database) as process:
        end_sessions(server, origin, process)
    complained = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert complained.startswith(f"{server.address}/{origin}")
    assert complained.count("\n") == 1
    assert counts(target) == [0] * len(TABLES)
    project.run("shop", "transfer", "--from", source, "--to", target)
    assert counts(target) == counts(source)


def new_database(server: FragileServer) -> str:
    name = f"t_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    return name


@contextmanager
def begun(
    server: FragileServer, project: Project, source: str, database: str
) -> Iterator[subprocess.Popen[str]]:
    """Transfer to the database, and wait before the last table until the end of the block."""
    with closing(psycopg.connect(server.url_of(database), application_name="test")) as holder:
        holder.execute("LOCK TABLE task_events IN EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, "-m", "shop", "transfer", "--from", source, "--to", project.url],
            cwd=project.folder,
            env=project.environment(DATABASE_LOCK_TIMEOUT="60"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: waiting(server, database) == 1, 30)
        yield process


def waiting(server: FragileServer, database: str) -> int:
    return len(
        server.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND application_name = 'shop'"
            " AND wait_event_type = 'Lock'",
            database,
        )
    )


def index_names(url: str) -> list[str]:
    with closing(psycopg.connect(url)) as connection:
        statement = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        return [name for (name,) in connection.execute(statement)]


def counts(url: str) -> list[int]:
    with closing(psycopg.connect(url)) as connection:
        statements = [f"SELECT count(*) FROM {table}".encode() for table in TABLES]
        return [connection.execute(statement).fetchall()[0][0] for statement in statements]


@SESSIONS
def test_what_cannot_move_is_said_in_one_line(
    renderer: Renderer, filled: Path, tmp_path: Path, postgres_url: str, sessions: str
) -> None:
    answers = EVERYTHING | {"web": "none", "sessions": sessions, "extras": ["replicas"]}
    source, behind, odd, new = (
        f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "behind", "odd", "new")
    )
    with postgres_database(postgres_url) as taken:
        project = Project(renderer.render(answers), answers, source)
        project.run_each(
            "shop migrate",
            "shop seed --rows=2",
            ("alembic upgrade head", {"DATABASE_URL": behind}),
            ("alembic upgrade head", {"DATABASE_URL": odd}),
            f"shop transfer --from {source} --to {taken}",
        )
        change(behind, "DELETE FROM alembic_version")
        orphan = "INSERT INTO task_events (id, task_id, type) VALUES ('{0:032x}', '{0:032x}', 'x')"
        change(odd, orphan.format(1))
        address = taken.rpartition("@")[2]
        secret = "postgresql://user:s3cret@127.0.0.1:1/none"
        refused = [
            (source, taken, f"{address}, tasks: The table has rows already."),
            (source, source, f"{tmp_path}/source.db, tasks: The table has rows already."),
            (behind, new, f"{tmp_path}/behind.db: The schema is not at the newest revision"),
            (f"sqlite:///{tmp_path}/no.db", new, f"{tmp_path}/no.db: There is no such file."),
            (odd, new, f"{tmp_path}/new.db, task_events: A row that must exist does not"),
            ("nonsense", new, "--from: is not a database URL"),
            (source, "oracle://u:s3cret@host/x", "--to: names a database that is not supported"),
            (source, "mysql://u:s3cret@host/x", "--to: names a database that is not supported"),
            (source, secret, "The database cannot be reached. (127.0.0.1:1/none)"),
            (secret, new, "127.0.0.1:1/none: The database cannot be reached."),
            (source, "sqlite:////no/folder/x.db", "The database file cannot be opened."),
        ]

        # Where this process's own database is leads no transfer elsewhere.
        own = {
            "DATABASE_DIRECT_URL": secret,
            "DATABASE_REPLICA_URL": secret,
            "DATABASE_POOLER": "pgbouncer",
        }
        calls = [f"shop transfer --from {a} --to {b}" for a, b, _ in refused]
        ends = project.try_each(*calls, *((call, own) for call in calls))

    for (_, _, line), end in zip(refused * 2, ends, strict=True):
        assert end.code == 1, line
        assert end.stderr.startswith(line), end.stderr
        assert end.stderr.count("\n") == 1, end.stderr
        assert "s3cret" not in end.stdout + end.stderr
    assert not (tmp_path / "no.db").exists()


def change(url: str, statement: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement)


def test_a_row_that_arrives_changed_is_noticed_and_nothing_is_stored(
    renderer: Renderer, filled: Path, postgres_url: str
) -> None:
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(BOTH), BOTH, url)
        project.run("shop", "migrate")
        with psycopg.connect(url) as connection:
            connection.execute(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF NEW.priority = 1 THEN NEW.priority := 3; END IF; RETURN NEW; END $$"
            )
            connection.execute(
                "CREATE TRIGGER spoil BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
        done = project.try_run("shop", "transfer", "--from", f"sqlite:///{filled}", "--to", url)

        assert done.returncode == 1
        assert done.stderr.endswith(", tasks: What arrived is not what was sent.\n")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


@pytest.mark.parametrize(
    ("before", "after", "layer"),
    [
        pytest.param("postgresql", "mysql", "async", marks=LATER),
        pytest.param("mysql", "postgresql", "pydal", marks=LATER),
        pytest.param("sqlite", "postgresql", "sync", marks=LATER),
        pytest.param("sqlite", "mysql", "async", marks=LATER),
    ],
)
def test_a_project_that_changes_its_database_carries_its_rows_over(
    renderer: Renderer, databases: Databases, tmp_path: Path, before: str, after: str, layer: str
) -> None:
    folder, answers = tmp_path / "project", BASE | answers_of(layer) | {"database": before}
    renderer.copy(answers, folder)
    git(folder, "init", "--quiet")
    commit(folder, "start")
    source, target = databases.new(KINDS[before]), databases.new(KINDS[after])
    Project(folder, answers, source).run_each("shop migrate", "shop seed --rows=30")

    # While the rows move, its one URL must reach both.
    both = [before] if before != "sqlite" else []
    update(folder, {"database": after, "other_databases": both})
    project = Project(folder, answers, target)
    commit(folder, "both")
    project.run_each("shop migrate")
    said = project.run("shop", "transfer", "--from", source, "--to", target)
    update(folder, {"other_databases": []})

    assert said == "30 rows were copied and compared.\n"
    project.run_each("shop check", "alembic check")
    assert git(folder, "ls-files", "--unmerged") == ""
    gone = re.compile({"postgresql": r"asyncpg|psycopg", "mysql": "mysql"}.get(before, "no match"))
    left = [path.name for path in (folder / "src").rglob("*.py") if gone.search(path.read_text())]
    assert left == []


KINDS = {"sqlite": "file", "postgresql": "postgres", "mysql": "mysql"}
BASE = {"package_name": "shop", "web": "none", "examples": ["items"]}


def update(folder: Path, answers: dict[str, Any]) -> None:
    copier.run_update(folder, data=answers, defaults=True, overwrite=True, quiet=True)


def test_a_time_that_somebody_else_wrote_with_a_zone_is_the_same_moment(
    renderer: Renderer, tmp_path: Path
) -> None:
    answers = {"package_name": "shop", "web": "none", "examples": ["items"]}
    source, target = (f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "target"))
    project = Project(renderer.render(answers), answers, source)
    project.run_each("shop migrate", "shop seed --rows=1")
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
        connection.execute("UPDATE items SET created_at = '2026-03-01T14:00:00.5+02:00'")

    project.run("shop", "transfer", f"--from={source}", f"--to={target}")

    with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
        moved = connection.execute("SELECT created_at FROM items").fetchall()
    assert moved == [("2026-03-01 12:00:00.500000",)]
