"""The commands of a project's every day: migrations in everyday words, and their review."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from projects import Project, postgres_database, project_at
from rendering import LATER, Renderer, answers_of, git

ANSWERS = {"package_name": "shop", "database": "postgresql", "examples": ["items"]}
MODELS = "src/shop/features/items/models.py"
VERSIONS = "migrations/versions"

EVERY_HELP = """
import manage, typer
found = typer.main.get_command(manage.all_commands()).commands
for name, command in sorted(found.items()):
    silent = [p.name for p in command.params if not getattr(p, "help", "") and p.name != "help"]
    print(name, bool(command.help), silent)
"""
COMMANDS = (
    "backfill check dbshell diagram dumpdata loaddata makemigrations migrate rebase "
    "reviewmigrations rollback seed serve shell showmigrations sqlmigrate squash startfeature "
    "transfer"
)


def new(renderer: Renderer, tmp_path: Path, **answers: object) -> Project:
    """Return a project of its own, on a SQLite file."""
    return project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", ANSWERS | answers)


def newest(project: Project) -> Path:
    """Return the migration that was written last."""
    return max((project.folder / VERSIONS).glob("*.py"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_each_command_and_all_that_it_takes_is_explained(renderer: Renderer) -> None:
    project = Project(renderer.render(ANSWERS), ANSWERS, "")

    said = project.run_code(EVERY_HELP)

    assert said.splitlines() == [f"{name} True []" for name in COMMANDS.split()]


def test_before_the_packages_are_installed_a_line_says_so(renderer: Renderer) -> None:
    project = Project(renderer.render(ANSWERS), ANSWERS, "")

    done = subprocess.run(
        [sys.executable, "-I", "manage.py", "--help"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "Run make setup first.\n")


def test_the_command_line_starts_quickly(renderer: Renderer) -> None:
    project = Project(renderer.render(ANSWERS), ANSWERS, "")

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments],
            cwd=project.folder,
            env=project.environment(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [
        (seconds(*line), seconds("-c", "import sqlalchemy, alembic"))
        for _ in range(3)
        for line in (["manage.py", "--help"], ["-m", "shop", "--help"])
    ]

    assert median(ours / theirs for ours, theirs in pairs) < 1.3


def test_a_change_of_the_models_is_migrated_shown_and_taken_back(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = new(renderer, tmp_path)
    first, nothing = project.try_each("manage migrate", "manage makemigrations")[0:2]
    assert (first.code, nothing.code) == (0, 0)
    assert "nothing to migrate" in nothing.stdout
    edit(project.folder / MODELS, "(Text)", "(Text)\n    price: Mapped[int | None]")

    made = project.run("manage", "makemigrations")

    assert newest(project).name in made
    assert "\n  add items.price\n" in made
    assert "Read it, then run" in made
    text = newest(project).read_text()
    assert '"""add items.price\n' in text
    assert "###" not in text
    project.run("ruff", "format", "--no-cache", "--check", VERSIONS)
    revision = re.search(r"_([0-9a-f]{12})\.py", made)
    assert revision is not None
    before, graph, sql, _, after, back, twice = project.try_each(
        "manage showmigrations",
        "manage showmigrations --graph",
        "manage sqlmigrate head",
        "manage migrate",
        "manage showmigrations",
        "manage rollback -1 --yes",
        "manage rollback 1 --yes",
    )
    assert before.stdout.splitlines() == [
        "[x] 0001  Create the initial tables",
        f"[ ] {revision[1]}  add items.price",
    ]
    assert f"    r0001 --> r{revision[1]}\n" in graph.stdout
    assert 'r0001["0001  Create the initial tables"]\n' in graph.stdout
    assert 'add items.price"]:::waiting\n' in graph.stdout
    assert "ADD COLUMN price INTEGER" in sql.stdout
    assert after.stdout.count("[x]") == 2
    assert back.stdout == f"takes back {revision[1]}  add items.price\nDone.\n"
    # Whatever it is called, and without a database to compare with.
    message = 'say """hi""" to C:\\new\\x'
    project.run("manage", "makemigrations", "--empty", message)
    assert f"  {message}\n" in project.run("manage", "showmigrations")
    assert twice.stdout == "takes back 0001  Create the initial tables\nDone.\n"


