"""Clients that ask one server as fast as it answers, and how long each answer took.

python load.py < requests.json > measured.json
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvloop


class Client(asyncio.Protocol):
    """One connection, which asks again as soon as it has an answer."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.requests = requests
        self.until = until
        self.seconds: list[float] = []
        self.refused = 0
        self.done = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length_of(head):
            return
        self.seconds.append(time.perf_counter() - self._asked)
        self.refused += not head.startswith(b"HTTP/1.1 2")
        self._received = b""
        if time.perf_counter() < self.until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self.requests))


def _length_of(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def measure(port: int, requests: list[str], clients: int, seconds: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    texts = itertools.cycle([request.encode() for request in requests])
    start = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: Client(texts, start + seconds), "127.0.0.1", port))[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for client in made))
    took = time.perf_counter() - start
    times = sorted(second for client in made for second in client.seconds)
    return {
        "answers": len(times),
        "refused": sum(client.refused for client in made),
        "rate": len(times) / took,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
    }


if __name__ == "__main__":
    json.dump(uvloop.run(measure(**json.load(sys.stdin))), sys.stdout)
