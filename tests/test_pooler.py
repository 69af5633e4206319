"""A project works behind pgbouncer, which gives every transaction another session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import psycopg
import pytest
from projects import INSIDE, Project, ask, free_port, postgres_database, project_at, wait_until
from rendering import LATER, Renderer
from sqlalchemy import make_url

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
CLIENTS, ROUNDS = 4, 6
UNITS = 10_000

# Written for async sessions; without these two words it is for sync ones. Prints what was wrong,
# and how many units there were.
HAMMER = """
import itertools, sys
from uuid import UUID
from sqlalchemy import text
from shop.db.engine import Database
from shop.db.runtime import run
from shop.features.items import service
from shop.features.items.models import Item
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings
from tests.at_once import at_once

UNITS, TASKS = int(sys.argv[1]), 8
numbers, wrong = itertools.count(), []

async def main(database):
    async def work():
        while (number := next(numbers)) < UNITS // 5:
            uow, name = UnitOfWork(database), f"Lamp {number}"
            item = await service.create_item(uow, Item(name=name))
            row = await service.read_item(uow, item.id)
            changed = await service.change_item(uow, item.id, {"description": name})
            async with uow.read_only():
                same = (await uow.execute(text("SELECT :n + 0"), {"n": number})).scalar_one()
                found = await uow.items.count(Item.name == name)
            page = await service.list_items(uow, after=None, limit=1 + number % 3)
            if (row.name, changed.description, same, found) != (name, name, number, 1):
                wrong.append(name)
            if len(page.items) > 1 + number % 3:
                wrong.append(page)
    await at_once(work, TASKS)
    await database.dispose()

run(main, Database(Settings()))
print(len(wrong), UNITS)
"""

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture
def pooler_url(postgres_url: str) -> Iterator[str]:
    """The address of a pgbouncer before the server, without a database."""
    if PGBOUNCER is None:
        reason = "pgbouncer is not installed: run make services as root"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    with running_pgbouncer(PGBOUNCER, postgres_url) as url:
        yield url


@contextmanager
def running_pgbouncer(program: str, server_url: str) -> Iterator[str]:
    server, port = make_url(server_url), free_port()
    # As root it refuses to run, and pytest's own folders are closed to others.
    account: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="plinth-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        configuration = Path(folder, "pgbouncer.ini")
        configuration.write_text(
            CONFIGURATION.format(
                host=server.host, port=server.port, user=server.username, listen_port=port
            )
        )
        process = subprocess.Popen(
            [program, "-q", configuration], cwd="/", stdout=DEVNULL, stderr=DEVNULL, **account
        )
        try:
            wait_until(lambda: accepts(port))
            yield f"postgresql://{server.username}@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_every_unit_gets_its_own_answer_through_pgbouncer(
    renderer: Renderer, postgres_url: str, pooler_url: str, sessions: str
) -> None:
    answers = {"package_name": "shop", "sessions": sessions}
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(answers), answers, url)
        project.run("shop", "migrate")
        database = url.rpartition("/")[2]
        pooled = {"DATABASE_URL": f"{pooler_url}/{database}", "DATABASE_POOLER": "pgbouncer"}
        with (
            project.serve(**pooled) as first,
            project.serve(**pooled) as second,
            ThreadPoolExecutor(2 * CLIENTS) as clients,
        ):
            assert ask(f"{first}/health/ready")[0] == 200
            numbers = range(2 * CLIENTS)
            asked = [clients.submit(use_items, [first, second][n % 2], n) for n in numbers]
            assert [done.result() for done in asked] == [ROUNDS] * len(asked)
        with psycopg.connect(url) as connection:
            names = connection.execute("SELECT name FROM items ORDER BY name").fetchall()
            lent = connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'",
                [database],
            ).fetchall()
    assert names == sorted((f"{n} {r} changed",) for n in numbers for r in range(ROUNDS))
    assert len(lent) <= 3


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_many_units_of_all_kinds_go_right_through_pgbouncer(
    renderer: Renderer, tmp_path: Path, postgres_url: str, pooler_url: str, sessions: str
) -> None:
    answers = {"package_name": "shop", "sessions": sessions}
    with postgres_database(postgres_url) as url:
        project = project_at(renderer, tmp_path, url, answers)
        shutil.copy(INSIDE / f"at_once_{sessions}.py", project.folder / "tests" / "at_once.py")
        pooled = {
            "DATABASE_URL": f"{pooler_url}/{url.rpartition('/')[2]}",
            "DATABASE_POOLER": "pgbouncer",
            "DATABASE_DIRECT_URL": url,
        }
        project.run("shop", "migrate", **pooled)
        script = HAMMER
        if sessions == "sync":
            script = script.replace("async ", "").replace("await ", "")

        assert project.run_code(script, str(UNITS), **pooled).split() == ["0", str(UNITS)]


def test_migrations_go_past_the_pooler(
    renderer: Renderer, postgres_url: str, pooler_url: str
) -> None:
    answers = {"package_name": "shop", "sessions": "sync"}
    with postgres_database(postgres_url) as url, postgres_database(postgres_url) as nowhere:
        # What the service reaches through the pooler is another database, so that both can be told.
        pooled = {
            "DATABASE_URL": f"{pooler_url}/{nowhere.rpartition('/')[2]}",
            "DATABASE_POOLER": "pgbouncer",
        }
        project = Project(renderer.render(answers), answers, url, pooled)
        project.run("shop", "migrate", DATABASE_DIRECT_URL=url)
        with psycopg.connect(url) as direct, psycopg.connect(nowhere) as other:
            found = "SELECT to_regclass('items')"
            assert direct.execute(found).fetchone() == ("items",)
            assert other.execute(found).fetchone() == (None,)
        done = project.try_run("shop", "migrate")
        assert done.returncode == 1
        assert done.stderr.startswith("Migrations cannot go through a pooler: name the server")
        assert done.stderr.count("\n") == 1
        done = project.try_run("shop", "migrate", DATABASE_DIRECT_URL="sqlite:///x.db")
        assert done.stderr.strip() == "DATABASE_DIRECT_URL: is not the URL of a PostgreSQL server"


def use_items(address: str, number: int) -> int:
    """Store, read, change, list and read again; return how many rounds that was."""
    for round_ in range(ROUNDS):
        name = f"{number} {round_}"
        status, item = ask(f"{address}/items", {"name": name})
        assert (status, item["name"]) == (201, name)
        mine = f"{address}/items/{item['id']}"
        assert ask(mine) == (200, item)
        status, changed = ask(mine, {"name": f"{name} changed"}, "PATCH")
        assert (status, changed["name"]) == (200, f"{name} changed")
        assert ask(f"{address}/items?limit={1 + number}")[0] == 200
        assert ask(mine) == (200, changed)
    return ROUNDS
