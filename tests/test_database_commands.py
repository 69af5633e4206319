"""The commands of development that look into the database, on real databases and real mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import forks
import pytest
from edits import replace
from projects import Project, mysql_database, postgres_database, project_at
from rendering import EVERYTHING, LATER, SESSIONS, Renderer

BOTH = EVERYTHING | {"web": "none", "other_databases": ["mysql"]}
KINDS = ["file", "postgres", "mysql"]


def need(program: str) -> None:
    """Skip the test where a program is missing, but not in CI."""
    if shutil.which(program) is None:
        reason = f"{program} is not installed: make services"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)


@pytest.fixture
def urls(tmp_path: Path, postgres_url: str, mysql_url: str) -> Iterator[dict[str, str]]:
    """An empty database of each kind."""
    with ExitStack() as stack:
        yield {
            "file": f"sqlite:///{tmp_path}/shop.db",
            "postgres": stack.enter_context(postgres_database(postgres_url)),
            "mysql": stack.enter_context(mysql_database(mysql_url)),
            "copy": f"sqlite:///{tmp_path}/copy.db",
        }


# --- dumpdata and loaddata -----------------------------------------------------------------------


@SESSIONS
def test_a_dump_of_each_database_loads_into_the_next(
    renderer: Renderer, urls: dict[str, str], tmp_path: Path, sessions: str
) -> None:
    answers = BOTH | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, urls["file"])
    on = {kind: {"DATABASE_URL": url} for kind, url in urls.items()}

    project.run_each(
        *(("shop migrate", variables) for variables in on.values()),
        ("shop seed --rows=3", on["file"]),
        (f"manage dumpdata -o {tmp_path}/1", on["file"]),
        (f"manage loaddata {tmp_path}/1", on["postgres"]),
        (f"manage dumpdata --output {tmp_path}/2", on["postgres"]),
        (f"manage loaddata {tmp_path}/2", on["mysql"]),
        (f"manage dumpdata -o {tmp_path}/3", on["mysql"]),
        (f"manage loaddata {tmp_path}/3", on["copy"]),
        (f"manage dumpdata -o {tmp_path}/4", on["copy"]),
        (f"manage dumpdata users tasks -o {tmp_path}/some", on["file"]),
    )

    dumps = [rows_in(tmp_path / str(number)) for number in range(1, 5)]
    assert dumps == [dumps[0]] * 4
    assert len(dumps[0]) > 15
    some = rows_in(tmp_path / "some")
    assert some == [row for row in dumps[0] if row["table"] in {"users", "tasks"}]
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []


def rows_in(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_cannot_be_loaded_is_said_in_one_line_and_nothing_is_stored(
    renderer: Renderer, urls: dict[str, str], tmp_path: Path
) -> None:
    project = Project(renderer.render(BOTH), BOTH, urls["file"])
    on = {kind: {"DATABASE_URL": url} for kind, url in urls.items()}
    project.run_each(
        ("shop migrate", on["file"]),
        ("shop migrate", on["postgres"]),
        ("shop migrate", on["mysql"]),
        ("shop seed --rows=2", on["file"]),
        (f"manage dumpdata -o {tmp_path}/whole", on["file"]),
    )
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    user, file = (next(line for line in lines if name in line) for name in ('"users"', '"files"'))
    spoilt = {
        "half": ("".join(lines)[:-30], f"Line {len(lines)} is not a row of a dump."),
        "strange": (user.replace('"users"', '"people"'), "Line 1 is a row of people, and"),
        "later": (user.replace('"role"', '"rank"'), "Line 1: users has no column rank."),
        "wrong": (user.replace('"created_at": "2', '"created_at": "x'), "Line 1: what users.creat"),
        "typed": (user.replace('"is_active": true', '"is_active": 1'), "Line 1: what users.is_act"),
        "orphan": (file, "files: A row that must exist does not"),
        "twice": (user + user, "users: A value that must be unique is taken"),
    }
    for name, (text, _) in spoilt.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    ends = project.try_each(
        *((f"manage loaddata {tmp_path}/{name}", on["postgres"]) for name in spoilt),
        # Which checks no keys while rows come in any order.
        (f"manage loaddata {tmp_path}/orphan", on["mysql"]),
        (f"manage dumpdata -o {tmp_path}/nothing", on["postgres"]),
        (f"manage loaddata {tmp_path}/whole", on["file"]),
        (f"manage loaddata --add {tmp_path}/whole", on["file"]),
        (f"manage loaddata {tmp_path}/whole", on["copy"]),
        (f"manage loaddata {tmp_path}/latin", on["copy"]),
        (f"manage dumpdata nobody -o {tmp_path}/none", on["file"]),
        (f"manage dumpdata -o {tmp_path}/none/x", on["file"]),
        (f"manage dumpdata -o {tmp_path}", on["file"]),
        ("manage dumpdata", {"DATABASE_URL": "postgresql://user:s3cret@127.0.0.1:1/none"}),
    )

    expected = [line for _, line in spoilt.values()]
    expected[len(spoilt) :] = [
        "files: A row that must exist does not",
        "0 rows were written.",
        "tasks: The table has rows already.",
        "tasks: A value that must be unique is taken",
        "tasks: The schema is behind",
        "The file is not a dump: it is not in UTF-8.",
        "There is no table nobody. There are: files, items, task_events, tasks, users.",
        f"{tmp_path}/none/x cannot be written: No such file or directory.",
        f"{tmp_path} is a folder: name a file.",
        "127.0.0.1:1/none: The database cannot be reached.",
    ]
    for end, line in zip(ends, expected, strict=True):
        assert end.stderr.startswith(line), end.stderr
        assert end.stderr.count("\n") == 1, end.stderr
        assert end.code == (0 if line.startswith("0 rows") else 1), line
        assert "s3cret" not in end.stderr
    assert not (tmp_path / "none").exists()


def test_rows_can_be_added_to_those_that_are_there(
    renderer: Renderer, urls: dict[str, str], tmp_path: Path
) -> None:
    project = Project(renderer.render(BOTH), BOTH, urls["file"])
    row = {"id": "0" * 32, "name": "new", "created_at": "2026-03-01T12:00:00+02:00"}
    (tmp_path / "new").write_text(json.dumps({"table": "items", "row": row}) + "\n\n")

    said = project.run_each(
        "shop migrate", "shop seed --rows=2", f"manage loaddata --add {tmp_path}/new"
    )

    assert said.endswith("1 rows were stored.\n")
    dumped = project.run_each("manage dumpdata items").splitlines()
    assert '"name": "new"' in dumped[0]
    assert '"created_at": "2026-03-01T10:00:00+00:00"' in dumped[0]
    assert len(dumped) == 3


# --- shell and dbshell ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [
        {"sessions": "async"},
        pytest.param({"sessions": "sync"}, marks=LATER),
        pytest.param({"sessions": "sync", "runtime": "pydal"}, marks=LATER),
    ],
    ids=lambda answers: answers.get("runtime", answers["sessions"]),
)
def test_the_shell_has_the_service_at_hand(
    renderer: Renderer, tmp_path: Path, answers: dict[str, str]
) -> None:
    answers = BOTH | answers
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/shop.db")
    project.run_each("shop migrate", "shop seed --rows=2")
    block, wait = ("async with", "await ") if answers["sessions"] == "async" else ("with", "")
    count = f"{block} uow.read_only(): print({wait}uow.users.count(User.role == 'viewer'))"

    typed = piped(project, "shell", f"{count}\n\nnobody\nprint('still here')\n")
    done = project.try_run("manage", "shell", "--command", count)
    failed = project.try_run("manage", "shell", "-c", "nobody")

    assert "1\n" in typed.stdout
    assert "NameError" in typed.stderr
    assert "still here" in typed.stdout
    assert typed.returncode == 0
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert failed.returncode == 1
    assert "NameError" in failed.stderr


def piped(
    project: Project, command: str, text: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with what somebody types into it."""
    environment = project.environment() | variables
    return forks.run(["-m", "manage", command], project.folder, environment, text, 60)


