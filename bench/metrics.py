"""What metrics, request ids and structured logs cost: the same service with and without them.

    .venv/bin/python bench/metrics.py [--pairs=12] [--rounds=12] [--requests=200]

A pair of them, each on a database of its own on one private server, is asked in turn, a few hundred
requests each time, so that what else the machine does meets both alike. A process may be a tenth
faster than another of the same code, for all of its life, so that many pairs are made. What counts
is the median over the pairs, of the median over the rounds. The time that a processor works for a
request is shown too: what else the machine does disturbs it less.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import load_server  # noqa: E402
from projects import Project, Served, ask, postgres_database  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402

CLIENTS = 8
SERVICES: list[dict[str, Any]] = [
    {"sessions": "async", "web": "fastapi"},
    {"sessions": "sync", "web": "flask"},
]
ALLOWED = 0.97


class Round(NamedTuple):
    """How many requests in a second, and how long a processor was busy for one."""

    throughput: float
    busy: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    is_cheap = True
    with tempfile.TemporaryDirectory() as name, load_server("postgres").start() as server:
        shared = Path(name)
        (shared / "template").mkdir()
        snapshot(shared / "template")
        for answers in SERVICES:
            renderer = Renderer(shared)
            pairs = (measure(renderer, answers, server.url, options) for _ in range(options.pairs))
            is_cheap &= report(answers, [compare(*rounds) for rounds in pairs])
    return 0 if is_cheap else 1


def measure(
    renderer: Renderer, answers: dict[str, Any], server: str, options: argparse.Namespace
) -> list[list[Round]]:
    """Return the rounds of one pair of processes, without and with metrics."""
    with ExitStack() as stack:
        services = []
        for extras in ([], ["metrics"]):
            url = stack.enter_context(postgres_database(server))
            chosen = {"package_name": "shop", "examples": ["items"], **answers, "extras": extras}
            project = Project(renderer.render(chosen), chosen, url)
            project.run("shop", "migrate")
            services.append(stack.enter_context(project.serve_process()))
        items = [ask(f"{one.address}/items", {"name": "Lamp"})[1]["id"] for one in services]
        clients = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        rounds: list[list[Round]] = [[], []]
        # The first is to get warm.
        for number in range(options.rounds + 1):
            for which in (0, 1)[:: 1 - number % 2 * 2]:
                taken = ask_often(services[which], items[which], clients, options.requests)
                rounds[which] += [taken] if number else []
        return rounds


def ask_often(served: Served, item: str, clients: ThreadPoolExecutor, requests: int) -> Round:
    """Let all clients ask, three reads to one write, each on a connection of its own."""
    port = int(served.address.rpartition(":")[2])
    each = requests // CLIENTS
    busy, began = busy_seconds(served.process.pid), time.perf_counter()
    list(clients.map(lambda _: use_connection(port, item, each), range(CLIENTS)))
    seconds = time.perf_counter() - began
    count = each * CLIENTS
    return Round(count / seconds, (busy_seconds(served.process.pid) - busy) / count)


def use_connection(port: int, item: str, requests: int) -> None:
    read = f"GET /items/{item} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    body = json.dumps({"name": "Lamp"})
    head = f"POST /items HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
    write = f"{head}Content-Type: application/json\r\n\r\n{body}".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in range(requests):
            connection.sendall(write if number % 4 == 0 else read)
            expect(connection, b"201" if number % 4 == 0 else b"200")


def expect(connection: socket.socket, status: bytes) -> None:
    """Read an answer to its end, and no further."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == status, answer
    (length,) = [
        int(line.partition(b":")[2])
        for line in head.splitlines()
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < length:
        body += connection.recv(65536)


def busy_seconds(process: int) -> float:
    """Return how long processors worked for a process and those that it started."""
    threads = list(Path(f"/proc/{process}/task").iterdir())
    own = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    children = [child for one in threads for child in (one / "children").read_text().split()]
    return own + sum(busy_seconds(int(child)) for child in children)


def compare(without: Sequence[Round], observed: Sequence[Round]) -> Round:
    """Return the medians of what one reached beside the other, round by round."""
    pairs = list(zip(without, observed, strict=True))
    return Round(
        statistics.median(two.throughput / one.throughput for one, two in pairs),
        statistics.median(one.busy / two.busy for one, two in pairs),
    )


def report(answers: dict[str, Any], ratios: Sequence[Round]) -> bool:
    """Print the medians, and tell whether metrics are cheap enough."""
    throughput = [one.throughput for one in ratios]
    print(f"{answers['web']}, {answers['sessions']}, {len(ratios)} pairs of processes:", end=" ")
    print(f"{describe(throughput)} of the throughput,", end=" ")
    print(f"{describe([one.busy for one in ratios])} by CPU", flush=True)
    return statistics.median(throughput) >= ALLOWED


def describe(ratios: Sequence[float]) -> str:
    """Return the median, and the least and the largest."""
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


if __name__ == "__main__":
    sys.exit(main())
