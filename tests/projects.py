"""Runs rendered projects: their own tools, their servers, on databases made for the purpose."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import forks
import psycopg
import pymysql
from rendering import ROOT, Answers, Renderer

INSIDE = ROOT / "tests" / "inside"
# Seconds: servers give their workers 30 to finish what they do, and end them then.
LONGEST_END = 45

# One process for many commands, because most of a command's time is to import SQLAlchemy.
RUN_EACH = """
import json, os, runpy, sys, tempfile, traceback
answer = os.dup(1)
ends = []
for line, variables in json.load(sys.stdin):
    sys.argv = line.split()
    before = dict(os.environ)
    os.environ |= variables
    code = 0
    # Below Python's own files, because Alembic keeps the first ones.
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        os.dup2(said.fileno(), 1)
        os.dup2(complained.fileno(), 2)
        try:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        said.seek(0)
        complained.seek(0)
        ends.append((code, said.read(), complained.read()))
    os.environ.clear()
    os.environ |= before
with os.fdopen(answer, "w") as file:
    json.dump(ends, file)
"""


class End(NamedTuple):
    """How a command ended, and what it said."""

    code: object
    stdout: str
    stderr: str


def ends_of(
    calls: Sequence[tuple[str, Mapping[str, str]]],
    folder: Path,
    environment: Mapping[str, str],
    python: str | Path = sys.executable,
) -> list[End]:
    """Run modules of Python one after another in one process, and return how each ended."""
    if python == sys.executable:
        done = forks.run(["-c", RUN_EACH], folder, environment, json.dumps(calls))
    else:
        done = subprocess.run(
            [python, "-c", RUN_EACH],
            input=json.dumps(calls),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return [End(*end) for end in json.loads(done.stdout)]


@dataclass(frozen=True)
class Project:
    """A rendered project, run with the packages of this test environment."""

    folder: Path
    answers: Mapping[str, Any]
    url: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def package(self) -> str:
        return str(self.answers["package_name"])

    def environment(self, **variables: str) -> dict[str, str]:
        prefix = self.answers.get("env_prefix", "")
        return {
            **os.environ,
            "PYTHONPATH": f"{self.folder / 'src'}",
            f"{prefix}DATABASE_URL": self.url,
            # A plugin for our own tests, which no project has, and which is slow to import.
            "PYTEST_ADDOPTS": "-p no:schemathesis -p no:hypothesispytest",
            **self.variables,
            **{f"{prefix}{name}": value for name, value in variables.items()},
        }

    def try_run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a module of Python in the project's folder."""
        # Tools like pytest and mypy look at how they are started.
        if arguments[0] in {"alembic", "manage", self.package}:
            return self._fork("-m", *arguments, **variables)
        return self._start("-m", *arguments, **variables)

    def try_run_code(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python code with its arguments in the project's folder."""
        return self._fork("-c", *arguments, **variables)

    def _fork(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return forks.run(arguments, self.folder, self.environment(**variables))

    def _start(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a module of Python and expect it to succeed."""
        done = self.try_run(*arguments, **variables)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def try_each(self, *lines: str | tuple[str, Mapping[str, str]]) -> list[End]:
        """Run modules of Python in one process, each with its variables of the environment."""
        prefix = self.answers.get("env_prefix", "")
        calls = [(line, {}) if isinstance(line, str) else line for line in lines]
        named = [
            (line, {f"{prefix}{name}": value for name, value in variables.items()})
            for line, variables in calls
        ]
        return ends_of(named, self.folder, self.environment())

    def run_each(self, *lines: str | tuple[str, Mapping[str, str]]) -> str:
        """Run modules of Python in one process, expect success, and return what they print."""
        ends = self.try_each(*lines)
        for line, end in zip(lines, ends, strict=True):
            assert end.code == 0, f"{line}\n{end.stdout}\n{end.stderr}"
        return "".join(end.stdout for end in ends)

    def run_code(self, *arguments: str, **variables: str) -> str:
        """Run Python code with its arguments and expect it to succeed."""
        done = self.try_run_code(*arguments, **variables)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def run_code_anew(self, *arguments: str, **variables: str) -> str:
        """Run Python code, where nothing is imported yet, and expect it to succeed."""
        done = self._start("-c", *arguments, **variables)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def serve(self, **variables: str) -> Iterator[str]:
        """Serve the project and give its address; it must end by itself when told to."""
        with self.serve_process(**variables) as server:
            yield server.address
            server.process.send_signal(signal.SIGTERM)
            server.end()

    @contextmanager
    def serve_process(self, *options: str, **variables: str) -> Iterator[Served]:
        """Serve the project until the end of the block, or until it is told to end before."""
        port = free_port()
        # Not a pipe, which nobody reads until the end, and which many requests would fill.
        log = self.folder.with_name(f"{self.folder.name}-{port}.log")
        with log.open("w") as output, Path(os.devnull).open() as nothing:
            process = forks.Forked(
                ["-m", self.package, "serve", *options],
                self.folder,
                self.environment(PORT=str(port), **variables),
                [nothing, output, output],
                lasting=True,
            )
        server = Served(f"http://127.0.0.1:{port}", process, log)
        try:
            wait_for(lambda: ask(f"{server.address}/health/live")[0] == 200, process)
            yield server
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Served:
    """A project that serves."""

    address: str
    process: forks.Forked
    log: Path

    def end(self) -> str:
        """Wait for the end that it was told to come to, and return what it has logged."""
        self.process.wait(timeout=LONGEST_END)
        output = self.log.read_text()
        assert self.process.returncode == 0, output
        assert "Traceback" not in output, output
        return output


def run_inside(project: Project, name: str, only: str = "") -> None:
    """Run tests of ours with those of a project; for sync sessions they are rewritten first.

    Those whose name holds `only`, an expression of pytest.
    """
    sessions = project.answers["sessions"]
    text = (INSIDE / f"{name}.py").read_text()
    if sessions == "sync":
        hook = load_hook("generate_sync")
        text, problems = hook.sync_form(text)
        assert not problems
        (text,) = hook.tidy([text])
    target = project.folder / "tests" / "db" / f"test_{name}.py"
    target.write_text(text)
    shutil.copy(INSIDE / f"at_once_{sessions}.py", project.folder / "tests" / "at_once.py")
    plugins = ["no:cacheprovider", "no:randomly", *(["no:asyncio"] if sessions == "sync" else [])]
    options = [option for plugin in plugins for option in ("-p", plugin)]
    if project.answers.get("runtime") == "pydal":
        # Those are SQLAlchemy's session's.
        only = f"({only}) and not savepoint" if only else "not savepoint"

    output = project.run("pytest", *options, "-k", only, str(target))

    assert "skipped" not in output


def load_hook(name: str) -> ModuleType:
    """Return a module of hooks/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def project_at(renderer: Renderer, tmp_path: Path, url: str, answers: Answers) -> Project:
    """Return a copy of a rendered project that the test may change."""
    folder = renderer.own_copy(answers, tmp_path / "project")
    return Project(folder, {"package_name": "my_service", **answers}, url)


def ask(
    url: str, body: object = None, method: str | None = None, seconds: float = 10
) -> tuple[int, Any]:
    """Return the status and the JSON of an answer; 0 if there is none in this time."""
    request = urllib.request.Request(url, method=method or ("GET" if body is None else "POST"))
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=seconds) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")
    except OSError:
        return 0, None


def wait_for(condition: Any, process: subprocess.Popen[str] | forks.Forked) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, getattr(process, "communicate", str)()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a container's first process may never collect its orphans


def free_port() -> int:
    """Return a port that nobody has, and nobody gets who asks the system for any.

    Each worker has some of its own, so that none takes what another is about to.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 20_000 + 1000 * (worker % 12) + SystemRandom().randrange(1000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """Make a database on the server and remove it at the end."""
    name = f"plinth_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def mysql_database(server: str) -> Iterator[str]:
    """Make a database on the server, for other letters than ours, and remove it at the end."""
    name = f"plinth_{uuid4().hex}"
    ask_mysql(server, f"CREATE DATABASE {name} CHARACTER SET latin1")
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        ask_mysql(server, f"DROP DATABASE {name}")


def ask_mysql(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one statement outside of any project; return its rows."""
    with mysql_connection(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def mysql_connection(url: str) -> Any:
    """Connect to a database of MySQL as its URL says, outside of any project."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/") or None,
        autocommit=True,
    )
