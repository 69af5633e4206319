"""The systems that Plinth was made for can be rendered, and docs/seeds.md tells the truth."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from documents import expect_shown, quoted_in, rows_of
from projects import Project, ask, mysql_database, postgres_database
from rendering import LATER, ROOT, Renderer, named_answers
from sqlalchemy import create_engine, inspect

DOCS = ROOT / "docs" / "seeds.md"
# Each system's answers, the letters of its promises, and how many it makes.
PROMISES = {
    "magnetaraion": ("S000", 32),
    "darwin": ("S001", 51),
    "reviewpoint": ("S002", 59),
    "generic_service": ("S003", 26),
    "resinkit": ("S004", 28),
}
SYSTEMS = pytest.mark.parametrize("name", PROMISES)

# The URLs that the systems document; none is the file that development falls back to.
DATABASES = [
    ("magnetaraion", "sqlite:///./magnetaraion.db"),
    pytest.param("magnetaraion", "postgresql://", marks=LATER),
    pytest.param("darwin", "sqlite:///./darwin_dev.db", marks=LATER),
    pytest.param("darwin", "postgresql://", marks=LATER),
    ("darwin", "mysql://"),
    pytest.param("reviewpoint", "sqlite+aiosqlite:///./backend_dev.db", marks=LATER),
    ("reviewpoint", "postgresql+asyncpg://"),
    pytest.param("generic_service", "", marks=LATER),
    ("resinkit", ""),
]

# The commands that the systems document, one after another as a person would type them.
COMMANDS = [
    "alembic upgrade head",
    "alembic current",
    "alembic history",
    "alembic downgrade -1",
    "alembic upgrade head",
]


@contextmanager
def url_of(written: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a URL as it is written, with a database of its own on a server."""
    if written.startswith("postgresql"):
        database = postgres_database(request.getfixturevalue("postgres_url"))
    elif written.startswith("mysql"):
        database = mysql_database(request.getfixturevalue("mysql_url"))
    else:
        yield written
        return
    with database as made:
        yield written + made.partition("://")[2]


def project_of(renderer: Renderer, tmp_path: Path, name: str, url: str = "") -> Project:
    """Return a copy of a system that the test may change; without a URL it uses its file."""
    answers = named_answers(name)
    folder = renderer.own_copy(answers, tmp_path / "project")
    return Project(folder, answers, url)


def second_migration(project: Project) -> Path:
    """Return the migration after the initial one; it is named by its date and time."""
    (written,) = {*(project.folder / "migrations" / "versions").glob("*.py")} - {
        *(project.folder / "migrations" / "versions").glob("*_create_initial_tables.py")
    }
    assert re.fullmatch(r"\d{8}_\d{4}_[a-z_]+_[0-9a-f]{12}", written.stem)
    return written


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- The systems -------------------------------------------------------------------------------


@SYSTEMS
def test_the_answers_answer_only_what_is_asked(name: str) -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    asked = {
        key
        for key, question in questions.items()
        if not key.startswith("_") and question.get("when") is not False
    }
    answers = named_answers(name)

    assert answers.keys() <= asked
    assert {"project_name", "package_name", "description", "author"} <= answers.keys()


@SYSTEMS
def test_there_is_one_migration_named_by_its_date(renderer: Renderer, name: str) -> None:
    project = renderer.render(named_answers(name))

    (only,) = (project / "migrations" / "versions").glob("*.py")

    assert re.fullmatch(r"\d{8}_\d{4}_create_initial_tables", only.stem)


@SYSTEMS
def test_only_the_settings_name_a_database(renderer: Renderer, name: str) -> None:
    project = renderer.render(named_answers(name))
    package = project / "src" / named_answers(name)["package_name"]
    settings = {package / "settings.py", package / "db" / "settings.py", package / "db" / "url.py"}
    files = {*package.rglob("*.py"), *project.glob("migrations/**/*"), project / "pyproject.toml"}

    naming = {path for path in files if path.is_file() and re.search(r"[a-z]://", path.read_text())}

    assert naming <= settings
    assert package / "settings.py" in naming


@pytest.mark.parametrize(("name", "written"), DATABASES)
def test_the_documented_commands_work(
    renderer: Renderer, tmp_path: Path, request: pytest.FixtureRequest, name: str, written: str
) -> None:
    with url_of(written, request) as url:
        project = project_of(renderer, tmp_path, name, url)
        variables = {"ENVIRONMENT": "dev"}

        lines = [*COMMANDS, f"{project.package} seed --rows=3"]
        output = project.run_each(*((line, variables) for line in lines))
        assert "0001 (head)" in output
        assert "<base> -> 0001 (head), Create the initial tables." in output
        with project.serve(**variables) as address:
            use(address, project.answers["examples"])

        made = {path.name for path in project.folder.glob("*.db")}
        file = written.rpartition("/")[2] or f"{project.package}.db"
        assert made == (set() if written.endswith("://") else {file})


