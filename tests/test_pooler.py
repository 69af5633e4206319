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
from projects import Project, ask, free_port, postgres_database, wait_until
from rendering import LATER, Renderer
from sqlalchemy import make_url

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
CLIENTS, ROUNDS = 4, 6

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
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [database],
            ).fetchall()
    assert names == sorted((f"{n} {r} changed",) for n in numbers for r in range(ROUNDS))
    assert len(lent) <= 3


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
