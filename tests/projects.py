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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import psycopg
from rendering import ROOT, Answers, Renderer

INSIDE = ROOT / "tests" / "inside"


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
        return subprocess.run(
            [sys.executable, "-m", *arguments],
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

    @contextmanager
    def serve(self, **variables: str) -> Iterator[str]:
        """Serve the project and give its address; it must end by itself when told to."""
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
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
        assert "Traceback" not in output, output


def run_inside(project: Project, name: str) -> None:
    """Run tests of ours with those of a project; for sync sessions they are rewritten first."""
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

    output = project.run("pytest", *options, str(target))

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
    folder = shutil.copytree(renderer.render(answers), tmp_path / "project")
    return Project(folder, {"package_name": "my_service", **answers}, url)


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
