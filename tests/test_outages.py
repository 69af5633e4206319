"""A served project outlives what happens to its database: it answers 503, soon, and recovers."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from projects import Project, ask, wait_until
from rendering import LATER, LAYERS, Renderer, answers_of
from servers import FragileServer, fragile_server

ANSWERS: dict[str, Any] = {"package_name": "shop", "database": "postgresql", "examples": ["items"]}

# Written for async sessions; without these two words it is for sync ones.
LIMITS = """
from sqlalchemy import text
from shop.db.engine import Database, run_on_connection
from shop.db.errors import UnavailableError
from shop.db.runtime import run
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

SLEEP = text("SELECT pg_sleep(3)")
OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'shop' AND datname = current_database() AND pid <> pg_backend_pid()"
)

async def main(database):
    uow, other = UnitOfWork(database), UnitOfWork(database)
    try:
        async with uow:
            await uow.execute(SLEEP)
    except UnavailableError as error:
        print("slow:", error)
    try:
        async with uow:
            await uow.execute(text("SELECT 1"))
            async with other.read_only():
                while (await other.execute(OTHERS)).scalar():
                    pass
            await uow.execute(text("SELECT 1"))
    except UnavailableError as error:
        print("idle:", error)
    print("checked out:", database.engine.pool.checkedout())
    await database.dispose()

run(main, Database(Settings()))
run(run_on_connection, Settings(), lambda connection: connection.execute(SLEEP) and None)
print("a migration slept")
"""

# How each kind of project is served, and what its server logs when it is told to stop.
SERVED = ("layer", "web", "stopping")
FASTAPI = [
    ("async", "fastapi", "Shutting down"),
    pytest.param("sync", "fastapi", "Shutting down", marks=LATER),
    pytest.param("pydal", "fastapi", "Shutting down", marks=LATER),
]
FLASK = ("sync", "flask", "Handling signal: term")

CLIENTS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
)
# An answer that does not depend on the database is there at once; this allows for a busy machine.
AT_ONCE = 1.5


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[FragileServer]:
    """A server of these tests alone."""
    with fragile_server() as started:
        yield started


@pytest.fixture(scope="module")
def migrated(
    renderer: Renderer, server: FragileServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Migrate a database of each kind once: `migrated` on the server, and the file returned."""
    folder = tmp_path_factory.mktemp("migrated")
    server.execute("CREATE DATABASE migrated")
    for made in (server.url_of("migrated"), f"sqlite:///{folder}/migrated.db"):
        Project(renderer.render(ANSWERS), ANSWERS, made).run("shop", "migrate")
    return folder / "migrated.db"


@pytest.fixture
def project(
    renderer: Renderer, server: FragileServer, migrated: Path, layer: str, web: str
) -> Iterator[Project]:
    """A project on a database of its own."""
    server.execute(f"CREATE DATABASE {layer} TEMPLATE migrated")
    answers = ANSWERS | answers_of(layer) | {"web": web}
    yield Project(renderer.render(answers), answers, server.url_of(layer))
    server.execute(f"DROP DATABASE {layer} WITH (FORCE)")


@pytest.fixture
def web() -> str:
    """What serves, where a test does not say."""
    return "fastapi"


