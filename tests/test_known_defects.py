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
import warnings
from pathlib import Path
from typing import Any

import copier
import copier.errors
import pytest
from projects import Project, ends_of, postgres_database
from rendering import LATER, ROOT, Renderer, commit, git

BASE: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}


# --- The template's own releases ---------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository as others get it: what is committed, with its tags."""
    folder = tmp_path_factory.mktemp("published") / "template"
    git(folder.parent, "clone", "--quiet", str(ROOT), str(folder))
    return folder


@pytest.fixture(scope="module")
def rendered(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made from the newest commit, which need not have a tag."""
    folder = tmp_path_factory.mktemp("rendered") / "service"
    copier.run_copy(str(published), folder, vcs_ref="HEAD", defaults=True, quiet=True)
    return folder


def test_the_documented_command_renders_what_the_repository_holds(
    published: Path, rendered: Path, tmp_path: Path
) -> None:
    changelog = (published / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## ([\d.]+)(?: \((unreleased)\))?", changelog, re.MULTILINE)
    released = {version for version, mark in versions if not mark}

    copier.run_copy(str(published), tmp_path / "service", defaults=True, quiet=True)

    # Without a version Copier takes the newest tag, so that a change without one reaches nobody.
    assert {tag.removeprefix("v") for tag in git(published, "tag").split()} == released
    if not released or not versions[0][1]:
        assert differences(tmp_path / "service", rendered) == []


@LATER
def test_a_project_made_from_an_untagged_state_can_be_updated(
    published: Path, rendered: Path
) -> None:
    git(rendered, "init", "--quiet")
    commit(rendered, "start")
    changed = published / "template" / "src" / "{{ package_name }}" / "db" / "types.py"
    changed.write_text(changed.read_text() + "\n\nNEW = True\n")
    commit(published, "improve")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", copier.errors.MissingFileWarning)
        copier.run_update(rendered, vcs_ref="HEAD", defaults=True, overwrite=True, quiet=True)

    status = git(rendered, "status", "--porcelain").splitlines()
    assert [line[3:] for line in status] == [".copier-answers.yml", "src/my_service/db/types.py"]


def differences(one: Path, other: Path) -> list[str]:
    """Return the files of two folders that differ, apart from the answers' file."""
    compared = filecmp.dircmp(one, other, ignore=[".copier-answers.yml", ".git"])
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
    source = renderer.own_copy(answers, folder / "project")
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
    done = subprocess.run(
        [python_of(project), *arguments],
        cwd=folder,
        env=environment_of(project),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_each_installed(project: Project, folder: Path, *lines: str) -> str:
    """Run modules as run_installed does, and return what they print."""
    calls = [(line, dict[str, str]()) for line in lines]
    ends = ends_of(calls, folder, environment_of(project), python_of(project))
    for end in ends:
        assert end.code == 0, end.stdout + end.stderr
        # Alembic itself does not mind when what it calls after writing a migration fails.
        assert "Traceback" not in end.stderr
    return "".join(end.stdout for end in ends)


def python_of(project: Project) -> Path:
    return project.folder.parent / "env" / "bin" / "python"


def environment_of(project: Project) -> dict[str, str]:
    return {name: text for name, text in project.environment().items() if name != "PYTHONPATH"}


def test_an_installed_service_brings_its_migrations(installed: Project, tmp_path: Path) -> None:
    said = run_each_installed(installed, tmp_path, "shop migrate", "shop check")

    assert "up to date" in said
    assert not list(tmp_path.iterdir())


def test_a_migration_can_be_written_where_no_formatter_is_installed(
    installed: Project, tmp_path: Path
) -> None:
    folder = shutil.copytree(installed.folder, tmp_path / "project")
    missing = "import importlib.util as i; print(i.find_spec('ruff'), i.find_spec('pytest'))"
    assert run_installed(installed, folder, "-c", missing) == "None None\n"

    for lines in (["upgrade head", "revision --autogenerate -m first"], ["upgrade head", "check"]):
        run_each_installed(installed, folder, *(f"alembic {line}" for line in lines))

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


# --- Migrations and tests ----------------------------------------------------------------------


def test_the_first_migration_of_a_project_without_examples_can_be_loaded(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    answers = BASE | {"sessions": "sync", "web": "none", "examples": []}
    folder = renderer.own_copy(answers, tmp_path / "project")
    with postgres_database(postgres_url) as url:
        project = Project(folder, answers, url)

        project.run("alembic", "revision", "--autogenerate", "-m", "first")

        assert "(head)" in project.run_each("alembic upgrade head", "alembic current")


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


def test_a_changed_server_default_is_seen_where_the_schema_is(
    renderer: Renderer, tmp_path: Path, url: str
) -> None:
    answers = BASE | {"sessions": "sync", "other_databases": ["mysql"]}
    folder = renderer.own_copy(answers, tmp_path / "project")
    project = Project(folder, answers, url)
    models = folder / "src" / "shop" / "features" / "tasks" / "models.py"
    before = models.read_text()
    assert 'server_default="0"' in before
    models.write_text(before.replace('server_default="0"', 'server_default="7"'))

    _, checked = project.try_each("alembic upgrade head", "alembic check")

    assert checked.code != 0
    assert "modify_default" in checked.stdout + checked.stderr


# These run among the project's own tests, on each of its databases.
PROBE = """
from shop.db.health import current_heads
from shop.db.migrations import heads
from shop.settings import Settings

URLS = {"sqlite": "sqlite:///a.db", "postgresql": "postgresql://host/name"}

async def test_production(database) -> None:
    served = Settings(database_url=URLS[database.engine.dialect.name]).url.drivername
    assert database.engine.url.drivername == served
    assert await current_heads(database) == heads() != set()
"""
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


@pytest.fixture(scope="module", params=["async", "sync"])
def added_tests(
    request: pytest.FixtureRequest,
    renderer: Renderer,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_url: str,
) -> str:
    """What the project's test runner says of these tests."""
    answers = BASE | {"sessions": request.param}
    folder = tmp_path_factory.mktemp("added") / "project"
    renderer.own_copy(answers, folder)
    plugins = [] if request.param == "async" else ["-p", "no:asyncio"]
    names = []
    for name, tests in {"probe": PROBE, "own": OWN_CHOICES}.items():
        if request.param == "sync":
            tests = tests.replace("async ", "").replace("await ", "")
        names.append(f"tests/test_{name}.py")
        (folder / names[-1]).write_text(tests)
    arguments = ["-p", "no:cacheprovider", *plugins, "-v", *names]
    return Project(folder, answers, "").try_run("pytest", *arguments).stdout


def expect_passed(test: str, output: str) -> None:
    for database in ("sqlite", "postgresql"):
        assert f"{test}[{database}] PASSED" in output, output


def test_its_tests_run_on_the_drivers_and_the_migrations_of_production(added_tests: str) -> None:
    expect_passed("test_production", added_tests)


def test_a_version_column_tells_of_the_other_writer(added_tests: str) -> None:
    expect_passed("test_a_version_column", added_tests)


def test_rows_that_a_repository_hides_are_hidden_everywhere(added_tests: str) -> None:
    expect_passed("test_hidden_rows", added_tests)


def test_no_driver_is_required_for_tests_only(renderer: Renderer) -> None:
    for sessions in ("async", "sync"):
        pyproject = renderer.render(BASE | {"sessions": sessions}) / "pyproject.toml"
        required = " ".join(tomllib.loads(pyproject.read_text())["dependency-groups"]["dev"])
        assert not re.search("psycopg|asyncpg|sqlite", required)