def test_what_a_database_calls_true_is_in_no_migration(renderer: Renderer, tmp_path: Path) -> None:
    project = new(renderer, tmp_path)
    project.run("manage", "migrate")
    columns = (
        "    new: Mapped[bool] = mapped_column(server_default=true())\n"
        "    old: Mapped[bool] = mapped_column(server_default=false())"
    )
    edit(project.folder / MODELS, "(Text)", f"(Text)\n{columns}")
    edit(project.folder / MODELS, "String, Text", "String, Text, false, true")

    project.run("manage", "makemigrations")

    text = newest(project).read_text()
    assert "server_default=sa.true()" in text
    assert "server_default=sa.false()" in text


def test_what_cannot_be_done_is_said_in_one_line(renderer: Renderer, tmp_path: Path) -> None:
    project = new(renderer, tmp_path)
    production = {"ENVIRONMENT": "production"}
    nowhere = {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    calls: list[tuple[str, Mapping[str, str], str]] = [
        ("makemigrations", {}, "behind the migrations: run ./manage.py migrate first"),
        ("makemigrations", nowhere, "cannot be reached"),
        ("showmigrations", nowhere, "cannot be reached"),
        ("sqlmigrate nonsense", {}, "Can't locate revision identified by 'nonsense'"),
        ("reviewmigrations nonsense", {}, "Can't locate revision identified by 'nonsense'"),
        ("rollback", {}, "nothing to take back"),
        ("rollback", production, "This is production"),
        ("migrate nonsense", {}, "Can't locate revision identified by 'nonsense'"),
        ("sqlmigrate base", {}, "There is no migration 'base'"),
        ("reviewmigrations base", {}, "There is no migration 'base'"),
        ("squash nonsense", {}, "Can't locate revision identified by 'nonsense'"),
        ("rebase nonsense", {}, "nothing needs to be put on top of another"),
    ]
    expect_one_line(project, calls)

    project.run("shop", "migrate")
    asked = project.try_run("manage", "rollback")
    assert (asked.returncode, "Go on, in " in asked.stdout) == (1, True)
    back: list[tuple[str, Mapping[str, str], str]] = [
        ("rollback nonsense --yes", {}, "There is no way back to nonsense: No such revision"),
        ("rollback 99 --yes", {}, "There is no way back to -99: "),
        ("rollback 0 --yes", {}, "There is no way back to -0: "),
        ("rollback +1 --yes", {}, "There is no way back to +1: "),
        ("rollback head --yes", {}, "The schema is at head already."),
    ]
    expect_one_line(project, back)
    # As from a variable of a script that is not set.
    assert "Name a revision" in project.try_run("manage", "rollback", "", "--yes").stderr
    assert "no migration ''" in project.try_run("manage", "sqlmigrate", "").stderr
    assert project.try_run("manage", "migrate", "").stderr == "Name a revision to reach, or head.\n"
    # What is applied stays.
    assert project.run("manage", "migrate", "base") == "The schema has the migrations up to base.\n"
    assert "[x] 0001" in project.run("manage", "showmigrations")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
    expect_one_line(
        project,
        [(f"rollback {where} --yes", {}, "that made later has to") for where in ("1", "base")],
    )


def expect_one_line(project: Project, calls: Sequence[tuple[str, Mapping[str, str], str]]) -> None:
    """Expect each command to fail, with these variables, and to say why in one line."""
    ends = project.try_each(*((f"manage {line}", variables) for line, variables, _ in calls))
    for (line, _, wanted), end in zip(calls, ends, strict=True):
        assert end.code == 1, line
        assert wanted in end.stderr, (line, end.stderr)
        assert end.stderr.count("\n") == 1, (line, end.stderr)


UNSAFE = """
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_more", "more", ["id"])
    op.add_column("more", sa.Column("size", sa.Integer(), nullable=False))
    op.add_column("items", sa.Column("size", sa.Integer(), nullable=False))
    op.add_column("items", sa.Column("weight", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("items") as batch_op:
        batch_op.alter_column(
            "description", existing_type=sa.String(length=300), type_=sa.String(length=20)
        )
        batch_op.alter_column("name", existing_type=sa.String(length=255), nullable=False)
        batch_op.alter_column("name", existing_type=sa.String(length=255), new_column_name="title")
        batch_op.drop_column("description")
    op.drop_table("items")
"""
FOUND = [
    "adding-not-nullable-field",
    "adding-required-field",
    "ban-drop-column",
    "ban-drop-table",
    "changing-column-type",
    "renaming-column",
]


SAFE = """
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("items", sa.Column("size", sa.Integer()))
    op.add_column("items", sa.Column("maker_id", sa.Uuid()))
    op.create_table("makers", sa.Column("id", sa.Uuid(), primary_key=True))
    with op.batch_alter_table("items") as batch_op:
        batch_op.create_foreign_key(
            "fk_items_maker_id_makers", "makers", ["maker_id"], ["id"], postgresql_not_valid=True
        )
    with op.get_context().autocommit_block():
        op.create_index("ix_items_size", "items", ["size"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_column("items", "size")
    op.drop_column("items", "maker_id")
    op.drop_table("makers")
"""


ASKING = """
from alembic import op
import sqlalchemy as sa

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for (name,) in op.get_bind().execute(sa.text("SELECT name FROM items")):
        op.execute(f"DROP TABLE {name}")


def downgrade() -> None:
    pass
"""


def test_the_safe_ways_are_safe_and_run(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    with postgres_database(postgres_url) as url:
        project = project_at(renderer, tmp_path, url, ANSWERS)
        (project.folder / VERSIONS / "20260202_0000_safe.py").write_text(SAFE)

        assert "The migrations are safe" in project.run("manage", "reviewmigrations")
        project.run_each("manage migrate", "manage showmigrations")

        # What asks the database can be told only by running it.
        asking = project.folder / VERSIONS / "20260203_0000_asking.py"
        asking.write_text(ASKING)
        review, sql = project.try_each("manage reviewmigrations 0003", "manage sqlmigrate 0003")
        assert (review.code, sql.code) == (1, 1)
        assert " (not-reviewed)\n    0003: it asks the database: its SQL cannot" in review.stdout
        assert sql.stderr.startswith("0003: it asks the database: its SQL cannot be shown without")
        assert sql.stderr.count("\n") == 1
        asking.write_text(f"{ASKING}    # accepted: not-reviewed\n")
        assert "what is not is accepted" in project.run("manage", "reviewmigrations", "0003")


@pytest.mark.parametrize("database", ["postgresql", "mysql", pytest.param("sqlite", marks=LATER)])
def test_what_is_unsafe_is_found_and_can_be_accepted(
    renderer: Renderer, tmp_path: Path, database: str
) -> None:
    project = new(renderer, tmp_path, database=database)
    path = project.folder / VERSIONS / "20260202_0000_unsafe.py"
    path.write_text(UNSAFE)

    (all_of_them, safe) = project.try_each(
        "manage reviewmigrations", "manage reviewmigrations 0001"
    )

    assert (all_of_them.code, safe.code) == (1, 0), all_of_them
    found = sorted(re.findall(r"^0002 .*\((\S+)\)$", all_of_them.stdout, re.MULTILINE))
    assert found == FOUND, all_of_them.stdout
    assert all_of_them.stdout.count("The safe way: ") == len(found)
    accepted = re.search(r"# accepted: .*", all_of_them.stdout)
    assert accepted is not None
    path.write_text(f"{UNSAFE}\n    {accepted[0]}\n")
    assert "what is not is accepted" in project.run("manage", "reviewmigrations")


def test_what_was_merged_is_not_reviewed_again(renderer: Renderer, tmp_path: Path) -> None:
    project = new(renderer, tmp_path)
    folder = project.folder

    def commit(message: str) -> None:
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", message)

    def reviewed(*lines: str) -> list[set[str]]:
        """Return which migrations a review complains of, with the options of each line."""
        ends = project.try_each(*(f"manage reviewmigrations {line}".strip() for line in lines))
        found = [set(re.findall(r"^(000\d) ", end.stdout, re.MULTILINE)) for end in ends]
        assert [end.code for end in ends] == [int(bool(names)) for names in found], ends
        return found

    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / VERSIONS / "20260202_0000_unsafe.py").write_text(UNSAFE)
    commit("All at once")
    assert reviewed("") == [{"0002"}]
    (folder / "NOTES").write_text("later")
    commit("Something else")
    assert reviewed("", "--all", "0002") == [set(), {"0002"}, {"0002"}]
    assert "No migration is new" in project.run("manage", "reviewmigrations")

    # Not committed yet, committed on a branch, and merged where the clone's main is the last known.
    git(folder, "switch", "--quiet", "--create", "drop")
    drop = UNSAFE.replace('"0002"', '"0003"').replace('"0001"', '"0002"')
    (folder / VERSIONS / "20260203_0000_drop.py").write_text(drop)
    assert reviewed("") == [{"0003"}]
    commit("Drop")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert reviewed("") == [{"0003"}]
    git(folder, "switch", "--quiet", "main")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "merge", "--quiet", "--no-ff", "drop")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert reviewed("") == [{"0003"}]
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert reviewed("") == [set()]


