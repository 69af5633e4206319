"""A PostgreSQL of a test's own, to which anything may happen."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import psycopg
from conftest import load_server
from projects import is_alive, wait_until


class FragileServer:
    """A server whose processes can be killed, frozen and started again on the same port."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            data = connection.execute("SHOW data_directory").fetchall()[0][0]
        self.data = Path(data)
        self._command = Path(f"/proc/{self._postmaster}/cmdline").read_text().split("\0")[:-1]
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    @property
    def address(self) -> str:
        return self.url.partition("@")[2].partition("/")[0]

    def url_of(self, database: str) -> str:
        return f"{self.url.rpartition('/')[0]}/{database}"

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction; return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def terminate_connections(self, database: str) -> int:
        """End every session in the database; return how many there were."""
        return len(
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                database,
            )
        )

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Have no server for the time of the block."""
        processes = self._processes()
        _signal(processes, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, processes)))
        # Its parent may not have collected it yet, and then it would seem to be alive.
        (self.data / "postmaster.pid").unlink()
        try:
            yield
        finally:
            self._start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have a server that accepts connections and never answers for the time of the block."""
        processes = self._processes()
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def stop(self) -> None:
        """End the server if it was started here."""
        if self._started is not None:
            self._started.send_signal(signal.SIGQUIT)
            self._started.wait(10)

    def _start(self) -> None:
        self.stop()
        owner = self.data.stat()
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        self._started = subprocess.Popen(
            self._command, cwd=self.data, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, **account
        )
        status = self.data / "postmaster.pid"
        wait_until(lambda: status.is_file() and status.read_text().rstrip().endswith("ready"))

    def _processes(self) -> list[int]:
        parent = self._postmaster
        # One that runs on would start more while they are counted.
        os.kill(parent, signal.SIGSTOP)
        children = subprocess.run(
            ["pgrep", "--parent", str(parent)], capture_output=True, text=True, check=True
        )
        return [parent, *map(int, children.stdout.split())]


@contextmanager
def fragile_server() -> Iterator[FragileServer]:
    """Start a server, and leave nothing of it."""
    with load_server("postgres").start() as started:
        server = FragileServer(started.url)
        try:
            yield server
        finally:
            server.stop()


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
