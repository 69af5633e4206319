"""Reads go to replicas of PostgreSQL, and to the primary where those cannot be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from projects import Project, ask, postgres_database, wait_until
from rendering import SESSIONS, Renderer
from replication import Cluster, Node, cluster

ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "examples": ["items"],
    "extras": ["replicas"],
}
OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'shop' AND backend_type = %s"

# Written for async sessions; without these two words it is for sync ones.
FRESHNESS = """
import threading
import psycopg
from sqlalchemy import text
from shop.db.engine import Database
from shop.db.freshness import caught_up, fresh, position_of
from shop.db.runtime import run
from shop.features.items.models import Item
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings
import sys

WHERE = text("SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END")

def resume():
    with psycopg.connect(sys.argv[1]) as standby:
        standby.execute("SELECT pg_wal_replay_resume()")

async def look(uow):
    async with uow.read_only():
        print(await uow.items.count(), (await uow.execute(WHERE)).scalar_one())

async def main(database):
    uow = UnitOfWork(database)
    await look(uow)
    async with uow:
        uow.items.add(Item(name="Lamp"))
        await uow.commit()
        position = await position_of(uow)
    await look(uow)
    with fresh():
        await look(uow)
    async with caught_up(uow, position, 0.3):
        await look(uow)
    timer = threading.Timer(0.3, resume)
    timer.start()
    async with caught_up(uow, position, 20):
        await look(uow)
    timer.join()
    await look(uow)
    await database.dispose()

run(main, Database(Settings()))
"""

# Around what the README shows, which is about orders.
SHOWN = """
from shop.db.engine import Database
from shop.db.freshness import caught_up, fresh, position_of
from shop.db.runtime import run
from shop.features.items.models import Item
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

async def main(database):
    uow, item = UnitOfWork(database), Item(name="Lamp")
{shown}
    await database.dispose()

run(main, Database(Settings()))
"""


@pytest.fixture
def pair() -> Iterator[Cluster]:
    with cluster(synchronous=False) as started:
        started.primary.execute("CREATE DATABASE shop")
        yield started


def project_on(renderer: Renderer, pair: Cluster, sessions: str) -> Project:
    answers = ANSWERS | {"sessions": sessions}
    replicas = ", ".join(node.url("shop") for node in pair.standbys)
    project = Project(
        renderer.render(answers), answers, pair.url("shop"), {"DATABASE_REPLICA_URL": replicas}
    )
    project.run("shop", "migrate")
    wait_until(pair.caught_up)
    return project


def is_read(node: Node) -> bool:
    return bool(node.execute(OURS, "client backend"))


@SESSIONS
def test_reads_go_to_the_replica_and_to_the_primary_while_it_is_gone(
    renderer: Renderer, pair: Cluster, sessions: str
) -> None:
    standby = pair.standby
    project = project_on(renderer, pair, sessions)
    with project.serve() as address:
        _, item = ask(f"{address}/items", {"name": "Lamp"})
        read = f"{address}/items/{item['id']}"
        wait_until(pair.caught_up)
        standby.execute("SELECT pg_wal_replay_pause()")
        assert ask(read, {"name": "Sofa"}, "PATCH")[0] == 200
        assert [ask(read)[1]["name"] for _ in range(3)] == ["Lamp"] * 3
        assert ask(f"{address}/health/ready")[0] == 200
        standby.execute("SELECT pg_wal_replay_resume()")
        wait_until(pair.caught_up)
        assert ask(read)[1]["name"] == "Sofa"

        standby.kill()
        assert [ask(read)[0] for _ in range(4)] == [200] * 4
        assert ask(f"{address}/items", {"name": "Chair"})[0] == 201

        standby.start()
        wait_until(lambda: ask(read)[0] == 200 and is_read(standby), 30)
        pair.primary.kill()
        # Without a primary nothing is written, and all the rest goes on.
        assert ask(f"{address}/items", {"name": "Table"})[0] == 503
        assert [ask(read)[0] for _ in range(4)] == [200] * 4
        assert ask(f"{address}/health/ready")[0] == 200
        pair.fail_over()
        wait_until(lambda: ask(f"{address}/items", {"name": "Table"})[0] == 201)


@SESSIONS
def test_a_unit_can_be_sure_to_see_what_was_stored(
    renderer: Renderer, pair: Cluster, sessions: str
) -> None:
    project = project_on(renderer, pair, sessions)
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    script = FRESHNESS
    if sessions == "sync":
        script = script.replace("async ", "").replace("await ", "")

    said = project.run_code(script, pair.standby.url())

    assert said.splitlines() == [
        "0 replica",
        "0 replica",
        "1 primary",
        "1 primary",
        "1 replica",
        "1 replica",
    ]


@SESSIONS
def test_the_readme_shows_how_to_read_what_was_just_written(
    renderer: Renderer, postgres_url: str, sessions: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    with postgres_database(postgres_url) as url:
        # Which of them it is, the service takes from the variable.
        variables = {"DATABASE_REPLICA_URL": url}
        project = Project(renderer.render(answers), answers, url, variables)
        project.run("shop", "migrate")
        readme = (project.folder / "README.md").read_text()
        _, found, after = readme.partition("`DATABASE_REPLICA_URL` names")
        (shown, *_) = re.findall(r"(?:^    .*\n)+", after, re.MULTILINE)
        script = SHOWN.format(shown=shown.replace("order", "item"))
        if sessions == "sync":
            script = script.replace("async ", "").replace("await ", "")

        said = project.run_code(script)

    assert found
    assert said.split() == ["1", "1"]