BRANCH = '''"""add {column}

Revision: {revision}, after {before}
"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("items", sa.Column("{column}", sa.Integer()))


def downgrade() -> None:
    op.drop_column("items", "{column}")
'''


def add(project: Project, name: str, revision: str, before: str, column: str) -> Path:
    path = project.folder / VERSIONS / name
    path.write_text(BRANCH.format(revision=revision, before=before, column=column))
    return path


def test_two_branches_of_the_history_become_one(renderer: Renderer, tmp_path: Path) -> None:
    project = new(renderer, tmp_path)
    theirs = add(project, "20260203_0000_a.py", "1a", "0001", "a")
    ours = add(project, "20260202_0000_b.py", "2b", "0001", "b")
    more = add(project, "20260202_0001_c.py", "3c", "2b", "c")
    before = theirs.read_text()

    stuck, unknown, moved, chain, again, _ = project.try_each(
        "manage makemigrations",
        "manage rebase nonsense",
        # The older one by date, because the other may be in use already.
        "manage rebase 3c",
        "manage showmigrations",
        "manage rebase",
        "manage migrate",
    )

    assert "run ./manage.py rebase first" in stuck.stderr
    assert "Can't locate revision" in unknown.stderr
    assert moved.code == 0, moved.stderr
    assert moved.stdout.endswith("3c comes after 1a now.\n")
    assert [line.split()[2] for line in chain.stdout.splitlines()] == ["0001", "1a", "2b", "3c"]
    assert "nothing needs to be put on top" in again.stderr
    assert theirs.read_text() == before
    assert not ours.exists()
    assert not more.exists()
    names = sorted(path.name for path in (project.folder / VERSIONS).glob("*.py"))
    assert [name[14:] for name in names] == ["create_initial_tables.py", "a.py", "b.py", "c.py"]
    written = (project.folder / VERSIONS / names[2]).read_text()
    assert "\nRevision: 2b, after 1a\n" in written
    assert '\ndown_revision = "1a"\n' in written

    # What is applied cannot be moved, nor what does not run then.
    applied = add(project, "20990101_0000_d.py", "4d", "2b", "d")
    refused = project.try_run("manage", "rebase", "3c")
    assert refused.stderr == "3c is applied here: run ./manage.py rollback 2b first.\n"
    strange = '    op.execute("CREATE EXTENSION x")\n    op.add'
    applied.write_text(applied.read_text().replace("    op.add", strange))
    failed = project.try_run("manage", "rebase")
    assert failed.returncode == 1
    assert failed.stderr.startswith("4d cannot be moved, and nothing was changed: ")
    assert failed.stderr.endswith(" (or --untested)\n")
    assert failed.stderr.count("\n") == 1
    assert '\ndown_revision = "2b"\n' in applied.read_text()


