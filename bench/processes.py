"""Processes that end: each in a group of its own, none waited for without a limit."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

BENCH = Path(__file__).resolve().parent
START = 60
ANSWER = 30
STOP = 5
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something did not do what it was to do, or not in time."""


@dataclass(frozen=True)
class Server:
    """A process that serves on a port."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def cpu(self) -> float:
        """The seconds that it has computed so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def memory(self) -> float:
        """The megabytes that it holds in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float = 300,
    given: str = "",
) -> str:
    """Run a command and return what it printed; raises BenchError, in time."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[-1]} took more than {seconds} s") from None
    finally:
        _end(process)
    if process.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))[:200]}: {output[-500:]} {errors[-2000:]}")
    return output


@contextmanager
def serving(
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str],
    path: str = "/items?limit=1",
) -> Iterator[Server]:
    """Run a server until the end of the block; it answers on the path when the block begins."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not _answers(port, path, process):
                log.seek(0)
                raise BenchError(f"{name} does not serve: {log.read()[-2000:].decode()}")
            yield Server(name, port, process)
        finally:
            _end(process)


def ask(port: int, path: str, seconds: float = 10) -> Any:
    """Return the JSON of an answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=seconds) as answer:
        return json.load(answer)


class Clients:
    """A process of many clients, kept for many measurements."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, BENCH / "load.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        _end(self._process)

    def ask(
        self, server: Server, requests: list[str], clients: int, seconds: float
    ) -> dict[str, Any]:
        """Let clients ask the server, and return what they saw and what it cost the server."""
        order = {"port": server.port, "requests": requests, "clients": clients, "seconds": seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = server.cpu
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        # An answer is one line, so that nothing of it is left in the buffer.
        if not select.select([self._process.stdout], [], [], seconds + ANSWER)[0]:
            raise BenchError(f"the clients of {server.name} do not come to an end")
        if not (line := self._process.stdout.readline()):
            raise BenchError(f"the clients of {server.name} failed")
        measured: dict[str, Any] = json.loads(line)
        return measured | {"cpu": (server.cpu - before) / max(measured["answers"], 1)}


def _answers(port: int, path: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            ask(port, path, 5)
            return True
        time.sleep(0.05)
    return False


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process and all that it has started."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP)
