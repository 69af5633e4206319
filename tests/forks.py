"""Runs modules of Python in processes that have the libraries already.

Loading those takes longer than most commands do. What is run has a process of its own all the same,
with its own folder, environment, input and output, and loads the project that it belongs to.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NoReturn

# What most commands of most projects import.
LIBRARIES = [
    *["aiosqlite", "alembic.autogenerate", "alembic.command", "alembic.config", "asyncpg"],
    *["email_validator", "fastapi", "psycopg", "pwdlib", "pydantic_settings", "rich.progress"],
    *["sqlalchemy.ext.asyncio", "typer", "uuid_utils", "uvicorn"],
]
# How long a process id or an exit status is told.
NUMBER = 20


class Forked:
    """A process that runs `python -m module …` or `python -c code …`; used as a Popen is."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: Sequence[IO[str]],
        *,
        lasting: bool = False,
    ) -> None:
        self.arguments = list(arguments)
        self.returncode: int | None = None
        self._answer, theirs = socket.socketpair()
        with theirs, TemporaryFile("w+") as call:
            json.dump([lasting, self.arguments, str(folder), dict(environment)], call)
            call.seek(0)
            files = [*(file.fileno() for file in (*streams, call)), theirs.fileno()]
            socket.send_fds(server(), [b"."], files)
        self.pid = int(self._answer.recv(NUMBER))

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._answer.settimeout(timeout)
            try:
                self.returncode = int(self._answer.recv(NUMBER))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.arguments, timeout or 0) from None
            self._answer.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    text: str = "",
    seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a process, and return how it ended and what it said."""
    with TemporaryFile("w+") as given, TemporaryFile("w+") as said, TemporaryFile("w+") as wrong:
        given.write(text)
        given.seek(0)
        process = Forked(arguments, folder, environment, [given, said, wrong])
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        said.seek(0)
        wrong.seek(0)
        return subprocess.CompletedProcess(process.arguments, code, said.read(), wrong.read())


@cache
def server() -> socket.socket:
    """Start the process that becomes what is called for, which ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def serve(calls: socket.socket) -> None:
    """Become what is called for, in a process of its own for each call."""
    for library in LIBRARIES:
        importlib.import_module(library)
    # What ends soon need not look for garbage among the libraries.
    gc.freeze()
    while True:
        called, files, _, _ = socket.recv_fds(calls, 1, 5)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not called:
            return
        if os.fork() == 0:
            calls.close()
            *streams, call, answer = files
            if program := os.fork():
                watch(program, answer)
            os.close(answer)
            with os.fdopen(call) as text:
                called_for = json.load(text)
            become(streams, *called_for)
            return
        for file in files:
            os.close(file)


def watch(program: int, answer: int) -> NoReturn:
    """Tell the id of a process, and how it ended."""
    os.write(answer, f"{program:{NUMBER}}".encode())
    _, status = os.waitpid(program, 0)
    with suppress(BrokenPipeError):
        os.write(answer, f"{os.waitstatus_to_exitcode(status):{NUMBER}}".encode())
    os._exit(0)


def become(
    streams: Sequence[int],
    lasting: bool,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
) -> None:
    """Run what is called for, with these as its input, output and errors."""
    if lasting:
        gc.unfreeze()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ |= environment
    time.tzset()
    own = environment.get("PYTHONPATH", "").split(os.pathsep)
    kind, name, *rest = arguments
    sys.path[:] = [folder if kind == "-m" else "", *filter(None, own), *sys.path]
    sys.argv = [kind, *rest]
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        exec(compile(name, "<string>", "exec", dont_inherit=True), {"__name__": "__main__"})


if __name__ == "__main__":
    # Neither our own modules nor those of whoever started this are the projects'.
    started = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [path for path in sys.path[1:] if path not in started]
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel)