def use(address: str, examples: list[str]) -> None:
    """Ask a seeded service what its features are for."""
    assert ask(f"{address}/health/ready")[0] == 200
    if "accounts" in examples:
        body = {"email": "ada@example.com", "password": "correct horse", "full_name": "Ada"}
        status, user = ask(f"{address}/users", body)
        assert status == 201
        assert "password" not in str(user)
        file = {"filename": "a.pdf", "content_type": "application/pdf", "size": 1}
        assert ask(f"{address}/users/{user['id']}/files", file)[0] == 201
        if "items" in examples:
            status, item = ask(f"{address}/items", {"name": "Lamp", "owner_id": user["id"]})
            assert status == 201
            assert ask(f"{address}/items/{item['id']}") == (200, item)
    if "tasks" in examples:
        task_body = {"type": "flink_sql", "configuration": {"sql": "SELECT 1"}, "created_by": "ada"}
        status, task = ask(f"{address}/tasks", task_body)
        assert status == 201
        for query in ("type=flink_sql", "created_by=ada", "type=flink_sql&status=pending"):
            found = ask(f"{address}/tasks?{query}")[1]["items"]
            assert [one["id"] for one in found] == [task["id"]], query
        assert ask(f"{address}/tasks?type=flink_sql&status=running")[1]["items"] == []
        assert len(ask(f"{address}/tasks/{task['id']}/events")[1]["items"]) == 1
        assert {"/tasks", "/tasks/{task_id}/events"} <= ask(f"{address}/openapi.json")[1][
            "paths"
        ].keys()
    # More requests at once than there are connections.
    first = next(name for name in ("items", "tasks", "users") if name in [*examples, "users"])
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, [f"{address}/{first}"] * 20))
    assert [status for status, _ in answers] == [200] * 20
    assert all(page["items"] for _, page in answers)


