"""An update brings the new template and loses no line of a user, from every version there was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edits import EDITS, Edited, added, edit, missing, read
from history import EVERYWHERE, NEXT, NOW, Start, history, render, require, starts, update
from projects import Project
from rendering import LATER, Renderer, commit, git

# Who comes from the working tree to what may come after it.
NOW_STARTS = [Start(NOW, answers) for answers in EVERYWHERE]


@pytest.fixture(scope="session")
def template(renderer: Renderer) -> Path:
    return history(renderer)


class Updated:
    """A project that was rendered, edited, and then updated."""

    def __init__(self, template: Path, folder: Path, start: Start, *, rename: bool = False) -> None:
        require(template, start.version)
        self.target = NEXT if start.version == NOW else NOW
        self.folder = render(template, start.version, folder / "project", start.answers)
        git(self.folder, "init", "--quiet")
        commit(self.folder, "start")
        before = read(self.folder)
        self.edited: Edited = edit(self.folder, start.answers, rename=rename)
        self.answers: dict[str, Any] = dict(start.answers)
        self.answers["package_name"] = "store" if rename else "shop"
        # What the template itself changes between the two, in files that are its own.
        new = render(template, self.target, folder / "new", self.answers)
        git(new, "init", "--quiet")
        if rename:
            old = render(template, start.version, folder / "old", self.answers)
            git(old, "init", "--quiet")
            before = read(old)
        self.brought = {
            name: lines for name, lines in added(before, read(new)).items() if not is_users(name)
        }
        self.removed = before.keys() - read(new).keys()

    def update(self, record: Callable[[str, object], None], start: Start) -> None:
        theirs = {name: text for name, text in read(self.folder).items() if is_users(name)}
        update(self.folder, self.target)
        unmerged = git(self.folder, "ls-files", "--unmerged").splitlines()
        lost = missing(self.edited.lines, self.folder)
        record("update", [start.version, start.chosen, len(EDITS), len(unmerged), len(lost)])
        assert unmerged == []
        assert lost == []
        assert list(self.folder.rglob("*.rej")) == []
        after = read(self.folder)
        assert {name: after.get(name) for name in theirs} == theirs
        assert not [name for name in self.edited.deleted if (self.folder / name).exists()]
        assert self.brought, "the versions do not differ"
        assert missing(self.brought, self.folder) == []
        assert not [name for name in self.removed if (self.folder / name).exists()]


def is_users(name: str) -> bool:
    """Tell whether the README says that no update touches this file."""
    return (
        name == "README.md"
        or "/features/" in name
        or (name.endswith("/settings.py") and "/db/" not in name)
        or name.startswith("migrations/versions/")
    )


def check(project: Path, *commands: str) -> None:
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def rows() -> Iterator[Any]:
    """Yield every start; of each old version the first now, its others later."""
    seen = set[str]()
    for start in [*NOW_STARTS, *starts()]:
        late = start.version in seen and start not in NOW_STARTS[:2]
        yield pytest.param(start, id=start.name, marks=[LATER] if late else [])
        seen.add(start.version)


@pytest.mark.parametrize("start", list(rows()))
def test_no_line_is_lost(
    template: Path,
    tmp_path: Path,
    start: Start,
    record_property: Callable[[str, object], None],
) -> None:
    updated = Updated(template, tmp_path, start)

    updated.update(record_property, start)

    check(updated.folder, "ruff check --no-cache .", "compileall -q src tests migrations")


RENAMED = pytest.param(NOW_STARTS[1], True, "sqlite", id="renamed")
OLDEST = pytest.param(starts()[0], False, "postgresql", id="from the oldest", marks=LATER)
LATEST = pytest.param(starts()[-2], False, "postgresql", id="from the latest", marks=LATER)
EVERYTHING = pytest.param(NOW_STARTS[0], False, "postgresql", id="to the next", marks=LATER)
FLASK = pytest.param(NOW_STARTS[2], False, "mysql", id="flask and pydal", marks=LATER)
MYSQL = pytest.param(NOW_STARTS[3], False, "mysql", id="two servers", marks=LATER)


@pytest.mark.parametrize(
    ("start", "rename", "url"),
    [RENAMED, OLDEST, LATEST, EVERYTHING, FLASK, MYSQL],
    indirect=["url"],
)
def test_it_works_on_its_data(
    template: Path,
    tmp_path: Path,
    url: str,
    start: Start,
    rename: bool,
    record_property: Callable[[str, object], None],
) -> None:
    updated = Updated(template, tmp_path, start, rename=rename)
    project = Project(updated.folder, updated.answers, url)
    package = project.package
    project.run_each(f"{package} migrate", f"{package} seed")
    if (project.folder / "tools" / "database.py").exists():
        project.run("manage", "diagram")
        commit(project.folder, "our schema")
    before = counts(project)

    updated.update(record_property, start)

    project.run_each(f"{package} migrate", "alembic check", f"{package} check")
    assert counts(project) == before
    assert before["orders"] > 0
    plugins = ["-pno:cacheprovider"] + ["-pno:asyncio"] * (start.answers["sessions"] == "sync")
    # All of them take long where there is more than SQLite.
    chosen = ["tests/features", "tests/db/test_models.py"] if "sqlite" in url else []
    project.run("pytest", "-q", *plugins, *chosen)
    if not chosen:
        project.run("mypy")


def counts(project: Project) -> dict[str, int]:
    """Return how many rows each table has, asked without the project's code."""
    code = """
import sys, json, sqlalchemy as sa
engine = sa.create_engine(sys.argv[1])
with engine.connect() as connection:
    names = sorted(sa.inspect(connection).get_table_names())
    print(json.dumps({n: connection.scalar(sa.text(f"select count(*) from {n}")) for n in names}))
"""
    url = project.url.replace("postgresql://", "postgresql+psycopg://")
    url = url.replace("mysql://", "mysql+pymysql://")
    found: dict[str, int] = json.loads(project.run_code(code, url))
    return found
