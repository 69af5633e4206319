"""Peers, made and installed where only the bench finds them; nothing of them is kept in git.

Of the templates that ours is compared with, FastAPI-template is the one that a package index has.
For Litestar, `ceilings/litestar_async.py` is a service of ours.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import psycopg
from processes import BENCH, BenchError, Server, run, serving

NAME = "FastAPI-template"
RELEASE = "fastapi-template==6.1.2"
LITESTAR = ["litestar==2.25.0", "advanced-alchemy==1.12.0"]
# Its PostgreSQL service with one table, and routes that list and insert.
OPTIONS = [
    "--quiet",
    "--name=theirs",
    *("--api-type=rest", "--db=postgresql", "--orm=sqlalchemy", "--ci=none"),
    *("--migrations", "--dummy", "--routers"),
]
BODY = '{"name": "Lamp"}'
REQUESTS = {
    "list 50": ["GET /api/dummy/?limit=50 HTTP/1.1\r\nhost: bench\r\n\r\n"],
    "insert one": [
        "PUT /api/dummy/ HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(BODY)}\r\n\r\n{BODY}"
    ],
}
# What its command does with a new project before it ends, each twice.
TIDY = ["ruff format", "ruff check theirs tests --fix", "mypy theirs tests"]


class Peer(NamedTuple):
    """What makes its projects, and one of them, with an environment in .venv."""

    generator: Path
    project: Path


def prepare(output: Path) -> Peer:
    """Return the peer, which is made once and kept; raises BenchError."""
    folder = output / "fastapi-template"
    peer = Peer(folder / "generator" / "bin" / "python", folder / "theirs")
    constraints = BENCH.parent / "constraints.txt"
    wanted = "\n".join([RELEASE, *OPTIONS, sys.version, constraints.read_text()])
    made = folder / "made"
    if not made.is_file() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        uv(folder, "venv", "--no-project", "generator")
        uv(folder, "pip", "install", f"--python={peer.generator}", RELEASE)
        render(peer.generator, folder)
        # The same libraries as ours has.
        install(peer.project, f"--constraints={constraints}")
        made.write_text(wanted)
    return peer


def prepare_litestar(output: Path) -> Path:
    """Return where Litestar's packages are, installed once and kept; raises BenchError."""
    folder, made = output / "litestar", output / "litestar" / "made"
    constraints = BENCH.parent / "constraints.txt"
    wanted = "\n".join([*LITESTAR, sys.version, constraints.read_text()])
    if not made.is_file() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        options = [f"--target={folder}", f"--constraints={constraints}"]
        uv(output, "pip", "install", f"--python={sys.executable}", *options, *LITESTAR)
        made.write_text(wanted)
    return folder


def render(generator: Path, folder: Path) -> Path:
    """Render its service into a folder, and return where."""
    # Its command goes on to install, which we do next: it stops where uv fails.
    stopping = folder / "stopping"
    stopping.mkdir()
    (stopping / "uv").write_text("#!/bin/sh\nexit 1\n")
    (stopping / "uv").chmod(0o755)
    environment = clean() | {"PATH": f"{stopping}{os.pathsep}{os.environ['PATH']}"}
    run([generator, "-m", "fastapi_template", *OPTIONS], folder=folder, environment=environment)
    return folder / "theirs"


def install(project: Path, *options: str) -> None:
    """Install what its service needs, on our Python: it asks for 3.12, and runs on 3.11."""
    python = project / ".venv" / "bin" / "python"
    uv(project, "venv", "--no-project", ".venv")
    uv(project, "pip", "install", f"--python={python}", "--requirements=pyproject.toml", *options)


def tidy(project: Path) -> None:
    """Do what its command does when the environment is there; it ends well whatever they find."""
    for command in TIDY * 2:
        name, *arguments = command.split()
        with suppress(BenchError):
            run([inside(project, name), *arguments], folder=project, environment=clean())


def migrate(project: Path, url: str) -> None:
    command = [inside(project, "alembic"), "upgrade", "head"]
    run(command, folder=project, environment=clean() | database(url))


def fill(url: str, rows: int) -> None:
    """Let its table have so many rows more."""
    with psycopg.connect(url) as connection:
        names = "SELECT 'Lamp ' || n FROM generate_series(1, %s) AS n"
        connection.execute(f"INSERT INTO dummy_model (name) {names}".encode(), [rows])


@contextmanager
def start(peer: Peer, port: int, url: str) -> Iterator[Server]:
    """Serve its application by the same server as ours; the pool is its own."""
    command = [inside(peer.project, "python"), "-m", "uvicorn", "--factory"]
    command += ["theirs.web.application:get_app", f"--port={port}", "--no-access-log"]
    environment = clean() | database(url)
    with serving(NAME, command, port, peer.project, environment, "/api/health") as server:
        yield server


def database(url: str) -> dict[str, str]:
    """Return the settings that let it use a database."""
    parts = urlsplit(url)
    return {
        "THEIRS_DB_HOST": str(parts.hostname),
        "THEIRS_DB_PORT": str(parts.port or 5432),
        "THEIRS_DB_USER": unquote(parts.username or ""),
        "THEIRS_DB_PASS": unquote(parts.password or ""),
        "THEIRS_DB_BASE": parts.path.lstrip("/"),
    }


def inside(project: Path, name: str) -> str:
    """Return a command of the project's own environment."""
    return str(project / ".venv" / "bin" / name)


def clean() -> dict[str, str]:
    """Return our environment without what would reach into another project."""
    foreign = ("VIRTUAL_ENV", "PYTHON", "PYTEST", "MAKE", "MFLAGS", "DATABASE_", "UV_PROJECT")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def uv(folder: Path, command: str, *arguments: str) -> None:
    """Run a command of uv; raises BenchError."""
    program = shutil.which("uv")
    if program is None:
        raise BenchError("uv is not there")
    # The Python that ours run on.
    python = [f"--python={sys.executable}"] if command == "venv" else []
    run(
        [program, command, *arguments, "--quiet", *python],
        folder=folder,
        environment=clean(),
        seconds=120,
    )