class Load:
    """Clients that ask and write without pause, and keep every answer and how long it took."""

    def __init__(self, address: str, clients: int = 6) -> None:
        self.answers: list[tuple[int, Any, float]] = []
        self._address = address
        self._ended = threading.Event()
        self._clients = [threading.Thread(target=self._ask, args=[n]) for n in range(clients)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        for client in self._clients:
            client.join()

    def wait_for(self, *statuses: int) -> None:
        """Wait until these answers, and more than one from each client, have come."""
        known = len(self.answers)
        wait_until(lambda: self._has(known, set(statuses)), 30)

    def _has(self, known: int, wanted: set[int]) -> bool:
        new = [status for status, *_ in self.answers[known:]]
        return sum(status in wanted for status in new) > 3 * len(self._clients)

    def _ask(self, client: int) -> None:
        body = {"name": f"Lamp {client}"} if client % 2 else None
        while not self._ended.wait(0.02):
            began = time.monotonic()
            status, answer = ask(f"{self._address}/items", body)
            self.answers.append((status, answer, time.monotonic() - began))


def timed(url: str, body: object = None, method: str | None = None) -> tuple[int, Any, float]:
    began = time.monotonic()
    return *ask(url, body, method), time.monotonic() - began


@pytest.mark.parametrize(SERVED, [*FASTAPI, pytest.param(*FLASK, marks=LATER)])
def test_it_answers_503_soon_recovers_and_can_be_stopped_whatever_happens_to_the_server(
    project: Project, server: FragileServer, layer: str, stopping: str
) -> None:
    settings = {
        "DATABASE_POOL_SIZE": "4",
        "DATABASE_MAX_OVERFLOW": "0",
        "DATABASE_POOL_TIMEOUT": "1",
        "DATABASE_CONNECT_TIMEOUT": "2",
        "DATABASE_STATEMENT_TIMEOUT": "3",
        "DATABASE_LOCK_TIMEOUT": "3",
    }
    with project.serve_process(**settings) as served:
        address = served.address
        _, item = ask(f"{address}/items", {"name": "Lamp"})
        assert ask(f"{address}/items/{item['id']}")[0] == 200

        assert server.terminate_connections(layer) > 0
        assert ask(f"{address}/items/{item['id']}") == (200, item)

        with Load(address) as load:
            load.wait_for(200, 201)
            assert server.terminate_connections(layer) > 0
            load.wait_for(200, 201)
            with server.killed():
                load.wait_for(503)
                assert_it_lives_and_is_not_ready(address)
            load.wait_for(200, 201)
            with server.frozen():
                load.wait_for(503)
                assert_it_lives_and_is_not_ready(address)
            load.wait_for(200, 201)
            assert ask(f"{address}/health/ready")[0] == 200

        assert {status for status, *_ in load.answers} == {200, 201, 503}
        for status, answer, seconds in load.answers:
            assert status != 503 or answer["title"] == "Service Unavailable"
            # As long as a connection is tested and another one made, or one statement runs.
            # It is known, besides, that an answer came before `ask` gave up.
            assert seconds < 2 + 2 + 3 + AT_ONCE, (status, answer)
        assert_connections_can_be_used_at_once(4, address, item["id"], project, server)

        with server.frozen():
            served.process.send_signal(signal.SIGTERM)
            assert stopping in served.end()


def assert_it_lives_and_is_not_ready(address: str) -> None:
    lives = [timed(f"{address}/health/live") for _ in range(3)]
    assert {status for status, *_ in lives} == {200}
    assert min(seconds for *_, seconds in lives) < AT_ONCE
    status, readiness, seconds = timed(f"{address}/health/ready")
    assert (status, readiness["database"]) == (503, "down")
    assert seconds < 2 + 2 * AT_ONCE


def assert_connections_can_be_used_at_once(
    wanted: int, address: str, item: str, project: Project, server: FragileServer
) -> None:
    change = f"{address}/items/{item}", {"name": "Lantern"}, "PATCH"
    with psycopg.connect(project.url) as holder, ThreadPoolExecutor(wanted) as clients:
        holder.execute("SELECT * FROM items WHERE id = %s FOR UPDATE", [item])
        answers = [clients.submit(ask, *change) for _ in range(wanted)]
        wait_until(lambda: waiting(server, project) == wanted)
        holder.rollback()
        assert [answer.result()[0] for answer in answers] == [200] * wanted


def waiting(server: FragileServer, project: Project) -> int:
    """Count the project's sessions that wait for a lock."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    return len(server.execute(query, project.url.rpartition("/")[2]))


@pytest.mark.parametrize(SERVED, [*FASTAPI, FLASK])
def test_without_a_free_connection_it_answers_503_and_told_to_stop_it_finishes_what_runs(
    project: Project, server: FragileServer, layer: str, stopping: str
) -> None:
    settings = {
        "DATABASE_POOL_SIZE": "1",
        "DATABASE_MAX_OVERFLOW": "0",
        "DATABASE_POOL_TIMEOUT": "4",
        "DATABASE_LOCK_TIMEOUT": "25",
    }
    with (
        project.serve_process(**settings) as served,
        psycopg.connect(project.url) as holder,
        ThreadPoolExecutor(1) as client,
    ):
        address = served.address
        _, item = ask(f"{address}/items", {"name": "Lamp"})
        holder.execute("LOCK TABLE items IN EXCLUSIVE MODE")
        change = client.submit(ask, f"{address}/items/{item['id']}", {"name": "Sofa"}, "PATCH", 60)
        wait_until(lambda: waiting(server, project) == 1)

        # First, because what waits for a connection here has given up when the second is answered.
        assert_it_lives_and_is_not_ready(address)
        status, problem, seconds = timed(f"{address}/items")
        assert (status, problem["detail"]) == (503, "All database connections are busy.")
        assert seconds < 4 + AT_ONCE
        log = served.log.read_text()
        assert f"the pool of {server.address}/{layer} is exhausted: all of its 1 conn" in log
        # Where the unit of work that holds it is, by its line.
        assert re.search(r"taken: shop/features/items/service\.py:\d+ for \d+\.\d s", log)

        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: stopping in served.log.read_text())
        assert not change.done()
        holder.rollback()
        status, changed = change.result()
        assert (status, changed["name"]) == (200, "Sofa")
        served.end()
        # But for the one that holds the lock.
        wait_until(lambda: server.execute(CLIENTS, layer) == [(1,)])
        assert server.terminate_connections(layer) == 1
        lost = "SELECT sessions_abandoned FROM pg_stat_database WHERE datname = %s"
        assert server.execute(lost, layer) == [(0,)]


@pytest.mark.parametrize(
    ("layer", "web"), [("sync", "flask"), pytest.param("sync", "fastapi", marks=LATER)]
)
def test_a_client_that_leaves_keeps_no_connection(project: Project, server: FragileServer) -> None:
    settings = {"DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "0"}
    with project.serve(**settings) as address, psycopg.connect(project.url) as holder:
        _, item = ask(f"{address}/items", {"name": "Lamp"})
        holder.execute("LOCK TABLE items IN EXCLUSIVE MODE")
        head = (
            f"PATCH /items/{item['id']} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        )
        for body, length in ('{"name": ', 16), ('{"name": "Sofa"}', 16):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as client:
                client.sendall(f"{head}Content-Length: {length}\r\n\r\n{body}".encode())
                if len(body) == length:
                    wait_until(lambda: waiting(server, project) == 1)
        holder.rollback()

        wait_until(lambda: ask(f"{address}/items/{item['id']}")[1]["name"] == "Sofa")
        assert ask(f"{address}/items", {"name": "Chair"})[0] == 201


@LAYERS
def test_a_column_that_was_changed_fails_no_request(
    project: Project, server: FragileServer, layer: str
) -> None:
    with project.serve(DATABASE_POOL_SIZE="1", DATABASE_MAX_OVERFLOW="0") as address:
        _, item = ask(f"{address}/items", {"name": "Lamp"})
        reads = [ask(f"{address}/items/{item['id']}") for _ in range(8)]
        assert reads == [(200, item)] * 8
        with psycopg.connect(project.url) as connection:
            connection.execute("ALTER TABLE items ALTER COLUMN name TYPE text")
        assert ask(f"{address}/items/{item['id']}") == (200, item)


@LAYERS
def test_the_server_ends_what_takes_too_long_except_in_migrations(
    project: Project, layer: str
) -> None:
    script = LIMITS
    if layer != "async":
        script = script.replace("async ", "").replace("await ", "")
    limits = {"DATABASE_STATEMENT_TIMEOUT": "1", "DATABASE_CONNECT_TIMEOUT": "3"}
    done = project.run_code(script, **limits)
    assert done.splitlines() == [
        "slow: The database took too long.",
        "idle: The database cannot be reached.",
        "checked out: 0",
        "a migration slept",
    ]


@LAYERS
def test_a_writer_elsewhere_makes_writes_wait_and_nothing_else(
    renderer: Renderer, migrated: Path, tmp_path: Path, layer: str
) -> None:
    path = shutil.copy(migrated, tmp_path / "shop.db")
    answers = ANSWERS | answers_of(layer)
    project = Project(renderer.render(answers), answers, f"sqlite:///{path}")
    with (
        project.serve(DATABASE_LOCK_TIMEOUT="2") as address,
        closing(sqlite3.connect(path, isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        for answer in ("items", "health/ready", "health/live"):
            status, _, seconds = timed(f"{address}/{answer}")
            assert (status, seconds < AT_ONCE) == (200, True), answer
        status, problem, seconds = timed(f"{address}/items", {"name": "Lamp"})
        assert (status, 2 <= seconds < 2 + 2 * AT_ONCE) == (503, True)
        assert problem["detail"] == "The database is busy: another writer holds it."
        writer.rollback()
        assert ask(f"{address}/items", {"name": "Lamp"})[0] == 201
