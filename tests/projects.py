"""Runs rendered projects: their own tools, their servers, on databases made for the purpose."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg


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
            **self.variables,
            **{f"{prefix}{name}": value for name, value in variables.items()},
        }

    def try_run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a module of Python in the project's folder."""
        return self._run_python("-m", *arguments, **variables)

    def try_run_code(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python code with its arguments in the project's folder."""
        return self._run_python("-c", *arguments, **variables)

    def _run_python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
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

    def run_code(self, *arguments: str, **variables: str) -> str:
        """Run Python code with its arguments and expect it to succeed."""
        done = self.try_run_code(*arguments, **variables)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def serve(self, **variables: str) -> Iterator[str]:
        """Serve the project and give its address; it must end by itself when told to."""
        with self.serve_process(**variables) as (address, process):
            yield address
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert "Traceback" not in output, output

    @contextmanager
    def serve_process(self, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """Serve the project and give its address and the process, which the block ends."""
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", self.package, "serve"],
            cwd=self.folder,
            env=self.environment(PORT=str(port), **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: ask(f"{address}/health/live")[0] == 200, process)
            yield address, process
        finally:
            process.kill()
            process.communicate()


def ask(url: str, body: object = None, method: str | None = None) -> tuple[int, Any]:
    """Return the status and the JSON of an answer; 0 if there is none."""
    request = urllib.request.Request(url, method=method or ("GET" if body is None else "POST"))
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=10) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")
    except OSError:
        return 0, None


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
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
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """Make a database on the server and remove it at the end."""
    name = f"plinth_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
