"""PyDAL at runtime: one definition, no DDL, and what the system that asked for it was promised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from projects import Project, project_at, run_inside
from rendering import EVERYTHING, LATER, Renderer

PYDAL: dict[str, Any] = {"package_name": "shop", "sessions": "sync", "runtime": "pydal"}
ACCOUNTS = PYDAL | {"database": "sqlite", "web": "none", "examples": ["accounts"]}

# Calls that a person would type in a Python shell, without any web framework.
SHELL = """
from shop.db.engine import Database
from shop.features.accounts.service import create_user, get_user_by_email, update_user
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

uow = UnitOfWork(Database(Settings.load()))
user = create_user(uow, email="test@example.com", password="correct horse", full_name="Test User")
update_user(uow, user.id, {"full_name": "Updated Name"})
found = get_user_by_email(uow, "Test@Example.com")
with uow:
    rows = uow.db(uow.db.users).select()
    print(found.full_name, len(rows), rows.first().email, rows.first().is_active)
"""
NEW_FIELD = """
from shop.db.engine import Database
from shop.features.accounts.models import User
from shop.features.accounts.service import create_user
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

uow = UnitOfWork(Database(Settings.load()))
user = create_user(uow, email="a@example.com", password="correct horse", full_name="Ada")
with uow:
    uow.users.get_one(user.id).new_field = "new"
with uow.read_only():
    field = uow.db.users.new_field
    print(uow.db(field == "new").select(field).first().new_field, field.length)
    print(uow.users.count(User.new_field == "new"))
"""
NO_MODEL = (
    "from shop.db.engine import Database\n"
    + SHELL.partition("user =")[0]
    + ("with uow.read_only():\n    uow.db.new_table\n")
)


@pytest.fixture
def project(renderer: Renderer, tmp_path: Path) -> Project:
    return project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", ACCOUNTS)


def test_both_layers_are_one(
    renderer: Renderer, tmp_path: Path, postgres_url: str, mysql_url: str
) -> None:
    answers = EVERYTHING | PYDAL | {"other_databases": ["mysql"]}
    run_inside(project_at(renderer, tmp_path, "", answers), "both_layers")


def test_it_is_used_from_a_plain_python_shell(project: Project) -> None:
    project.run("shop", "migrate")
    assert project.run_code(SHELL) == "Updated Name 1 test@example.com True\n"
    assert not list(project.folder.rglob("*.table"))


@LATER
def test_a_column_added_and_migrated_needs_no_other_edit(project: Project) -> None:
    models = project.folder / "src/shop/features/accounts/models.py"
    before = "    is_active: Mapped[bool]"
    column = "    new_field: Mapped[str | None] = mapped_column(String(255))\n"
    models.write_text(models.read_text().replace(before, column + before))
    lines = ["alembic upgrade head", "alembic revision --autogenerate --message new_field"]
    project.run_each(*lines)
    behind = project.try_run("shop", "check")
    assert behind.returncode == 1
    assert behind.stderr.startswith("M002 error: the schema is at 0001, behind ")

    project.run_each("alembic upgrade head", "alembic downgrade -1", "alembic upgrade +1")

    assert project.run_code(NEW_FIELD) == "new 255\n1\n"
    assert "up to date" in project.run("shop", "check")


def test_a_column_that_no_migration_made_is_named(project: Project) -> None:
    project.run("shop", "migrate")
    models = project.folder / "src/shop/features/accounts/models.py"
    column = "    new_field: Mapped[str | None] = mapped_column(String(255))\n    is_active"
    models.write_text(models.read_text().replace("    is_active", column, 1))

    done = project.try_run("shop", "check")

    assert done.returncode == 1
    assert done.stderr.startswith("M004 error: ")
    assert "lacks what the models have: users.new_field. Hint: make a migration" in done.stderr
    unknown = project.try_run_code(NEW_FIELD)
    assert "SchemaBehindError: The schema is behind: migrations must run." in unknown.stderr


def test_a_table_without_a_model_is_named(project: Project) -> None:
    project.run("shop", "migrate")
    done = project.try_run_code(NO_MODEL)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("AttributeError: PyDAL knows no table new_table, because no model ")
    assert last.endswith("It knows: users, files")


def test_the_readme_quotes_what_is_said(renderer: Renderer) -> None:
    project = renderer.render(ACCOUNTS)
    sources = (project / "src").rglob("*.py")
    # Texts of several lines, and those that quote a name, as one.
    said = " ".join(re.sub(r'"\s+f?"', "", path.read_text()) for path in sources)
    table = re.findall(r'^\| "(.+?)" \|', (project / "README.md").read_text(), re.MULTILINE)

    assert [text for text in table if text not in said] == []
    assert len(table) == 4
