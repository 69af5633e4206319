"""Clients that store and read tasks, and what is true of them afterwards."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

# A client gives up on an answer after so many seconds, and asks again.
PATIENCE = 5
# Between two requests of a client, so that the load is bounded.
PAUSE = 0.02
# After the end, what is not acknowledged yet is asked for again so long.
LAST_TRIES = 15


@dataclass
class Write:
    """A task that a client wants stored: once, however often it asks."""

    name: str
    key: str = field(default_factory=lambda: str(uuid4()))
    tries: int = 0
    acknowledged: float | None = None


@dataclass(frozen=True)
class Read:
    """When a read ended, how long it took, and whether it was answered."""

    ended: float
    seconds: float
    is_answered: bool


class Load:
    """Writers and readers of one or several services; all times are of `time.monotonic`."""

    def __init__(self, addresses: Sequence[str], writers: int = 4, readers: int = 2) -> None:
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self.statuses: Counter[int] = Counter()
        self.began = time.monotonic()
        self.ended = self.began
        self._stop = threading.Event()
        ports = [urlsplit(address).port or 80 for address in addresses]
        self._threads = [
            threading.Thread(target=work, args=[number, ports], daemon=True)
            for work, count in ((self._write, writers), (self._read, readers))
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended = time.monotonic()
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> list[Write]:
        """The writes that a client was told are stored, in that order."""
        known = [write for write in self.writes if write.acknowledged is not None]
        return sorted(known, key=lambda write: write.acknowledged or 0)

    def writes_since(self, moment: float) -> int:
        """Return how many writes were acknowledged after a moment."""
        return sum((write.acknowledged or 0) > moment for write in self.acknowledged)

    def _write(self, client: int, ports: Sequence[int]) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            write = Write(f"{client}-{number}")
            self.writes.append(write)
            while not self._store(write, random.choice(ports)):
                if self._stop.is_set() and time.monotonic() > self.ended + LAST_TRIES:
                    return
                time.sleep(5 * PAUSE)
            time.sleep(PAUSE)

    def _store(self, write: Write, port: int) -> bool:
        body = {"type": "drill", "name": write.name, "configuration": {}, "created_by": "drill"}
        write.tries += 1
        status = request(port, "POST", "/tasks", body, {"Idempotency-Key": write.key})
        self.statuses[status] += 1
        if status == 201:
            write.acknowledged = time.monotonic()
        # Whatever else it is, the service says that the request is at fault.
        assert status in {0, 201, 409, 500, 503}, status
        return status == 201

    def _read(self, client: int, ports: Sequence[int]) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            status = request(random.choice(ports), "GET", "/tasks?limit=5")
            ended = time.monotonic()
            self.reads.append(Read(ended, ended - began, status == 200))
            time.sleep(PAUSE)


def request(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> int:
    """Return the status of an answer, 0 if there was none in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@dataclass(frozen=True)
class Stored:
    """What the database holds after a load."""

    rows: int
    lost: list[Write]
    duplicated: list[str]


def compare(load: Load, url: str) -> Stored:
    """Look in the database for every write; each has one row, and one event of its creation."""
    query = """
        SELECT tasks.name, count(DISTINCT tasks.id), count(events.id)
        FROM tasks LEFT JOIN task_events AS events
            ON events.task_id = tasks.id AND events.type = 'created'
        WHERE tasks.type = 'drill' GROUP BY tasks.name
    """
    with psycopg.connect(url) as connection:
        rows = {name: counts for name, *counts in connection.execute(query)}
    lost = [write for write in load.acknowledged if rows.get(write.name, [0, 0])[0] == 0]
    more = [name for name, counts in rows.items() if counts != [1, 1]]
    return Stored(sum(count for count, _ in rows.values()), lost, more)


def longest_gap(moments: Sequence[float], began: float, ended: float) -> float:
    """Return the longest time without any of these moments."""
    known = [began, *sorted(moment for moment in moments if began < moment < ended), ended]
    return max(later - earlier for earlier, later in pairwise(known))