def test_a_server_that_is_away_has_no_say_in_the_history(
    renderer: Renderer, tmp_path: Path
) -> None:
    away = "postgresql://127.0.0.1:1/x"
    names = ("DATABASE_URL", "DATABASE_REPLICA_URL", "DATABASE_DIRECT_URL")
    variables = dict.fromkeys(names, away) | {"DATABASE_POOLER": "pgbouncer"}
    project = replace(new(renderer, tmp_path, extras=["replicas"]), url=away, variables=variables)
    add(project, "20260202_0000_a.py", "1a", "0001", "a")
    add(project, "20260203_0000_b.py", "2b", "0001", "b")

    project.run_each(
        "manage rebase", "manage squash --yes", "manage startfeature orders number:str"
    )

    assert len([*(project.folder / VERSIONS).glob("*.py")]) == 2


def test_many_migrations_become_one_that_makes_the_same(renderer: Renderer, tmp_path: Path) -> None:
    project = new(renderer, tmp_path)
    path = add(project, "20260202_0000_a.py", "1a", "0001", "a")
    first = project.folder / VERSIONS / "20260101_0000_create_initial_tables.py"
    edit(project.folder / MODELS, "(Text)", "(Text)\n    a: Mapped[int | None]")
    path.write_text(f'{path.read_text()}\n\nROWS = """op.execute"""\n')
    project.run("manage", "migrate")

    unseen = project.try_run("manage", "squash", "--yes")

    wrong = "These run SQL or move rows, which a new one would not: 1a (or --force)\n"
    assert unseen.stderr == wrong
    # A table of which only the database knows.
    text = path.read_text()
    made = 'op.execute("CREATE TABLE others (id integer)")'
    gone = 'op.execute("DROP TABLE others")'
    path.write_text(
        text.replace("    op.add", f"    {made}\n    op.add").replace(
            "    op.drop", f"    {gone}\n    op.drop"
        )
    )
    other = project.try_run("manage", "squash", "--yes", "--force")
    assert other.stderr == "The schema would be another: nothing was changed.\n"
    path.write_text(text.replace("    op.add", '    op.execute("CREATE EXTENSION x")\n    op.add'))
    strange = project.try_run("manage", "squash", "--yes", "--force")
    assert strange.stderr.startswith("They cannot become one, and nothing was changed: ")
    assert strange.stderr.count("\n") == 1
    assert first.exists()
    path.write_text(text)
    asked, done, again, state, nothing = project.try_each(
        "manage squash --force",
        "manage squash --yes --force",
        "manage squash --yes",
        "manage check",
        "alembic check",
    )
    assert (asked.code, first.exists()) == (1, False)
    assert done.code == 0, done.stderr
    assert "makes the same schema as 2 did." in done.stdout
    assert "at 1a before this is deployed" in done.stdout
    assert "two migrations or more" in again.stderr
    assert (state.code, nothing.code) == (0, 0)
    (only,) = (project.folder / VERSIONS).glob("*.py")
    assert 'revision = "1a"\ndown_revision = None\n' in only.read_text()


