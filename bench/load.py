"""Clients that ask one server as fast as it answers, and how long each answer took.

A process of its own, so that it takes no time of the server's: it reads an order from each line
that it is given, and answers with a line. Each answer comes, or the process ends, at the latest so
many seconds after the time that it was to measure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import uvloop

GRACE = 15


class Client(asyncio.Protocol):
    """One connection, which asks again as soon as it has an answer."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + _length_of(self._received[:end]):
            return
        now = time.perf_counter()
        self.seconds.append(now - self._asked)
        status = self._received[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._received.clear()
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))


def _length_of(head: bytearray) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def measure(port: int, requests: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Let so many clients ask for so long, and return what they saw."""
    loop = asyncio.get_running_loop()
    texts = itertools.cycle([request.encode() for request in requests])
    begun = time.perf_counter()
    made: list[Client] = []
    async with asyncio.timeout(seconds + GRACE):
        for _ in range(clients):
            _, client = await loop.create_connection(
                lambda: Client(texts, begun + seconds), "127.0.0.1", port
            )
            made.append(client)
        await asyncio.gather(*(client.ended for client in made))
    took = time.perf_counter() - begun
    times = sorted(second for client in made for second in client.seconds) or [float("nan")]
    statuses: dict[str, int] = {}
    for client in made:
        for status, count in client.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return {
        "answers": sum(statuses.values()),
        "statuses": statuses,
        "rate": sum(statuses.values()) / took,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
        "longest": times[-1],
        # A client whose connection ended without a last answer.
        "cut": sum(not client.seconds for client in made),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(uvloop.run(measure(**json.loads(line)))), flush=True)
