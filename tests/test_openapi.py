"""A rendered service keeps to its own OpenAPI document, whatever it is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from projects import Project, postgres_database
from rendering import LATER, Renderer

# Few requests, always the same: what the schema has at its edges for one combination, chance and
# chains for its opposite. A depth does it all for each, with more requests, new ones each time.
DEPTH = int(os.environ.get("PLINTH_DEPTH", "1"))
EVERYTHING = "coverage,fuzzing,stateful"
COMBINATIONS: list[Any] = [
    pytest.param(
        *("sync", "fastapi", "sqlite", "fuzzing,stateful" if DEPTH == 1 else EVERYTHING),
        marks=LATER,
    ),
    pytest.param(
        *("async", "fastapi", "postgresql", "coverage" if DEPTH == 1 else EVERYTHING), marks=LATER
    ),
    pytest.param("sync", "flask", "sqlite", EVERYTHING, marks=LATER),
]
if DEPTH > 1:
    COMBINATIONS += [("async", "fastapi", "sqlite", EVERYTHING)]
    COMBINATIONS += [("sync", web, "postgresql", EVERYTHING) for web in ("fastapi", "flask")]

# An e-mail address and a cursor obey rules that no schema can say, and 1.0 is no integer here.
NOT_PROMISED = "positive_data_acceptance"


@pytest.mark.parametrize(("sessions", "web", "database", "phases"), COMBINATIONS)
def test_every_answer_is_a_documented_one(
    renderer: Renderer,
    tmp_path: Path,
    sessions: str,
    web: str,
    database: str,
    phases: str,
    postgres_url: str,
) -> None:
    answers = {
        "package_name": "shop",
        "sessions": sessions,
        "web": web,
        "examples": ["items", "accounts", "tasks"],
    }
    with postgres_database(postgres_url) as made:
        url = made if database == "postgresql" else f"sqlite:///{tmp_path}/a.db"
        project = Project(renderer.render(answers), answers, url)
        project.run("shop", "migrate")
        with project.serve() as address:
            done = schemathesis(f"{address}/openapi.json", phases, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 selected / 24 total" in done.stdout


def schemathesis(url: str, phases: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Send requests that fit the document and requests that do not, one by one and in chains."""
    options = [
        "--no-color",
        f"--phases={phases}",
        "--checks=all",
        f"--exclude-checks={NOT_PROMISED}",
        f"--max-examples={4 if DEPTH == 1 else 10 * DEPTH}",
        "--warnings=off",
        "--suppress-health-check=all",
    ]
    if DEPTH == 1:
        options += ["--seed=1", "--generation-database=none"]
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", url, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600 * DEPTH,
        check=False,
    )