def test_the_settings_take_every_documented_form(renderer: Renderer, tmp_path: Path) -> None:
    cases = {
        "magnetaraion": ["sqlite:///./magnetaraion.db", "postgresql://u:p@host:5432/database"],
        "reviewpoint": [
            "sqlite+aiosqlite:///./backend_dev.db",
            "postgresql+asyncpg://user:pass@localhost:5432/dbname",
            "postgresql+asyncpg://postgres:postgres@localhost:5432/reviewpoint",
        ],
    }
    for name, urls in cases.items():
        project = project_of(renderer, tmp_path / name, name)
        show = (
            f"import os, sys; from {project.package}.settings import Settings\n"
            "for os.environ[sys.argv[1]] in sys.argv[2:]: s = Settings.load(); print("
            "s.environment, s.database_echo, s.url.render_as_string(hide_password=False))"
        )
        prefix = project.answers.get("env_prefix", "")
        done = subprocess.run(
            [sys.executable, "-c", show, f"{prefix}DATABASE_URL", "", *urls],
            cwd=project.folder,
            env=project.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        default, *loaded = [line.split() for line in done.stdout.splitlines()]
        assert default[:2] == ["development", "False"]
        assert default[2].endswith(f":///./{project.package}.db")
        assert [_without_driver(line[2]) for line in loaded] == [_without_driver(u) for u in urls]


def _without_driver(url: str) -> str:
    return re.sub(r"^(\w+)\+\w+:", r"\1:", url)


def test_reviewpoint_has_the_documented_tables(renderer: Renderer, tmp_path: Path) -> None:
    project = project_of(renderer, tmp_path, "reviewpoint")
    project.run_each("alembic upgrade head")
    engine = create_engine(f"sqlite:///{project.folder}/reviewpoint.db")
    schema = inspect(engine)
    columns = {
        table: {c["name"] for c in schema.get_columns(table)} for table in ("users", "files")
    }
    common = {"id", "created_at", "updated_at"}

    assert {"email", "hashed_password", "is_active"} | common <= columns["users"]
    assert {"filename", "content_type", "user_id"} | common <= columns["files"]
    (email,) = [i for i in schema.get_indexes("users") if i["column_names"] == ["email"]]
    assert email["unique"]
    assert ["user_id"] in [index["column_names"] for index in schema.get_indexes("files")]
    (key,) = schema.get_foreign_keys("files")
    assert (key["constrained_columns"], key["referred_table"]) == (["user_id"], "users")
    assert key["referred_columns"] == ["id"]
    engine.dispose()


def test_reviewpoint_never_waits_for_the_database(renderer: Renderer) -> None:
    waiting = {"create_engine", "sessionmaker", "scoped_session"}
    for path in (renderer.render(named_answers("reviewpoint")) / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
                assert not waiting & {alias.name for alias in node.names}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "Session", path


def test_a_migration_can_change_rows(renderer: Renderer, tmp_path: Path) -> None:
    project = project_of(renderer, tmp_path, "magnetaraion")
    seed = f"{project.package} seed --rows=3"
    project.run_each("alembic upgrade head", seed, "alembic revision -m describe_the_items")
    migration = second_migration(project)
    fill = 'op.get_bind().execute(sa.text("UPDATE items SET description = name"))'
    migration.write_text(migration.read_text().replace("pass", fill, 1))

    project.run_each("alembic upgrade head")

    with closing(sqlite3.connect(project.folder / "magnetaraion.db")) as connection:
        rows = connection.execute("SELECT name, description FROM items").fetchall()
    assert len(rows) == 3
    assert all(name == description for name, description in rows)


def test_resinkit_can_alter_a_table_that_sqlite_cannot(renderer: Renderer, tmp_path: Path) -> None:
    project = project_of(renderer, tmp_path, "resinkit")
    project.run_each("alembic upgrade head", f"{project.package} seed --rows=5")
    before = partial_indexes_and_rows(project)
    models = project.folder / "src" / project.package / "features" / "tasks" / "models.py"
    replace(models, "    description: Mapped[str | None] = mapped_column(Text)\n", "")
    replace(
        models,
        "name: Mapped[str | None] = mapped_column(String(255))",
        "name: Mapped[str | None] = mapped_column(String(300))\n"
        "    progress: Mapped[dict[str, Any] | None] = mapped_column(JSONString)\n"
        "    last_status: Mapped[TaskStatus | None] = mapped_column(enum_by_value(TaskStatus))",
    )

    revision = "alembic revision --autogenerate -m progress_of_tasks"
    project.run_each(revision, "alembic upgrade head", "alembic check")
    written = second_migration(project).read_text()
    after = partial_indexes_and_rows(project)
    project.run_each("alembic downgrade -1")

    assert {"alter_column", "drop_column", "add_column"} <= set(re.findall(r"\w+", written))
    assert project.package not in written, "a migration must not depend on code that changes"
    indexes, rows = before
    assert set(indexes) == {"ix_tasks_status", "ix_tasks_type"}
    assert rows[0] == 5
    assert rows[1] >= 5
    assert after == before
    assert partial_indexes_and_rows(project) == before


def partial_indexes_and_rows(project: Project) -> tuple[dict[str, str], list[int]]:
    """Return the partial indexes by name, and how many tasks and events there are."""
    with closing(sqlite3.connect(project.folder / "resinkit_api.db")) as connection:
        indexes = dict(
            connection.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE '% WHERE %'")
        )
        rows = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("tasks", "task_events")
        ]
    assert all("WHERE active = 1" in sql for sql in indexes.values())
    # The table is copied and renamed, which quotes its name.
    return {name: sql.replace('"', "") for name, sql in indexes.items()}, rows


# --- The document ------------------------------------------------------------------------------


@SYSTEMS
def test_every_promise_has_one_row(name: str) -> None:
    letters, number = PROMISES[name]

    rows = rows_of(DOCS, rf"{letters}-\d+")

    assert [row[0] for row in rows] == [f"{letters}-{n:02}" for n in range(1, number + 1)]
    assert [row for row in rows if len(row) != 3 or len(row[1]) < 10] == []


@SYSTEMS
def test_every_row_is_shown_by_tests_that_exist(renderer: Renderer, name: str) -> None:
    letters, _ = PROMISES[name]
    project = renderer.render(named_answers(name))
    for promise, _, shown in rows_of(DOCS, rf"{letters}-\d+"):
        expect_shown(promise, shown, project)


def test_our_files_are_there(renderer: Renderer) -> None:
    table = re.findall(r"^\| (\w+) \| `[^|]+ \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert {name for name, _ in table} == set(PROMISES)
    for name, ours in table:
        answers = named_answers(name)
        paths = quoted_in(ours)
        assert paths, ours
        for path in paths:
            found = path.replace("<package>", answers["package_name"])
            assert (renderer.render(answers) / found).exists(), f"{name}: {path}"
