"""A change of the models is noticed, by `alembic check` or by the project's own tests."""

import logging
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.util import CommandError
from shop.db.base import Base
from shop.db.engine import run_on_connection
from shop.db.health import read_heads
from shop.db.migrations import alembic_config, heads, revisions, upgrade
from shop.db.runtime import run
from shop.db.types import ExactDecimal, JSONString, UtcDateTime, enum_by_value
from shop.settings import Settings
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Connection,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    text,
)

from tests.databases import new_database
from tests.db.test_migrations import config_for, create_all, details, tables

Items = Callable[[], list[Any]]


def numbers(*items: Any) -> list[Any]:
    return [Column("a", Integer), Column("b", Integer), *items]


def index_where(condition: str) -> Index:
    return Index("some", "a", sqlite_where=text(condition), postgresql_where=text(condition))


# What a model's table holds, and what it holds after the change.
CHANGES: dict[str, tuple[Items, Items]] = {
    "member of a native enum": (
        lambda: [Column("a", Enum("x", "y", name="kind"))],
        lambda: [Column("a", Enum("x", "z", name="kind"))],
    ),
    "check": (
        lambda: numbers(CheckConstraint("a > 0", name="right")),
        lambda: numbers(CheckConstraint("a > 1", name="right")),
    ),
    "name of a check": (
        lambda: numbers(CheckConstraint("a > 0", name="right")),
        lambda: numbers(CheckConstraint("a > 0", name="positive")),
    ),
    "new check": (numbers, lambda: numbers(CheckConstraint("a > 0", name="right"))),
    "dropped check": (lambda: numbers(CheckConstraint("a > 0", name="right")), numbers),
    "computed": (
        lambda: numbers(Column("c", Integer, Computed("a + 1"))),
        lambda: numbers(Column("c", Integer, Computed("a + 2"))),
    ),
    "server default": (
        lambda: [Column("a", Integer, server_default="1")],
        lambda: [Column("a", Integer, server_default="2")],
    ),
    "dropped server default": (
        lambda: [Column("a", Integer, server_default="1")],
        lambda: [Column("a", Integer)],
    ),
    "length": (lambda: [Column("a", String(10))], lambda: [Column("a", String(20))]),
    "null": (lambda: [Column("a", Integer)], lambda: [Column("a", Integer, nullable=False)]),
    "index": (numbers, lambda: numbers(Index(None, "a"))),
    "condition of an index": (
        lambda: numbers(
            Index("i", "a", sqlite_where=text("b = 1"), postgresql_where=text("b = 1"))
        ),
        lambda: numbers(
            Index("i", "a", sqlite_where=text("b = 2"), postgresql_where=text("b = 2"))
        ),
    ),
    "unique": (numbers, lambda: numbers(UniqueConstraint("a"))),
    "on delete": (
        lambda: [Column("a", ForeignKey("parents.id"))],
        lambda: [Column("a", ForeignKey("parents.id", ondelete="CASCADE"))],
    ),
    "precision": (lambda: [Column("a", Numeric(10, 2))], lambda: [Column("a", Numeric(12, 4))]),
    "comment": (lambda: [Column("a", Integer)], lambda: [Column("a", Integer, comment="new")]),
    "name of a column": (lambda: [Column("a", Integer)], lambda: [Column("z", Integer)]),
}
# Nothing there would change.
WITHOUT_DDL = {"sqlite": {"member of a native enum", "comment"}, "postgresql": set()}


def metadata(items: list[Any]) -> MetaData:
    made = MetaData(naming_convention=Base.metadata.naming_convention)
    Table("parents", made, Column("id", Integer, primary_key=True))
    Table("changing", made, Column("id", Integer, primary_key=True), *items)
    return made


