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
from typing import NoReturn

# What most commands of most projects import.
LIBRARIES = [
    *["aiosqlite", "alembic.autogenerate", "alembic.command", "alembic.config", "asyncpg"],
    *["email_validator", "fastapi", "psycopg", "pwdlib", "pydantic_settings", "rich.progress"],
    *["sqlalchemy.ext.asyncio", "typer", "uuid_utils"],
]
LONGEST_CALL = 100_000


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    text: str = "",
    seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module …` or `python -c code …` and return how it ended and what it said."""
    call = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
    ours, theirs = socket.socketpair()
    with ours, theirs, TemporaryFile("w+") as said, TemporaryFile("w+") as wrong:
        with TemporaryFile("w+") as given:
            given.write(text)
            given.seek(0)
            files = [given.fileno(), said.fileno(), wrong.fileno(), theirs.fileno()]
            socket.send_fds(server(), [call], files)
        theirs.close()
        with ours.makefile() as answer:
            pid = int(answer.readline())
            ours.settimeout(seconds)
            try:
                code = int(answer.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), seconds) from None
        said.seek(0)
        wrong.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, said.read(), wrong.read())


@cache
def server() -> socket.socket:
    """Start the process that becomes what is called for, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
    gc.freeze()
    while True:
        call, files, _, _ = socket.recv_fds(calls, LONGEST_CALL, 4)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not call:
            return
        if os.fork() == 0:
            calls.close()
            *streams, answer = files
            if program := os.fork():
                watch(program, answer)
            os.close(answer)
            become(streams, *json.loads(call))
            return
        for file in files:
            os.close(file)


def watch(program: int, answer: int) -> NoReturn:
    """Tell the id of a process, and how it ended."""
    os.write(answer, f"{program}\n".encode())
    _, status = os.waitpid(program, 0)
    with suppress(BrokenPipeError):
        os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(
    streams: Sequence[int], arguments: Sequence[str], folder: str, environment: Mapping[str, str]
) -> None:
    """Run what is called for, with these as its input, output and errors."""
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
    sys.argv = [name if kind == "-m" else kind, *rest]
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    # Neither our own modules nor those of whoever started this are the projects'.
    started = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [path for path in sys.path[1:] if path not in started]
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel)
