"""Measure rendered services beside their ceilings, and say which targets are met.

    python bench/run.py            all, in under 20 minutes
    python bench/run.py --quick    fewer and shorter rounds

Absolute figures depend on the machine and on what else it does. So every figure is a ratio of two
servers that answered the same requests right after one another, and the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import load_postgres  # noqa: E402
from projects import Project, free_port, postgres_database  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402

POOL = 16
ROWS = 10_000
CLIENTS = 16
ANSWERS = {"package_name": "shop", "examples": ["items", "tasks"]}
RESULTS = ROOT / "bench" / "results.json"


class Variant(NamedTuple):
    """A data layer, and what it is measured against."""

    database: str
    sessions: str
    raw: str
    core: str


VARIANTS = [
    Variant("postgresql", "async", "create_asyncpg", "create_async_core"),
    Variant("postgresql", "sync", "create_psycopg", "create_core"),
    Variant("sqlite", "async", "create_async_core", "create_async_core"),
    Variant("sqlite", "sync", "create_sqlite3", "create_core"),
]

OPERATIONS = ["get one", "list 50", "insert one", "page of tasks"]

# The least that the median ratio of throughputs must be: database, sessions, operation, ceiling.
TARGETS: dict[tuple[str, str, str, str], float] = {
    ("postgresql", "async", "get one", "raw"): 0.55,
    ("postgresql", "async", "get one", "core"): 0.95,
    ("postgresql", "async", "list 50", "core"): 0.90,
    ("postgresql", "async", "page of tasks", "core"): 0.90,
    ("postgresql", "async", "insert one", "core"): 0.90,
    ("postgresql", "sync", "get one", "raw"): 0.60,
    ("postgresql", "sync", "list 50", "raw"): 0.60,
    ("sqlite", "async", "get one", "core"): 0.95,
    ("sqlite", "sync", "get one", "raw"): 0.45,
}


@dataclass
class Server:
    """A process that serves on a port."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def cpu(self) -> float:
        """The seconds that it has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", default="", help="such as postgresql-async")
    options = parser.parse_args()
    rounds, seconds = (3, 0.7) if options.quick else (9, 2.0)
    found = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = load_postgres().start_postgres()
        stack.callback(server.stop)
        (folder / "template").mkdir()
        snapshot(folder / "template")
        for variant in VARIANTS:
            if options.only in f"{variant.database}-{variant.sessions}":
                found += measure(variant, Renderer(folder), server.url, rounds, seconds)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return report(found)


def measure(
    variant: Variant, renderer: Renderer, server: str, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    name = f"{variant.database}-{variant.sessions}"
    answers = ANSWERS | {"database": variant.database, "sessions": variant.sessions}
    folder = renderer.copy(answers, renderer.shared / name)
    with ExitStack() as stack:
        if variant.database == "postgresql":
            url = stack.enter_context(postgres_database(server))
        else:
            url = f"sqlite:///{folder}/bench.db"
        project = Project(folder, answers, url)
        project.run_each("shop migrate", f"shop seed --rows={ROWS}")
        servers = {
            kind: stack.enter_context(serving(project, kind, variant))
            for kind in ("plinth", "raw", "core")
        }
        requests = requests_of(servers["plinth"].port)
        found = []
        for operation in track(OPERATIONS, name, console=Console(stderr=True), transient=True):
            taken: dict[str, list[dict[str, Any]]] = {kind: [] for kind in servers}
            for number in range(rounds):
                # Another one begins each time.
                kinds = list(servers)[number % 3 :] + list(servers)[: number % 3]
                for kind in kinds:
                    taken[kind].append(load(servers[kind], requests[operation], seconds))
            found.append({**variant._asdict(), "operation": operation, "taken": taken})
        return found


@contextmanager
def serving(project: Project, kind: str, variant: Variant) -> Iterator[Server]:
    """Serve the project or one of its ceilings, by the same server with the same options."""
    port = free_port()
    name = "shop.web.app:create_app" if kind == "plinth" else f"ceilings:{getattr(variant, kind)}"
    plain = project.url
    if variant.database == "sqlite" and variant.sessions == "async":
        plain = plain.replace("sqlite:", "sqlite+aiosqlite:")
    elif kind == "core":
        driver = "asyncpg" if variant.sessions == "async" else "psycopg"
        plain = plain.replace("postgresql:", f"postgresql+{driver}:")
    environment = project.environment(
        ENVIRONMENT="production", DATABASE_POOL_SIZE=str(POOL), DATABASE_MAX_OVERFLOW="0"
    ) | {"BENCH_URL": plain}
    environment["PYTHONPATH"] += os.pathsep + str(ROOT / "bench")
    command = [sys.executable, "-m", "uvicorn", "--factory", name, f"--port={port}"]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_answer(port, process)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait()


def wait_for_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            sys.exit("a server ended before it answered")
        try:
            urlopen(f"http://127.0.0.1:{port}/items").close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("a server did not begin to answer")


def requests_of(port: int) -> dict[str, list[str]]:
    """Return the requests of each operation."""
    with urlopen(f"http://127.0.0.1:{port}/items?limit=200") as answer:
        ids = [item["id"] for item in json.load(answer)["items"]]
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


def load(server: Server, requests: list[str], seconds: float) -> dict[str, Any]:
    before = server.cpu
    order = {"port": server.port, "requests": requests, "clients": CLIENTS, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "load.py")],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    if measured["refused"]:
        sys.exit(f"{measured['refused']} of {measured['answers']} requests were refused")
    return measured | {"cpu": (server.cpu - before) / measured["answers"]}


def ratio(taken: dict[str, list[dict[str, Any]]], ceiling: str, figure: str) -> float:
    """Return the median over the rounds of the service's figure to the ceiling's."""
    pairs = zip(taken["plinth"], taken[ceiling], strict=True)
    return statistics.median(ours[figure] / theirs[figure] for ours, theirs in pairs)


def report(found: list[dict[str, Any]]) -> int:
    table = Table("service", "operation", "of", "throughput", "p50", "p99", "CPU", "target", "")
    missed = 0
    for row in found:
        where = (row["database"], row["sessions"], row["operation"])
        for ceiling in ("raw", "core"):
            if row[ceiling] == row["raw"] and ceiling == "core" and row["raw"] == row["core"]:
                label = "core"
            elif row["raw"] == row["core"]:
                continue
            else:
                label = ceiling
            reached = ratio(row["taken"], ceiling, "rate")
            target = TARGETS.get((*where, label))
            met = "" if target is None else "met" if reached >= target else "missed"
            missed += met == "missed"
            figures = [
                f"{ratio(row['taken'], ceiling, name):.2f}" for name in ("p50", "p99", "cpu")
            ]
            service = f"{row['database']} {row['sessions']}"
            wanted = "" if target is None else f">= {target:.2f}"
            table.add_row(service, row["operation"], label, f"{reached:.2f}", *figures, wanted, met)
    Console().print(table)
    print(f"targets missed: {missed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
