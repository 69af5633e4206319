"""What distributed databases that speak PostgreSQL's protocol ask for, on a PostgreSQL like them.

It is always serializable and refuses advisory locks; none of those databases runs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from projects import Project, ask, postgres_database
from rendering import LATER, SESSIONS, Renderer

ANSWERS: dict[str, Any] = {"package_name": "shop", "database": "postgresql", "examples": ["tasks"]}
TASK = {"type": "sql", "configuration": {}, "created_by": "ann"}

# Reads all rows and then writes one, in so many units at once: most fail at their commit.
SKEW = """
from shop.db.engine import Database
from shop.db.retry import repeated
from shop.db.runtime import run
from shop.features.tasks.models import Task
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

tries = 0

@repeated
async def add_one(database):
    global tries
    tries += 1
    async with UnitOfWork(database) as uow:
        known = await uow.tasks.count()
        uow.tasks.add(Task(type="sql", configuration={}, created_by="ann", priority=known))
        await uow.flush()
        if tries == 1:
            # Another one does the same in between, and is done first.
            await add_one(database)

async def main(database):
    await add_one(database)
    async with UnitOfWork(database).read_only() as uow:
        print(tries, sorted([task.priority for task in await uow.tasks.list()]))
    await database.dispose()

run(main, Database(Settings()))
"""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """A database that takes a role which is no superuser, and no advisory lock from it."""
    with postgres_database(postgres_url) as made, psycopg.connect(made, autocommit=True) as owner:
        name = made.rpartition("/")[2]
        owner.execute(f"CREATE ROLE {name} LOGIN".encode())
        try:
            for statement in (
                "REVOKE EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) FROM PUBLIC",
                f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
                f"GRANT ALL ON SCHEMA public TO {name}",
            ):
                owner.execute(statement.encode())
            yield made.replace("//postgres@", f"//{name}@")
        finally:
            owner.execute(f"DROP OWNED BY {name}".encode())
            owner.execute(f"DROP ROLE {name}".encode())


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_without_advisory_locks_one_process_migrates_and_the_others_wait(
    renderer: Renderer, url: str, sessions: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, url)
    with ThreadPoolExecutor(3) as processes:
        done = list(processes.map(lambda _: project.try_run("shop", "migrate"), range(3)))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3

    assert "up to date" in project.run("shop", "check")
    with project.serve() as address, ThreadPoolExecutor(6) as clients:
        _, task = ask(f"{address}/tasks", TASK)
        names = [{"name": f"Count {number}"} for number in range(12)]
        change = f"{address}/tasks/{task['id']}"
        statuses = list(clients.map(lambda body: ask(change, body, "PATCH")[0], names))
    # Those that met too often are told to come again; none is lost without a word.
    assert set(statuses) <= {200, 409}
    assert statuses.count(200) > 6


@SESSIONS
def test_a_unit_that_fails_at_its_commit_is_done_again(
    renderer: Renderer, url: str, sessions: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, url)
    project.run("shop", "migrate")
    script = SKEW if sessions == "async" else SKEW.replace("async ", "").replace("await ", "")

    assert project.run_code(script).strip() == "3 [0, 1]"


def test_a_url_of_cockroachdb_says_what_to_install(renderer: Renderer) -> None:
    project = Project(renderer.render(ANSWERS), ANSWERS, "cockroachdb://root@one:26257/shop")

    done = project.try_run("shop", "check")

    assert done.stderr.strip() == (
        "DATABASE_URL: names CockroachDB: its dialect is missing, add sqlalchemy-cockroachdb"
    )
