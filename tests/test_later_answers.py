"""Answers that change later: an update does what follows from them, or says why it cannot."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from edits import append, read, replace
from history import EVERYWHERE, NOW, history, render, update
from projects import Project
from rendering import LATER, ROOT, Renderer, can_have, commit, git, name_of

ALL: dict[str, Any] = {"package_name": "shop", **EVERYWHERE[0]}
SMALL: dict[str, Any] = {"package_name": "shop", **EVERYWHERE[1], "env_prefix": ""}
SYNC: dict[str, Any] = {**SMALL, "web": "fastapi", "examples": ["items"], "license": "MIT"}


@pytest.fixture(scope="session")
def template(renderer: Renderer) -> Path:
    return history(renderer)


def start(template: Path, folder: Path, answers: Mapping[str, Any]) -> Path:
    render(template, NOW, folder, answers)
    git(folder, "init", "--quiet")
    commit(folder, "start")
    return folder


def clean(folder: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=folder, check=False
    )
    return done.returncode == 0 and git(folder, "ls-files", "--unmerged") == ""


def owned(name: str) -> bool:
    """Tell whether a file is its user's, and may say what was true when it was rendered."""
    return name == "README.md" or "features/" in name or "migrations/versions/" in name


def of_template(project: Path) -> dict[str, str]:
    return {name: text for name, text in read(project).items() if not owned(name)}


def choices(question: str) -> list[str]:
    """Return all that may be chosen."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    found = questions[question]["choices"].values()
    return [choice["value"] if isinstance(choice, dict) else choice for choice in found]


def test_the_project_becomes_what_the_new_answers_render(template: Path, tmp_path: Path) -> None:
    changes = {
        "database": "postgresql",
        "python": "3.14",
        "env_prefix": "SHOP_",
        "license": "Apache-2.0",
        "author": "Others",
        "description": "Something else.",
    }
    project = start(template, tmp_path / "shop", SYNC)
    append(project / "src/shop/settings.py", '    greeting: str = "hello"\n')
    append(project / ".env.example", "# Ours.\n# GREETING=hello\n")
    commit(project, "ours")

    update(project, NOW, **changes)

    expected = render(template, NOW, tmp_path / "new", {**SYNC, **changes})
    git(expected, "init", "--quiet")
    append(expected / "src/shop/settings.py", '    greeting: str = "hello"\n')
    append(expected / ".env.example", "# Ours.\n# GREETING=hello\n")
    assert of_template(project) == of_template(expected)
    assert clean(project)
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["license"] == (
        "Apache-2.0"
    )


FLASK: dict[str, Any] = {**SYNC, "web": "flask", "runtime": "pydal", "database": "mysql"}
MORE: dict[str, Any] = {
    "extras": choices("extras"),
    "other_databases": ["mysql"],
    "python": "3.14",
}


@pytest.mark.parametrize(
    ("answers", "changes"),
    [
        pytest.param(SYNC, MORE | {"other_databases": ["postgresql", "mysql"]}, marks=LATER),
        pytest.param(FLASK, MORE | {"other_databases": ["postgresql"]}, marks=LATER),
        pytest.param(ALL, MORE, marks=LATER),
    ],
    ids=["small", "flask", "all"],
)
def test_what_is_chosen_comes_and_what_is_given_up_goes(
    template: Path, tmp_path: Path, answers: dict[str, Any], changes: dict[str, Any]
) -> None:
    usual = {"database": "postgresql", "runtime": "sqlalchemy", "web": "fastapi"}
    possible = [one for one in changes["extras"] if can_have(usual | answers | changes, one)]
    # The admin page asks for a line in the settings, which are the owner's: see below.
    changes = changes | {"extras": [one for one in possible if one != "admin"]}
    project = start(template, tmp_path / "shop", answers)
    before = read(project)

    update(project, NOW, **changes)

    expected = render(template, NOW, tmp_path / "new", answers | changes)
    git(expected, "init", "--quiet")
    assert of_template(project) == of_template(expected)
    assert clean(project)
    commit(project, "more")

    update(project, NOW, **{name: answers.get(name, []) for name in changes} | {"python": "3.11"})

    assert read(project) == before
    assert git(project, "ls-files", "--unmerged") == ""


@LATER
def test_a_licence_that_is_given_up_goes(template: Path, tmp_path: Path) -> None:
    project = start(template, tmp_path / "shop", SYNC)

    update(project, NOW, license="proprietary")

    assert not (project / "LICENSE").exists()


@LATER
def test_the_tests_pass_after_the_database_has_changed(
    template: Path, tmp_path: Path, postgres_url: str
) -> None:
    project = start(template, tmp_path / "shop", SYNC | {"examples": ["items", "tasks"]})

    update(project, NOW, database="postgresql")

    changed = Project(project, SYNC, "sqlite:///./own.db")
    output = changed.run(
        "pytest", "-q", "-pno:cacheprovider", "-pno:asyncio", "tests/features/tasks",
        "tests/db/test_migrations.py", "-k", "postgresql", TEST_POSTGRES_URL=postgres_url,
    )  # fmt: skip
    assert re.search(r"\d+ passed", output)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"package_name": "store"}, "cannot be renamed"),
    ({"sessions": "async"}, "cannot change"),
    ({"web": "none"}, "cannot change"),
    ({"runtime": "pydal"}, "cannot change"),
    ({"web": "flask"}, "cannot change"),
    ({"examples": []}, 'items is yours .* "make remove feature=items"'),
    ({"examples": ["items", "tasks"]}, "tasks cannot be added .* a feature of that name"),
]


@LATER
def test_what_cannot_change_is_refused_in_one_line(template: Path, tmp_path: Path) -> None:
    # A name that would be a pattern of files.
    project = start(template, tmp_path / "[shop]*", SYNC)
    (project / "src/shop/features/tasks").mkdir()
    append(project / "src/shop/features/tasks/__init__.py", "# ours\n")
    commit(project, "ours")

    for answer, why in REFUSED:
        with pytest.raises(ValueError, match=why) as refusal:
            update(project, NOW, **answer)
        assert "\n" not in str(refusal.value).strip()
        assert git(project, "status", "--porcelain") == ""


@LATER
def test_an_example_can_be_chosen_later(template: Path, tmp_path: Path) -> None:
    project = start(template, tmp_path / "shop", SYNC)
    ours = project / "src/shop/features/items/models.py"
    append(ours, "    note: Mapped[str | None] = mapped_column(String(100))\n")
    commit(project, "ours")
    before = read(project)

    update(project, NOW, examples=["items", "tasks"])

    after = read(project)
    new = render(template, NOW, tmp_path / "new", SYNC | {"examples": ["items", "tasks"]})
    for folder in ("src/shop/features/tasks", "tests/features/tasks"):
        assert {path.name for path in (project / folder).iterdir()} == {
            path.name for path in (new / folder).iterdir()
        }
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed <= {".copier-answers.yml", "pyproject.toml", "constraints.txt"}
    assert clean(project)
    # What the message after the update says to do: three files name each feature.
    for path in (new / "src/shop/features").glob("*.py"):
        (project / "src/shop/features" / path.name).write_text(path.read_text())
    made = Project(project, SYNC, f"sqlite:///{tmp_path}/shop.db")
    made.run_each("shop migrate")
    made.run_each("alembic revision --autogenerate -m tasks", "shop migrate", "alembic check")
    made.run("pytest", "-q", "-pno:cacheprovider", "-pno:asyncio", "tests/features/tasks")


@LATER
@pytest.mark.parametrize("chosen", EVERYWHERE, ids=name_of)
def test_an_example_can_be_removed_later(
    template: Path, tmp_path: Path, chosen: dict[str, Any], postgres_url: str, mysql_url: str
) -> None:
    answers = {"package_name": "shop", **chosen, "examples": ["accounts", "items", "tasks"]}
    project = start(template, tmp_path / "shop", answers)
    features = project / "src/shop/features"
    append(features / "seed.py", "OURS = 1\n")
    commit(project, "ours")
    made = Project(project, answers, f"sqlite:///{tmp_path}/shop.db")

    refused = made.try_run_code(REMOVE, "accounts")
    for example in ("tasks", "items", "accounts"):
        made.run_code(REMOVE, example)
        commit(project, f"without {example}")
    update(project, NOW, examples=[])

    assert refused.returncode == 1
    assert "features/items/models.py" in refused.stderr
    bare = render(template, NOW, tmp_path / "bare", answers | {"examples": []})
    git(bare, "init", "--quiet")
    append(bare / "src/shop/features/seed.py", "OURS = 1\n")
    left = {name for name in read(project) if "features" in name}
    assert {name for name in read(bare) if "features" in name} - left <= {"tests/features/.gitkeep"}
    for name in sorted(left):
        assert (project / name).read_text() == (bare / name).read_text(), name
    assert (project / "pyproject.toml").read_text() == (bare / "pyproject.toml").read_text()
    assert yaml.safe_load((project / ".copier-answers.yml").read_text())["examples"] == []
    assert clean(project)
    # What the tool says to do last.
    (project / "migrations/versions/20270101_0000_drop.py").write_text(DROP)
    made.run_each("shop migrate", "alembic check")
    plugins = ["-pno:cacheprovider"] + ["-pno:asyncio"] * (answers["sessions"] == "sync")
    made.run("pytest", "-q", *plugins)
    made.run("mypy")


DROP = '''"""Drop the tables of the examples."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ["task_events", "tasks", "items", "files", "users"]


def upgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def downgrade() -> None:
    for table in TABLES:
        op.create_table(table, sa.Column("id", sa.Uuid(), primary_key=True))
'''


@LATER
def test_an_admin_page_that_is_chosen_later_is_closed_until_the_settings_know_it(
    template: Path, tmp_path: Path
) -> None:
    project = start(template, tmp_path / "shop", SYNC)
    update(project, NOW, extras=["admin"])
    made = Project(project, SYNC, "sqlite:///./own.db")
    hashed = f"$argon2id$v=19$m=65536,t=3,p=4${'a' * 22}${'b' * 43}"
    variables = {"ADMIN_PASSWORD_HASH": hashed, "ADMIN_SESSION_SECRET": "x" * 32}

    before = made.run_code(PATHS, **variables)
    settings = project / "src/shop/settings.py"
    replace(settings, r"\(DatabaseSettings\)", "(AdminSettings, DatabaseSettings)")
    replace(settings, r"(?=from .db.settings)", "from .admin_settings import AdminSettings\n")
    after = made.run_code(PATHS, **variables)

    assert "/docs" in before
    assert "/admin" not in before
    assert "/admin" in after
    assert clean(project)


PATHS = """
from shop.web.app import create_app
print([getattr(route, "path", "") for route in create_app().routes])
"""
REMOVE = """
import runpy, sys
sys.argv = ["tools/remove_feature.py", *sys.argv[1:]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_removing_what_is_not_there_says_so(template: Path, tmp_path: Path) -> None:
    project = start(template, tmp_path / "shop", SYNC)
    made = Project(project, SYNC, "")

    for name in ("orders", "", "..", "items/../items"):
        done = made.try_run_code(REMOVE, name)
        assert done.returncode == 1
        assert done.stderr == f"There is no feature {name}.\n"

    assert git(project, "status", "--porcelain") == ""
