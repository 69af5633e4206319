"""The whole service over HTTP, beside its ceilings: the same paths, server, driver and pool."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import peers
from processes import BENCH, Clients, Server, ask, serving
from projects import Project, free_port
from proxy import Proxy

POOL = 16
CLIENTS = 16
OPERATIONS = ("get one", "list 50", "insert one", "page of tasks")


class Kind(NamedTuple):
    """A kind of service, and the modules that it is measured against."""

    database: str
    sessions: str
    raw: str | None
    core: str
    usual: str | None = None
    litestar: str | None = None

    @property
    def name(self) -> str:
        return f"{self.database} {self.sessions}"


KINDS = [
    Kind("postgresql", "async", "raw_asyncpg", "core_async", "usual_async", "litestar_async"),
    Kind("postgresql", "sync", "raw_psycopg", "core_sync"),
    Kind("sqlite", "async", None, "core_async"),
    Kind("sqlite", "sync", "raw_sqlite3", "core_sync"),
]
DRIVERS = {
    ("postgresql", "async"): "postgresql+asyncpg",
    ("postgresql", "sync"): "postgresql+psycopg",
    ("sqlite", "async"): "sqlite+aiosqlite",
    ("sqlite", "sync"): "sqlite",
}


class Guests(NamedTuple):
    """What there is of the peers: a template and a database with its table, Litestar's packages."""

    template: peers.Peer | None = None
    url: str = ""
    litestar: Path | None = None


def measure(
    project: Project,
    kind: Kind,
    clients: Clients,
    sittings: int,
    rounds: int,
    seconds: float,
    guests: Guests = Guests(),  # noqa: B008
) -> list[dict[str, Any]]:
    """Return what each operation took on each server, by rounds, each in another order.

    Each sitting has processes of its own: one may be faster than another of the same code, as long
    as it lives.
    """
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in OPERATIONS}
    for sitting in range(sittings):
        with ExitStack() as stack:
            requests = seat(stack, project, kind, guests)
            for server, texts in requests.items():
                for text in texts.values():
                    clients.ask(server, text, CLIENTS, 0.3)
            for operation in OPERATIONS:
                asked = [server for server, texts in requests.items() if operation in texts]
                for number in range(sitting * rounds, (sitting + 1) * rounds):
                    first = number % len(asked)
                    done = {
                        server.name: clients.ask(
                            server, requests[server][operation], CLIENTS, seconds
                        )
                        for server in asked[first:] + asked[:first]
                    }
                    for name, measured in done.items():
                        check(measured, f"{kind.name} {operation} {name}")
                    taken[operation].append(done)
    return [{"kind": kind.name, "operation": name, "rounds": made} for name, made in taken.items()]


def count_round_trips(
    project: Project,
    kind: Kind,
    clients: Clients,
    guests: Guests = Guests(),  # noqa: B008
) -> dict[str, dict[str, float]]:
    """Return how often each server waits for PostgreSQL in a request, by operation and server."""
    parts = urlsplit(project.url)
    proxy = Proxy(parts.hostname or "", parts.port or 5432)
    behind, before = f":{parts.port}/", f":{proxy.port}/"
    project = replace(project, url=project.url.replace(behind, before, 1))
    guests = guests._replace(url=guests.url.replace(behind, before, 1))
    counts: dict[str, dict[str, float]] = {operation: {} for operation in OPERATIONS}
    with ExitStack() as stack:
        for server, texts in seat(stack, project, kind, guests).items():
            for operation, requests in texts.items():
                # Each connection prepares its statements once.
                clients.ask(server, requests, CLIENTS, 0.3)
                begun = proxy.round_trips
                answers = clients.ask(server, requests, 1, 0.2)["answers"]
                counts[operation][server.name] = (proxy.round_trips - begun) / answers
    return counts


def seat(
    stack: ExitStack, project: Project, kind: Kind, guests: Guests
) -> dict[Server, dict[str, list[str]]]:
    """Start all servers, ours first, and return what each is asked for."""
    servers = [
        stack.enter_context(start(project, kind, who))
        for who in ("ours", "raw", "core", "usual")
        if who == "ours" or getattr(kind, who)
    ]
    every = requests_of(servers[0].port)
    requests = dict.fromkeys(servers, every)
    if guests.litestar:
        litestar = stack.enter_context(start(project, kind, "litestar", guests.litestar))
        requests[litestar] = {name: every[name] for name in OPERATIONS[:3]}
    if guests.template:
        template = peers.start(guests.template, free_port(), guests.url)
        requests[stack.enter_context(template)] = peers.REQUESTS
    return requests


def check(measured: dict[str, Any], what: str) -> None:
    """Refuse what was measured if anything but success was answered."""
    if set(measured["statuses"]) - {"200", "201"} or measured["cut"] or not measured["answers"]:
        raise RuntimeError(f"{what}: {measured}")


@contextmanager
def start(
    project: Project, kind: Kind, who: str, packages: Path | None = None, **variables: str
) -> Iterator[Server]:
    """Serve the project as its users do, or one of its ceilings by the same server."""
    port = free_port()
    settings = {
        "ENVIRONMENT": "production",
        "DATABASE_POOL_SIZE": str(POOL),
        "DATABASE_MAX_OVERFLOW": "0",
        "PORT": str(port),
    }
    environment = project.environment(**settings | variables)
    command = [sys.executable, "-m", "shop", "serve"]
    if who != "ours":
        module = getattr(kind, who)
        scheme = project.url.partition(":")[0]
        driver = scheme if who == "raw" else DRIVERS[kind.database, kind.sessions]
        environment |= {
            "BENCH_URL": project.url.replace(scheme, driver, 1),
            "BENCH_POOL": str(POOL),
            "PYTHONPATH": os.pathsep.join(
                [str(BENCH), environment["PYTHONPATH"], *([str(packages)] if packages else [])]
            ),
        }
        command = [sys.executable, "-m", "uvicorn", "--factory", f"ceilings.{module}:create_app"]
        command += [f"--port={port}", "--no-access-log"]
    with serving(who, command, port, project.folder, environment) as server:
        yield server


def requests_of(port: int) -> dict[str, list[str]]:
    """Return the requests of each operation, for rows that are there."""
    ids = [item["id"] for item in ask(port, "/items?limit=200")["items"]]
    body = json.dumps({"name": "Lamp", "description": "It gives light."})
    post = (
        "POST /items HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    )
    return {
        "get one": [_get(f"/items/{id}") for id in ids],
        "list 50": [_get("/items?limit=50")],
        "insert one": [post],
        "page of tasks": [_get("/tasks?limit=50")],
    }


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n"