def is_noticed(migrated: Settings, made: Settings) -> bool:
    try:
        command.check(config_for(migrated))
    except (CommandError, UserWarning) as noticed:
        # A computed column cannot be altered: that is a warning, and in the tests an error.
        return bool(re.search("New upgrade operations|cannot be modified", str(noticed)))
    run(run_on_connection, made, create_all)
    return details(migrated) != details(made)


def drop_all(connection: Connection) -> None:
    Base.metadata.drop_all(connection)
    connection.commit()


def test_every_change_of_a_model_is_noticed(
    empty: Settings, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnoticed = set()
    command.stamp(config_for(empty), "head")
    (tmp_path / "made").mkdir()
    with new_database(backend, tmp_path / "made") as made:
        for name, (before, after) in CHANGES.items():
            monkeypatch.setattr(Base, "metadata", metadata(before()))
            run(run_on_connection, empty, create_all)
            assert not is_noticed(empty, made), name
            run(run_on_connection, made, drop_all)
            monkeypatch.setattr(Base, "metadata", metadata(after()))
            if not is_noticed(empty, made):
                unnoticed.add(name)
            for database in (empty, made):
                run(run_on_connection, database, drop_all)

    assert unnoticed == WITHOUT_DDL[backend]


class Short(StrEnum):
    A = "a"


class Longer(StrEnum):
    A = "a"
    LONGER = "longer"


def test_types_of_ours_are_clean_and_a_new_member_needs_no_migration(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def items(members: type[StrEnum]) -> list[Any]:
        kinds = [UtcDateTime(), ExactDecimal(), ExactDecimal(12, 4), JSONString()]
        columns = [Column(f"c{number}", kind) for number, kind in enumerate(kinds)]
        return [*columns, Column("kind", enum_by_value(members))]

    command.stamp(config_for(empty), "head")
    monkeypatch.setattr(Base, "metadata", metadata(items(Short)))
    run(run_on_connection, empty, create_all)
    command.check(config_for(empty))
    monkeypatch.setattr(Base, "metadata", metadata(items(Longer)))
    command.check(config_for(empty))


def test_every_constraint_has_a_name_of_its_own(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table
        assert all(index.name for index in table.indexes), table
    pairs = [UniqueConstraint("a", "b"), UniqueConstraint("a", "id"), Index(None, "a", "b")]
    monkeypatch.setattr(Base, "metadata", metadata(numbers(*pairs, Index(None, "a"))))
    run(run_on_connection, empty, create_all)
    with pytest.raises(Exception, match="requires that constraint is explicitly named"):
        metadata(numbers(CheckConstraint("a > 0"))).create_all(None)  # type: ignore[arg-type]


def test_a_table_of_others_is_left_alone(empty: Settings) -> None:
    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE theirs (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE VIEW seen AS SELECT id FROM theirs"))
        connection.commit()

    upgrade(empty)
    run(run_on_connection, empty, create)

    command.check(config_for(empty))
    command.downgrade(config_for(empty), "base")
    assert tables(empty) == {"theirs"}


async def test_an_upgrade_inside_a_running_program_is_done_and_silences_no_logger(
    empty: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("made before the upgrade")
    upgrade(empty)
    logger.warning("still here")

    assert tables(empty) == set(Base.metadata.tables)
    assert "still here" in caplog.text


def test_one_program_can_come_back_to_its_database(empty: Settings) -> None:
    upgrade(empty)
    for _ in range(2):
        assert run(read_heads, empty) == heads()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sql_that_cannot_be_written_beforehand_says_why(empty: Settings, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = 'l', '0001'\n"
        "def upgrade():\n    with op.batch_alter_table('items') as batch:\n"
        "        batch.alter_column('name', type_=sa.Text())"
    )
    config = config_for(empty)
    folders = f"{revisions().versions}:{tmp_path}"
    config.set_main_option("version_locations", folders)
    assert alembic_config().get_main_option("path_separator") == "os"

    with pytest.raises(CommandError, match="requires a live database connection"):
        command.upgrade(config, "head", sql=True)
