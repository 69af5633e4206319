"""Old migrations become one: by what they do, since the models have what comes later too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from projects import Project, postgres_database, project_at
from rendering import Renderer

ANSWERS = {"package_name": "shop", "database": "postgresql", "examples": ["items"]}
VERSIONS = "migrations/versions"

HEAD = '''"""{revision}

Revision: {revision}, after {before}
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "{revision}"
down_revision = {before!r}

'''
OLD = """
def upgrade() -> None:
    op.create_table("doomed", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table(
        "olds",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("item_id", sa.Uuid(), sa.ForeignKey("items.id"), index=True, unique=True),
    )
    op.create_table(
        "makers",
        sa.Column("number", sa.Integer()),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), index=True),
        sa.Column("extra", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),
        sa.Column("gone", sa.Integer()),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("extra IS NOT NULL", name="some"),
        sa.UniqueConstraint("seen_at", name="uq_makers_once"),
        sa.UniqueConstraint("gone", "name", name="uq_makers_gone"),
    )
    op.create_index("ix_makers_gone", "makers", ["gone"])
    op.create_index("ix_makers_lower", "makers", [sa.text("lower(name)")], unique=True)
    with op.batch_alter_table("items") as batch_op:
        batch_op.add_column(sa.Column("maker", sa.Integer()))
        batch_op.add_column(sa.Column("size", sa.Integer(), server_default="1", nullable=False))
        batch_op.create_foreign_key(
            "fk_items_makers",
            "makers",
            ["maker"],
            ["number"],
            ondelete="CASCADE",
            postgresql_not_valid=True,
        )
        batch_op.create_index("ix_items_size", ["size", "name"])
        batch_op.create_unique_constraint("uq_items_size", ["id", "size"])
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_items_maker",
            "items",
            ["maker"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("maker > 3"),
            sqlite_where=sa.text("maker > 3"),
        )


def downgrade() -> None:
    op.drop_index("ix_items_maker", "items")
    with op.batch_alter_table("items") as batch_op:
        batch_op.drop_index("ix_items_size")
        batch_op.drop_constraint("uq_items_size", type_="unique")
        batch_op.drop_constraint("fk_items_makers", type_="foreignkey")
        batch_op.drop_column("maker")
        batch_op.drop_column("size")
    op.drop_table("makers")
    op.drop_table("olds")
    op.drop_table("doomed")
"""
CHANGES = """
def upgrade() -> None:
    op.drop_table("doomed")
    op.drop_index("ix_olds_item_id", "olds")
    op.rename_table("olds", "news")
    op.drop_index("ix_makers_gone", "makers")
    with op.batch_alter_table("makers") as batch_op:
        batch_op.drop_column("gone")
        batch_op.drop_constraint("uq_makers_once", type_="unique")
        batch_op.alter_column("name", existing_type=sa.String(100), type_=sa.String(200))
    with op.batch_alter_table("items") as batch_op:
        batch_op.alter_column(
            "size",
            existing_type=sa.Integer(),
            new_column_name="width",
            nullable=True,
            existing_server_default="1",
            server_default=None,
        )
    with op.batch_alter_table("items") as batch_op:
        batch_op.create_unique_constraint("uq_items_width", ["width", "maker"])


def downgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.drop_constraint("uq_items_width", type_="unique")
    with op.batch_alter_table("items") as batch_op:
        batch_op.alter_column(
            "width",
            existing_type=sa.Integer(),
            new_column_name="size",
            nullable=False,
            server_default="1",
        )
    with op.batch_alter_table("makers") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(200), type_=sa.String(100))
        batch_op.create_unique_constraint("uq_makers_once", ["seen_at"])
        batch_op.add_column(sa.Column("gone", sa.Integer()))
    op.create_index("ix_makers_gone", "makers", ["gone"])
    op.rename_table("news", "olds")
    op.create_index("ix_olds_item_id", "olds", ["item_id"], unique=True)
    op.create_table("doomed", sa.Column("id", sa.Integer(), primary_key=True))
"""
LATER_ONE = """
def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.create_table_comment("makers", "Who makes items")
    op.add_column("makers", sa.Column("later", sa.Integer()))


def downgrade() -> None:
    op.drop_column("makers", "later")
"""
NOTHING = """
def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
"""
COLUMNS = """
SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '')
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2
"""


def write(project: Project, name: str, before: object, text: str) -> Path:
    path = project.folder / VERSIONS / f"20260202_000{name[0]}_{name}.py"
    path.write_text(HEAD.format(revision=name, before=before) + text)
    return path


def with_history(renderer: Renderer, tmp_path: Path, url: str) -> Project:
    project = project_at(renderer, tmp_path, url, ANSWERS)
    write(project, "1a", "0001", OLD)
    write(project, "2b", "1a", CHANGES)
    write(project, "3c", "2b", LATER_ONE)
    return project


def schema(url: str) -> list[list[Any]]:
    """Return what a database of PostgreSQL has, in its own words."""
    with psycopg.connect(url) as connection:
        return [connection.execute(what).fetchall() for what in (COLUMNS, INDEXES, CONSTRAINTS)]


def files(project: Project) -> dict[str, str]:
    return {path.name: path.read_text() for path in (project.folder / VERSIONS).glob("*.py")}


def test_the_old_ones_become_one_and_the_later_ones_stay(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    with postgres_database(postgres_url) as old, postgres_database(postgres_url) as new:
        project = with_history(renderer, tmp_path, old)
        before = files(project)

        ends = project.try_each(
            "manage migrate 2b",
            "manage squash 2b --yes",
            # It is at the one that is left of three, and needs only what comes later.
            "manage migrate",
            ("manage migrate", {"DATABASE_URL": new}),
            "manage rollback base --yes --force",
        )

        assert [end.code for end in ends] == [0] * 5, ends
        squashed = "20260202_0002_create_the_tables_2b.py"
        assert ends[1].stdout.splitlines() == [
            f"{VERSIONS}/{squashed} makes the same schema as 3 did.",
            "Each database must be at 2b or later before this is deployed.",
        ]
        after = files(project)
        assert set(after) == {squashed, "20260202_0003_3c.py"}
        assert after["20260202_0003_3c.py"] == before["20260202_0003_3c.py"]
        text = after[squashed]
        assert 'revision = "2b"\ndown_revision = None\n' in text
        assert "doomed" not in text
        assert "later" not in text
        project.run("ruff", "format", "--no-cache", "--check", f"{VERSIONS}/{squashed}")
        for name, content in before.items():
            (project.folder / VERSIONS / name).write_text(content)
        (project.folder / VERSIONS / squashed).unlink()
        project.run("manage", "migrate")
        assert schema(old) == schema(new)


def test_a_database_among_those_that_are_gone_is_told_in_one_line(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = with_history(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db")

    _, done, behind = project.try_each(
        "manage migrate 1a", "manage squash 2b --yes", "manage migrate"
    )

    assert done.code == 0, done
    assert (behind.code, behind.stderr) == (1, "Can't locate revision identified by '1a'\n")


def test_what_cannot_become_one_is_left_as_it_is(renderer: Renderer, tmp_path: Path) -> None:
    project = with_history(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db")

    def refuse(wanted: Mapping[str, str]) -> None:
        before = files(project)
        ends = project.try_each(*(f"manage squash --yes {line}" for line in wanted))
        assert files(project) == before
        for line, end in zip(wanted, ends, strict=True):
            assert (end.code, end.stderr.count("\n")) == (1, 1), end
            assert wanted[line] in end.stderr

    few = "Squashing needs a chain of two migrations or more, with one newest."
    refuse(
        {
            "nonsense": "Can't locate revision identified by 'nonsense'",
            "base": few,
            "0001": few,
            "3c": "These run SQL or move rows, which a new one would not: 3c",
        }
    )

    raw = 'def upgrade() -> None:\n    op.execute("CREATE TABLE raw (id integer)")'
    gone = 'def downgrade() -> None:\n    op.execute("DROP TABLE raw")'
    text = OLD.replace("def upgrade() -> None:", raw).replace("def downgrade() -> None:", gone)
    write(project, "1a", "0001", text)
    refuse({"1a": "not: 1a (or --force)", "1a --force": "The schema would be another: nothing"})

    circle = 'sa.Column("gone", sa.Uuid(), sa.ForeignKey("items.id"))'
    write(project, "1a", "0001", OLD.replace('sa.Column("gone", sa.Integer())', circle))
    refuse({"1a": "nothing was changed: tables refer to each other in a circle: items, makers"})

    write(project, "1a", "0001", OLD)
    write(project, "4d", "0001", NOTHING)
    refuse({"1a": few})
    write(project, "5e", ("3c", "4d"), NOTHING)
    write(project, "6f", "5e", NOTHING)
    beside = "is not on the one line of history: others stand beside it."
    refuse({"1a": f"1a {beside}", "4d": f"4d {beside}", "5e": f"5e {beside}"})