@pytest.mark.parametrize(
    ("kind", "client"),
    [
        pytest.param("file", "sqlite3", marks=LATER),
        ("postgres", "psql"),
        pytest.param("mysql", "mariadb", marks=LATER),
    ],
)
def test_the_database_shell_reaches_the_database(
    renderer: Renderer, urls: dict[str, str], kind: str, client: str
) -> None:
    need(client)
    project = Project(renderer.render(BOTH), BOTH, urls[kind])
    statements = "CREATE TABLE seen (number int);\nINSERT INTO seen VALUES (41 + 1);\n"

    made = piped(project, "dbshell", statements)
    read = piped(project, "dbshell", "SELECT number FROM seen;\n")

    assert made.returncode == 0, made.stderr
    assert "42" in read.stdout


@pytest.mark.parametrize(
    ("url", "client", "variable", "told"),
    [
        (
            "postgresql://ann:s3cret@db.example:5433/shop?ssl=require",
            "psql",
            "PGPASSWORD",
            {"PGHOST=db.example", "PGPORT=5433", "PGUSER=ann", "PGDATABASE=shop"}
            | {"PGSSLMODE=require"},
        ),
        (
            "postgresql://ann:s3cret@/shop?host=a.example:5433&host=b.example:5434",
            "psql",
            "PGPASSWORD",
            {"PGHOST=a.example,b.example", "PGPORT=5433,5434", "PGUSER=ann", "PGDATABASE=shop"}
            | {"PGTARGETSESSIONATTRS=read-write"},
        ),
        (
            "postgresql://ann:s3cret@db.example/shop?application_name=me&connect_timeout=3",
            "psql",
            "PGPASSWORD",
            {"PGAPPNAME=me", "PGCONNECT_TIMEOUT=3"},
        ),
        (
            "mysql://ann:s3cret@db.example:3307/shop",
            "mysql",
            "MYSQL_PWD",
            {"--host=db.example", "--port=3307", "--user=ann", "shop"},
        ),
    ],
)
def test_the_database_shell_hides_the_password_and_says_what_is_missing(
    renderer: Renderer, tmp_path: Path, url: str, client: str, variable: str, told: set[str]
) -> None:
    project = Project(renderer.render(BOTH), BOTH, url)
    missing = piped(project, "dbshell", "", PATH=str(tmp_path))
    program = tmp_path / client
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n/usr/bin/env\n')
    program.chmod(0o755)
    done = piped(project, "dbshell", "", PATH=str(tmp_path))

    assert missing.returncode == 1
    assert re.fullmatch(r"(psql|mariadb or mysql) is not installed.*\n", missing.stderr)
    arguments = (tmp_path / "arguments").read_text().split()
    variables = done.stdout.splitlines()
    assert f"{variable}=s3cret" in variables
    assert "s3cret" not in " ".join(arguments)
    assert told <= {*arguments, *variables}


