"""Defects that other templates have, and that no project of this one may have.

docs/data-layer.md lists them all; most are shown by tests that stand elsewhere.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import Project, postgres_database
from rendering import ROOT, Renderer, commit, git

BASE: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}
SESSIONS = pytest.mark.parametrize("sessions", ["async", "sync"])
COPIER = [sys.executable, "-m", "copier"]


# --- The template's own releases ---------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository as others get it: what is committed, with its tags."""
    folder = tmp_path_factory.mktemp("published") / "template"
    git(folder.parent, "clone", "--quiet", str(ROOT), str(folder))
    return folder


def test_the_documented_command_renders_what_the_repository_holds(
    published: Path, tmp_path: Path
) -> None:
    changelog = (published / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## ([\d.]+)(?: \((unreleased)\))?", changelog, re.MULTILINE)
    released = {version for version, mark in versions if not mark}

    copier("copy", "--defaults", str(published), str(tmp_path / "service"))
    copier("copy", "--defaults", "--vcs-ref=HEAD", str(published), str(tmp_path / "head"))

    # Without a version Copier takes the newest tag, so that a change without one reaches nobody.
    assert {tag.removeprefix("v") for tag in git(published, "tag").split()} == released
    if not released or not versions[0][1]:
        assert differences(tmp_path / "service", tmp_path / "head") == []


def test_a_project_made_from_an_untagged_state_can_be_updated(
    published: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template"
    git(tmp_path, "clone", "--quiet", str(published), str(template))
    copier("copy", "--defaults", "--vcs-ref=HEAD", str(template), str(tmp_path / "service"))
    git(tmp_path / "service", "init", "--quiet")
    commit(tmp_path / "service", "start")
    changed = template / "template" / "src" / "{{ package_name }}" / "db" / "types.py"
    changed.write_text(changed.read_text() + "\n\nNEW = True\n")
    commit(template, "improve")

    copier("update", "--defaults", "--vcs-ref=HEAD", str(tmp_path / "service"))

    status = git(tmp_path / "service", "status", "--porcelain").splitlines()
    assert [line[3:] for line in status] == [".copier-answers.yml", "src/my_service/db/types.py"]


def copier(*arguments: str) -> None:
    done = subprocess.run(
        [*COPIER, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def differences(one: Path, other: Path) -> list[str]:
    """Return the files of two folders that differ, apart from the answers' file."""
    compared = filecmp.dircmp(one, other, ignore=[".copier-answers.yml"])
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    for name in compared.common_dirs:
        found += [f"{name}/{inside}" for inside in differences(one / name, other / name)]
    return found


# --- What is installed -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project and the environment of its deployment: its wheel, without tools and tests."""
    answers = BASE | {"sessions": "async"}
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(renderer.render(answers), folder / "project")
    uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    uv("venv", "--quiet", "--python", sys.executable, str(folder / "env"))
    pins = ["--constraints", str(source / "constraints.txt")]
    python = str(folder / "env" / "bin" / "python")
    uv("pip", "install", "--quiet", "--python", python, *pins, str(wheel))
    return Project(source, answers, f"sqlite:///{folder}/service.db")


def uv(*arguments: str) -> None:
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_installed(project: Project, folder: Path, *arguments: str) -> str:
    """Run Python where the service is installed, and nothing of its repository is in the way."""
    environment = project.environment()
    del environment["PYTHONPATH"]
    done = subprocess.run(
        [project.folder.parent / "env" / "bin" / "python", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Alembic itself does not mind when what it calls after writing a migration fails.
    assert "Traceback" not in done.stderr
    return done.stdout


def test_an_installed_service_brings_its_migrations(installed: Project, tmp_path: Path) -> None:
    run_installed(installed, tmp_path, "-m", "shop", "migrate")

    assert "up to date" in run_installed(installed, tmp_path, "-m", "shop", "check")
    assert not list(tmp_path.iterdir())


def test_a_migration_can_be_written_where_no_formatter_is_installed(
    installed: Project, tmp_path: Path
) -> None:
    folder = shutil.copytree(installed.folder, tmp_path / "project")
    missing = "import importlib.util as i; print(i.find_spec('ruff'), i.find_spec('pytest'))"
    assert run_installed(installed, folder, "-c", missing) == "None None\n"

    for line in ("upgrade head", "revision --autogenerate -m first", "upgrade head", "check"):
        run_installed(installed, folder, "-m", "alembic", *line.split())

    assert len(list((folder / "migrations" / "versions").glob("*_first_*.py"))) == 1


def test_a_script_that_forgets_to_close_its_database_ends(
    installed: Project, tmp_path: Path
) -> None:
    script = (
        "import asyncio; from sqlalchemy import text\n"
        "from shop.db.engine import Database; from shop.settings import Settings\n"
        "async def main():\n"
        "    async with Database(Settings.load()).sessions() as session:\n"
        "        print(await session.scalar(text('SELECT 1')))\n"
        "asyncio.run(main())"
    )

    assert run_installed(installed, tmp_path, "-c", script) == "1\n"


def test_migrations_run_inside_an_event_loop_and_leave_the_logs_alone(
    installed: Project, tmp_path: Path
) -> None:
    script = (
        "import asyncio, logging; from shop.db.health import read_heads\n"
        "from shop.db.migrations import heads, upgrade; from shop.settings import Settings\n"
        "logging.basicConfig(format='%(message)s'); log = logging.getLogger('before')\n"
        "async def migrate(settings):\n"
        "    upgrade(settings)\n"
        "    log.warning('%s', await read_heads(settings) == heads() != set())\n"
        "for _ in range(2): asyncio.run(migrate(Settings.load()))"
    )
    other = Project(installed.folder, installed.answers, f"sqlite:///{tmp_path}/other.db")

    assert run_installed(
        other, tmp_path, "-c", f"import sys; sys.stderr = sys.stdout\n{script}"
    ) == ("True\nTrue\n")


# --- Migrations and tests ----------------------------------------------------------------------


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_the_first_migration_of_a_project_without_examples_can_be_loaded(
    renderer: Renderer, tmp_path: Path, postgres_url: str, database: str
) -> None:
    answers = BASE | {"sessions": "sync", "database": database, "web": "none", "examples": []}
    with postgres_database(postgres_url) as made:
        url = made if database == "postgresql" else f"sqlite:///{tmp_path}/a.db"
        folder = shutil.copytree(renderer.render(answers), tmp_path / "project")
        project = Project(folder, answers, url)

        project.run("alembic", "revision", "--autogenerate", "-m", "first")
        project.run("alembic", "upgrade", "head")

        assert "(head)" in project.run("alembic", "current")


def test_only_migrations_make_tables() -> None:
    for path in template_files("src", "migrations"):
        assert "create_all" not in path.read_text(), path


def test_no_test_pretends_to_be_a_database() -> None:
    for path in template_files("tests"):
        assert not re.search(r"import.*mock|Mock\(", path.read_text(), re.IGNORECASE), path


def template_files(*folders: str) -> list[Path]:
    """Return the template's files under these folders, whatever condition is in their names."""
    files = [path for path in (ROOT / "template").rglob("*") if path.is_file()]
    inside = re.compile(rf"(?:^|%\}})(?:{'|'.join(folders)})(?:\{{%|$)")
    found = [path for path in files if inside.search(path.relative_to(ROOT / "template").parts[0])]
    assert len(found) > 1
    return [path for path in found if "__pycache__" not in path.parts]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/service.db"
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as made:
            yield made


def test_a_changed_server_default_is_seen_where_the_schema_is(
    renderer: Renderer, tmp_path: Path, url: str
) -> None:
    answers = BASE | {"sessions": "sync"}
    folder = shutil.copytree(renderer.render(answers), tmp_path / "project")
    project = Project(folder, answers, url)
    project.run("alembic", "upgrade", "head")
    models = folder / "src" / "shop" / "features" / "tasks" / "models.py"
    before = models.read_text()
    assert 'server_default="0"' in before
    models.write_text(before.replace('server_default="0"', 'server_default="7"'))

    done = project.try_run("alembic", "check")

    assert done.returncode != 0
    assert "modify_default" in done.stdout + done.stderr


PROBE = """
import os
from shop.db.health import current_heads
from shop.db.migrations import heads

async def test_what_the_tests_run_on(database) -> None:
    name = database.engine.url.drivername
    with open(os.environ["SEEN"], "a") as file:
        print(name, await current_heads(database) == heads(), file=file)
"""
SERVED = (
    "import sys; from shop.settings import Settings\n"
    "for url in sys.argv[1:]: print(Settings(database_url=url).url.drivername)"
)


@SESSIONS
def test_its_tests_run_on_the_drivers_and_the_migrations_of_production(
    renderer: Renderer, tmp_path: Path, postgres_url: str, sessions: str
) -> None:
    answers = BASE | {"sessions": sessions}
    folder = shutil.copytree(renderer.render(answers), tmp_path / "project")
    project = Project(folder, answers, "", {"SEEN": str(tmp_path / "seen")})
    is_async = sessions == "async"
    probe = PROBE if is_async else PROBE.replace("async ", "").replace("await ", "")
    (folder / "tests" / "test_probe.py").write_text(probe)
    plugins = [] if is_async else ["-p", "no:asyncio"]

    project.run("pytest", "-p", "no:cacheprovider", *plugins, "tests/test_probe.py")
    served = subprocess.run(
        [sys.executable, "-c", SERVED, "sqlite:///a.db", "postgresql://a/b"],
        cwd=folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    pyproject = tomllib.loads((folder / "pyproject.toml").read_text())
    seen = (tmp_path / "seen").read_text().splitlines()
    assert sorted(seen) == sorted(f"{driver} True" for driver in served)
    required = " ".join(pyproject["project"]["dependencies"])
    for driver in served:
        name = driver.partition("+")[2]
        assert name in {"pysqlite"} or name in required
    assert not re.search("psycopg|asyncpg|sqlite", " ".join(pyproject["dependency-groups"]["dev"]))


# Runs among the project's own tests, on each of its databases.
OWN_CHOICES = """
import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.orm import Mapped, mapped_column
from shop.db.base import Base, HasId
from shop.db.engine import run_on_connection
from shop.db.errors import NotFoundError, StaleError
from shop.db.repository import Repository
from shop.db.runtime import run
from shop.db.unit_of_work import UnitOfWork

class Own(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)

class Note(HasId, Own):
    __tablename__ = "notes"
    text: Mapped[str]
    hidden: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}

class Notes(Repository[Note]):
    model = Note

    def query(self):
        return select(Note).where(~Note.hidden)

@pytest.fixture
async def database(empty):
    from shop.db.engine import Database
    def create(connection):
        Own.metadata.create_all(connection)
        connection.commit()
    run(run_on_connection, empty, create)
    database = Database(empty)
    yield database
    await database.dispose()

async def test_a_version_column(database):
    first, second, note = UnitOfWork(database), UnitOfWork(database), Note(text="a")
    async with first:
        Notes(first.session).add(note)
    id = note.id
    async with second:
        (await Notes(second.session).get_one(id)).text = "theirs"
    with pytest.raises(StaleError):
        async with first:
            first.session.add(note)
            note.text = "ours"
    async with second.read_only():
        assert (await Notes(second.session).read_one(id)).text == "theirs"

async def test_hidden_rows(database):
    uow, note = UnitOfWork(database), Note(text="a", hidden=True)
    async with uow:
        notes = Notes(uow.session)
        notes.add_all([note, Note(text="b")])
        await uow.flush()
        assert await notes.get(note.id) is None
        assert [found.text for found in await notes.list()] == ["b"]
        assert (await notes.first(Note.text == "a"), await notes.count()) == (None, 1)
        assert not await notes.exists(Note.text == "a")
        assert [row.text for row in (await notes.page()).items] == ["b"]
        assert [row.text async for row in notes.stream()] == ["b"]
        with pytest.raises(NotFoundError):
            await notes.read_one(note.id)
"""
# The sync spelling of the same.
PLAIN = [("async ", ""), ("await ", "")]


@pytest.fixture(scope="module", params=["async", "sync"])
def own_choices(
    request: pytest.FixtureRequest,
    renderer: Renderer,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_url: str,
) -> str:
    """What the project's test runner says of choices that its owner could make."""
    answers = BASE | {"sessions": request.param}
    folder = tmp_path_factory.mktemp("own") / "project"
    shutil.copytree(renderer.render(answers), folder)
    tests, plugins = OWN_CHOICES, list[str]()
    if request.param == "sync":
        plugins = ["-p", "no:asyncio"]
        for word, plain in PLAIN:
            tests = tests.replace(word, plain)
    (folder / "tests" / "test_own.py").write_text(tests)
    project = Project(folder, answers, "")
    arguments = ["-p", "no:cacheprovider", *plugins, "-v", "tests/test_own.py"]
    return project.try_run("pytest", *arguments).stdout


def test_a_version_column_tells_of_the_other_writer(own_choices: str) -> None:
    for database in ("sqlite", "postgresql"):
        assert f"test_a_version_column[{database}] PASSED" in own_choices, own_choices


def test_rows_that_a_repository_hides_are_hidden_everywhere(own_choices: str) -> None:
    for database in ("sqlite", "postgresql"):
        assert f"test_hidden_rows[{database}] PASSED" in own_choices, own_choices
