"""Darwin's two layers: SQLAlchemy and Alembic own the schema, PyDAL runs the queries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from projects import Project, ask
from rendering import Renderer, named_answers

# A table that the application does not have yet, and a function that stores a row of it.
NEW_MODEL = '''

class Note(HasId, Base):
    """Something to remember."""

    __tablename__ = "notes"

    name: Mapped[str] = mapped_column(String(255))
'''
NEW_ROWS = """
from darwin.db.engine import Database
from darwin.features.accounts.models import Note
from darwin.features.unit_of_work import UnitOfWork
from darwin.settings import Settings

uow = UnitOfWork(Database(Settings.load()))


def create_note(name: str) -> dict:
    with uow:
        number = uow.db.notes.insert(id=Note(name=name).id or __import__("uuid").uuid4(), name=name)
        return uow.db(uow.db.notes.name == name).select().first().as_dict()


print(create_note("milk")["name"])
with uow:
    uow.db(uow.db.users).update(new_field="new")
with uow.read_only():
    print(uow.db(uow.db.users.new_field == "new").count(), uow.db.users.new_field.length)
"""


@pytest.fixture
def darwin(renderer: Renderer, tmp_path: Path) -> Project:
    """A copy that the test may change, on its SQLite file."""
    answers = named_answers("darwin")
    return Project(renderer.own_copy(answers, tmp_path / "darwin"), answers, "")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_a_new_column_and_a_new_table_need_a_model_and_a_migration_only(darwin: Project) -> None:
    darwin.run_each("alembic upgrade head", "darwin seed --rows=3")
    models = darwin.folder / "src/darwin/features/accounts/models.py"
    edit(
        models,
        "    full_name: Mapped[str] = mapped_column(String(255))\n",
        "    full_name: Mapped[str] = mapped_column(String(255))\n"
        "    new_field: Mapped[str | None] = mapped_column(String(255))\n",
    )
    models.write_text(models.read_text() + NEW_MODEL)

    revision = "alembic revision --autogenerate -m add_new_field_to_users"
    darwin.run_each(revision, "alembic upgrade head", "alembic check")

    assert darwin.run_code(NEW_ROWS) == "milk\n3 255\n"


def test_an_existing_schema_is_adopted_by_a_stamp(darwin: Project) -> None:
    create = (
        "from darwin.db.base import Base; from darwin.db.engine import run_on_connection\n"
        "from darwin.features import unit_of_work; from darwin.settings import Settings\n"
        "def create(connection): Base.metadata.create_all(connection); connection.commit()\n"
        "run_on_connection(Settings.load(), create)"
    )
    darwin.run_code(create)
    (exists,) = darwin.try_each("alembic upgrade head")
    assert exists.code != 0
    (line,) = [line for line in exists.stdout.splitlines() if "FAILED" in line]
    assert "alembic stamp head" in line
    assert "Traceback" not in exists.stderr

    darwin.run_each("alembic stamp head", "alembic check", "darwin check")

    with darwin.serve() as address:
        assert ask(f"{address}/health/ready")[0] == 200


def test_migrations_go_back_and_forth_as_documented(darwin: Project) -> None:
    said = darwin.run_each(
        "alembic upgrade head",
        "alembic downgrade -1",
        "alembic upgrade +1",
        "alembic current",
        "alembic history",
    )

    assert "0001 (head)" in said


def test_a_missing_database_or_migration_is_one_line(darwin: Project, postgres_url: str) -> None:
    missing = f"{postgres_url.rpartition('/')[0]}/darwin_is_not_here"
    for url, expected in [(missing, "does not exist"), ("", "behind 0001. Hint: run migrate")]:
        done = Project(darwin.folder, darwin.answers, url).try_run("darwin", "check")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert expected in line

    with darwin.serve() as address:
        status, body = ask(f"{address}/health/ready")
    assert (status, body["revision"], body["head"]) == (503, [], ["0001"])


def test_pydal_writes_no_schema(darwin: Project) -> None:
    darwin.run_each("alembic upgrade head", "darwin seed --rows=3")

    assert list(darwin.folder.rglob("*.table")) == []
    text = "\n".join(path.read_text() for path in (darwin.folder / "src").rglob("*.py"))
    assert re.findall(r"\bmigrate(?:_enabled)?=True", text) == []
    assert "migrate_enabled=False" in text


def test_its_readme_tells_of_both_layers(darwin: Project) -> None:
    readme = (darwin.folder / "README.md").read_text()

    for name in ("SQLAlchemy", "Alembic", "PyDAL"):
        assert readme.count(name) >= 2, name
    assert "by hand" in readme
    for link in ("docs.sqlalchemy.org", "alembic.sqlalchemy.org", "github.com/web2py/pydal"):
        assert link in readme, link