# --- diagram -------------------------------------------------------------------------------------


@LATER
def test_the_readme_follows_the_models(renderer: Renderer, tmp_path: Path) -> None:
    answers = {"package_name": "shop", "examples": ["items", "tasks"]}
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/shop.db", answers)
    readme = project.folder / "README.md"
    before = readme.read_text()
    readme.write_text(f"{before}\nOur own.\n")
    models = project.folder / "src/shop/features/items/models.py"
    replace(models, r"    description: ", "    colour: Mapped[str | None]\n    description: ")
    guard = ["pytest", "-q", "-pno:randomly", "tests/test_features.py", "-k", "readme"]

    failed = project.try_run(*guard)
    said = project.run("manage", "diagram")
    project.run(*guard)

    assert failed.returncode == 1
    assert "run ./manage.py diagram" in failed.stdout
    assert said == "README.md shows the schema.\n"
    column = '        String colour "optional"\n'
    assert readme.read_text().replace(column, "") == f"{before}\nOur own.\n"
    readme.write_text("# Ours\n")
    printed = project.run("manage", "diagram")
    assert printed.startswith("erDiagram\n    items {\n        Uuid id PK\n")
    assert column in printed
    assert readme.read_text() == "# Ours\n"
    readme.unlink()
    project.run(*guard)


def test_the_picture_shows_tables_and_relations(renderer: Renderer, tmp_path: Path) -> None:
    project = Project(renderer.render(EVERYTHING), EVERYTHING, f"sqlite:///{tmp_path}/shop.db")
    need("dot")

    project.run("manage", "diagram", "--svg", f"{tmp_path}/a.svg")
    nowhere = project.try_run("manage", "diagram", "--svg", f"{tmp_path}/none/a.svg")

    assert (
        nowhere.stderr == f"{tmp_path}/none/a.svg cannot be written: No such file or directory.\n"
    )
    drawn = (tmp_path / "a.svg").read_text()
    assert "<svg" in drawn
    for text in ["users", "email String(255) UK", "user_id Uuid FK", "task_events&#45;&gt;tasks"]:
        assert text in drawn


def test_without_graphviz_a_line_says_so(renderer: Renderer, tmp_path: Path) -> None:
    project = Project(renderer.render(EVERYTHING), EVERYTHING, f"sqlite:///{tmp_path}/shop.db")
    done = project.try_run_code(
        "import os, runpy, sys; os.environ['PATH'] = ''; "
        "runpy.run_path('manage.py', run_name='__main__')",
        "diagram",
        "--svg",
        f"{tmp_path}/a.svg",
    )

    assert done.returncode == 1
    assert done.stderr == "SVG needs Graphviz, whose dot is not installed, or not in the PATH.\n"
    assert not (tmp_path / "a.svg").exists()
