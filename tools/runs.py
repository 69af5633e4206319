"""Runs the tests of rendered projects, each run in a process that has the libraries already.

Loading them takes longer than most tests do.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 240

# What every project imports: loaded once, and there already in the processes that run its tests.
LIBRARIES = [
    *["aiosqlite", "alembic.autogenerate", "alembic.command", "asyncpg", "email_validator"],
    *["fastapi", "flask", "httpx2", "psycopg", "pwdlib", "pydantic_settings", "pytest"],
    *["rich.progress", "sqlalchemy.ext.asyncio", "typer.testing", "uuid_utils", "uvicorn"],
]


@dataclass(frozen=True)
class Run:
    """Tests of a project, in a folder of their own."""

    folder: Path
    project: str
    tests: Sequence[str]

    @property
    def output(self) -> Path:
        return self.folder.with_suffix(".txt")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit status and the first test that failed."""

    status: int
    seconds: float
    test: str


def run_all(runs: Iterable[Run], jobs: int, report: Callable[[Run, Outcome], None]) -> None:
    """Run the tests, so many at a time, each in a process that has the libraries already."""
    for library in LIBRARIES:
        importlib.import_module(library)
    waiting = list(runs)[::-1]
    running: dict[int, tuple[Run, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop()
                running[start(run)] = (run, time.monotonic())
            pid, status = os.wait()
            if pid in running:
                run, started = running.pop(pid)
                report(run, outcome_of(run, os.waitstatus_to_exitcode(status), started))
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def start(run: Run) -> int:
    """Return the id of a new process that runs the tests."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        become_pytest(run)
    return pid


def outcome_of(run: Run, status: int, started: float) -> Outcome:
    named = re.search(r"^(?:FAILED|ERROR) (\S+)", run.output.read_text(), re.MULTILINE)
    return Outcome(status, time.monotonic() - started, named[1] if named else "")


def become_pytest(run: Run) -> None:
    """Turn this process into the tests of a project; a run that hangs is ended by the alarm."""
    status = 3
    try:
        signal.alarm(SECONDS)
        with run.output.open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(run.folder)
        source = str(run.folder / "src")
        sys.path[:] = [source, *(path for path in sys.path if not is_ours(path))]
        os.environ["PYTHONPATH"] = source
        status = int(importlib.import_module("pytest").main(arguments_for(run)))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def is_ours(path: str) -> bool:
    """Tell whether modules of this repository would be found there, and not the project's."""
    return Path(path).resolve() in {ROOT / "tests", ROOT / "tools"}


def arguments_for(run: Run) -> list[str]:
    """Return the arguments of pytest: in the files' order, so that each run finds the same."""
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments += [] if "-async-" in run.project else ["-p", "no:asyncio"]
    return [*arguments, *run.tests]