BACKFILLS = '''"""What older items lack."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...db.backfill import backfill
from ..unit_of_work import UnitOfWork
from .models import Item

if "MEET" in os.environ:
    (Path(os.environ["MEET"]) / str(os.getpid())).touch()


@backfill(lambda uow: uow.items, Item.name != "Item 3")
async def fill_descriptions(uow: UnitOfWork, items: Sequence[Item]) -> None:
    while "MEET" in os.environ and len([*Path(os.environ["MEET"]).iterdir()]) < 2:
        pass
    for item in items:
        if item.name == os.environ.get("STOP_AT"):
            raise KeyboardInterrupt
        item.description = f"{item.description}!"
'''
COUNT = """
import sys
from sqlalchemy import create_engine, text
count = "sum(CASE WHEN description LIKE '%{}' THEN 1 ELSE 0 END)"
kinds = ", ".join(map(count.format, [".", ".!", "!!"]))
with create_engine(sys.argv[1]).connect() as connection:
    print(*connection.execute(text(f"SELECT {kinds} FROM items")).one())
"""


@pytest.mark.parametrize(
    ("layer", "url"),
    [
        ("async", "postgresql"),
        pytest.param("sync", "sqlite", marks=LATER),
        pytest.param("pydal", "mysql", marks=LATER),
    ],
    indirect=["url"],
)
def test_rows_are_filled_once_however_often_it_is_interrupted(
    renderer: Renderer, tmp_path: Path, layer: str, url: str
) -> None:
    answers = ANSWERS | {"other_databases": ["mysql"]} | answers_of(layer)
    project = project_at(renderer, tmp_path, url, answers)
    drivers = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}
    sync_url = re.sub("^(postgresql|mysql):", lambda match: drivers[match[0]], url)
    text = BACKFILLS if layer == "async" else BACKFILLS.replace("async def", "def")
    (project.folder / "src/shop/features/items/backfills.py").write_text(text)
    name = "items.fill_descriptions"

    def counts() -> str:
        return project.run_code(COUNT, sync_url).strip()

    project.run_each("shop migrate", "shop seed --rows=200")
    stopped = project.try_run("shop", "backfill", name, "--batch=10", STOP_AT="Item 15")
    assert stopped.returncode != 0
    assert counts() == "190 10 0"
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    first, second = (
        subprocess.Popen(
            [sys.executable, "-m", "shop", "backfill", name, "--batch=1"],
            cwd=project.folder,
            env=project.environment() | {"MEET": str(meeting)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    )
    said = {process.communicate(timeout=120)[0] for process in (first, second)}
    assert said == {f"{name} is done: 199 rows.\n"}
    assert counts() == "1 199 0"
    once, again, *wrong = project.try_each(
        f"shop backfill {name}",
        f"shop backfill {name} --again",
        "shop backfill items.nothing",
        "shop backfill orders.fill",
        "shop backfill ..items",
    )
    assert once.stdout == again.stdout == f"{name} is done: 199 rows.\n"
    assert counts() == "1 0 199"
    for end in wrong:
        assert end.stderr.startswith("There is no backfill ")
        assert (end.code, end.stderr.count("\n")) == (1, 1)
    project.run("alembic", "check")


AT_ONCE = '''
import asyncio, sys
import psycopg
from shop.db.backfill import Backfill, fill
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'transactionid'
"""

async def touch(uow, items):
    for item in items:
        item.description = "touched"

async def main():
    work = Backfill(lambda uow: uow.items, (), touch)
    with psycopg.connect(sys.argv[1]) as first, psycopg.connect(sys.argv[1]) as watcher:
        watcher.autocommit = True
        # All find no table, and make it when this one is gone.
        first.execute("CREATE TABLE backfills (id integer)")
        fills = [
            asyncio.create_task(
                fill(Settings.load(), UnitOfWork, str(number), work, batch=9, again=False)
            )
            for number in range(3)
        ]
        async with asyncio.timeout(60):
            while watcher.execute(WAITING).fetchone() != (3,):
                await asyncio.sleep(0.05)
        first.rollback()
        print(await asyncio.gather(*fills))

asyncio.run(main())
'''


def test_the_first_backfills_may_begin_at_once(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    with postgres_database(postgres_url) as url:
        project = project_at(renderer, tmp_path, url, ANSWERS)
        project.run_each("shop migrate", "shop seed --rows=5")

        assert project.run_code(AT_ONCE, url).endswith("[5, 5, 5]\n")
