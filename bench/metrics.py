"""What metrics, request ids and structured logs cost: the same service with and without them.

    .venv/bin/python bench/metrics.py [--rounds=40] [--requests=200]

Both services run all the time, each on a database of its own on one private server, and are asked
in turn, a few hundred requests each time, so that what else the machine does meets both alike. That
only ever slows a round down: what counts is the quarter of the rounds that was disturbed least. How
long a processor works for a request is disturbed less than the throughput is; if one of both is
within 3 %, it is the machine that the other tells of.
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
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    is_cheap = True
    with tempfile.TemporaryDirectory() as name, load_server("postgres").start() as server:
        shared = Path(name)
        (shared / "template").mkdir()
        snapshot(shared / "template")
        for answers in SERVICES:
            rounds = measure(Renderer(shared), answers, server.url, options)
            is_cheap &= report(answers, rounds)
    return 0 if is_cheap else 1


def measure(
    renderer: Renderer, answers: dict[str, Any], server: str, options: argparse.Namespace
) -> list[list[Round]]:
    """Return the rounds without and with metrics."""
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


def report(answers: dict[str, Any], rounds: Sequence[Sequence[Round]]) -> bool:
    """Print the best quarters, and tell whether metrics are cheap enough."""
    without, observed = map(best_of, rounds)
    throughput, busy = observed.throughput / without.throughput, without.busy / observed.busy
    print(f"{answers['web']}, {answers['sessions']}, {len(rounds[0])} rounds")
    for name, best in (("without", without), ("metrics", observed)):
        print(f"  {name}: {best.throughput:6.0f} requests/s, {best.busy * 1e6:5.0f} us of CPU")
    print(f"  ratio: {throughput:.3f} of the throughput, {busy:.3f} by CPU", flush=True)
    return max(throughput, busy) >= ALLOWED


def best_of(rounds: Sequence[Round]) -> Round:
    """Return where the quarter begins that was disturbed least."""
    throughputs = [one.throughput for one in rounds]
    busy = [one.busy for one in rounds]
    return Round(statistics.quantiles(throughputs, n=4)[2], statistics.quantiles(busy, n=4)[0])


if __name__ == "__main__":
    sys.exit(main())
