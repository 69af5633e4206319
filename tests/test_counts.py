"""What is fast stays fast: counts of what takes time, which are the same on every machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from copier._main import Worker
from projects import LONGEST_END, Project, ask, free_port, postgres_database, wait_for
from rendering import EVERYTHING, Renderer

COUNTS = "".join((Path(__file__).parent / name).read_text() for name in ("proxy.py", "counts.py"))

# A read needs no transaction; a write begins one, stores, commits, and reads nothing back.
ROUND_TRIPS = {"get one": 1, "list": 1, "page": 1, "insert": 3, "change": 4, "submit": 4}
READ = ["BEGIN", "SELECT", "ROLLBACK"]
STATEMENTS = {
    "get one": READ,
    "list": READ,
    "page": READ,
    "insert": ["BEGIN", "INSERT", "COMMIT"],
    "change": ["BEGIN", "SELECT", "UPDATE", "COMMIT"],
    "submit": ["BEGIN", "INSERT", "INSERT", "COMMIT"],
}


@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_a_request_asks_the_database_no_more_than_it_must(
    renderer: Renderer, tmp_path: Path, postgres_url: str, sessions: str
) -> None:
    answers = EVERYTHING | {"sessions": sessions}
    file = f"sqlite:///{tmp_path}/counted.db"
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(answers), answers, url)
        on_server, on_file = json.loads(project.run_code(COUNTS, sessions, url, file))
    # Of 10,000 rows 1,000 are one INSERT, and 5,000 and 4,000 one to SQLAlchemy, which a server
    # gets as a COPY, after it was asked about policies and columns; all in one transaction.
    assert on_server == ROUND_TRIPS | {"INSERTs": 3, "insert_many": 9}
    # BEGIN, a cursor, the statement, its rows, the cursor's end, ROLLBACK, and ROLLBACK once more
    # when the pool takes the connection back, where a read that was cancelled is noticed.
    ways = {"ways of a read": 7} if sessions == "async" else {}
    assert on_file == STATEMENTS | ways | {"INSERTs": 3, "insert_many": 1}


# What is imported before anything is done, and how many modules at most. What only serves is no
# burden to the commands, and the other way round.
AT_START_UP = {
    "shop.__main__": (840, ["asyncpg", "fastapi", "jinja2", "psycopg", "pytest", "starlette"]),
    "shop.web.app": (865, ["jinja2", "psycopg", "pytest", "rich", "typer", "uvicorn"]),
}


@pytest.mark.parametrize("module", AT_START_UP)
def test_a_process_imports_no_more_than_it_must(renderer: Renderer, module: str) -> None:
    most, without = AT_START_UP[module]
    answers = EVERYTHING | {"sessions": "async"}
    project = Project(renderer.render(answers), answers, "sqlite:///:none:")
    output = project.run_code_anew(f"import json, sys, {module}; print(json.dumps([*sys.modules]))")
    imported = json.loads(output)
    assert not set(without) & set(imported)
    assert len(imported) <= most


# How many objects a process leaves out of garbage collection, and how many it looks through.
TELL_OBJECTS = """
import atexit, gc, sys
tell = lambda: print("objects:", gc.get_freeze_count(), len(gc.get_objects()), file=sys.stderr)
atexit.register(tell)
"""


@pytest.mark.parametrize("web", ["fastapi", "flask"])
def test_what_serves_looks_through_little_for_garbage(
    renderer: Renderer, tmp_path: Path, web: str
) -> None:
    answers = EVERYTHING | {"sessions": "sync", "web": web}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/a.db")
    project.run("shop", "migrate")
    (tmp_path / "sitecustomize.py").write_text(TELL_OBJECTS)
    environment = project.environment(PORT=str(port := free_port()))
    environment["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-m", "shop", "serve"],
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for path in ("/items", "/tasks", "/health/ready"):
            wait_for(lambda path=path: ask(f"http://127.0.0.1:{port}{path}")[0] == 200, process)
        process.terminate()
        output, _ = process.communicate(timeout=LONGEST_END)
    finally:
        process.kill()

    # Where a parent starts workers, it tells as well, and last.
    left_out, looked_through = re.findall(r"^objects: (\d+) (\d+)$", output, re.MULTILINE)[0]
    assert int(left_out) > 50_000
    assert int(looked_through) < 10_000


def test_few_files_are_rendered_and_the_rest_copied(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Path] = []
    usual = Worker._render_file

    def note(worker: Worker, source: Path, *args: Any, **kwargs: Any) -> None:
        rendered.append(source)
        usual(worker, source, *args, **kwargs)

    monkeypatch.setattr(Worker, "_render_file", note)
    renderer.copy({"package_name": "shop"}, tmp_path / "project")
    assert len(rendered) > 90
    assert sum(source.suffix == ".jinja" for source in rendered) <= 58
