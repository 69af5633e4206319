"""Rendered projects work on the newest versions of all they need, and on the lowest they allow.

The two lanes pin nothing: what breaks here breaks for users next, or has broken for some already.
`make lanes` runs them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from projects import Project
from rendering import LATER, ROOT, Answers, Renderer, locked

KEPT = ROOT / ".cache" / "lanes"
KINDS = [
    {"sessions": "async", "web": "fastapi"},
    {"sessions": "sync", "web": "fastapi"},
    {"sessions": "sync", "web": "flask"},
]
BASE: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "examples": ["items", "accounts", "tasks"],
}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What uv answers when it cannot ask the index; 1 would mean that no versions fit.
UNREACHABLE = 2
NO_CACHE = ["-p", "no:cacheprovider"]


@dataclass(frozen=True)
class Lane:
    """Which versions are installed, on the first of these Pythons that is there."""

    pythons: Sequence[str]
    options: Sequence[str]
    # The newest versions of today are not those of yesterday.
    daily: bool


LANES = {
    "newest": Lane(PYTHONS[::-1], ["--upgrade"], daily=True),
    "lowest": Lane(PYTHONS, ["--resolution=lowest-direct"], daily=False),
}


@LATER
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_its_tests_pass_in_any_order_and_in_parallel_twice_on_one_server(
    renderer: Renderer, tmp_path: Path, kind: Answers, postgres_url: str
) -> None:
    """Both lanes at once, which is also the same suite twice on the same server."""
    lanes = {lane: interpreter(lane, renderer) for lane in LANES}

    with ThreadPoolExecutor() as threads:
        runs = [
            threads.submit(
                run_tests,
                python,
                project_at(renderer, tmp_path / lane, kind),
                "--numprocesses=2",
                f"--randomly-seed={seed}",
            )
            for seed, (lane, python) in enumerate(lanes.items(), 1)
        ]

    for run in runs:
        assert "skipped" not in run.result()


@LATER
def test_the_newest_type_checker_finds_nothing(renderer: Renderer) -> None:
    project = renderer.render({**BASE, **KINDS[0]})
    cache = {"MYPY_CACHE_DIR": str(ROOT / ".cache" / "mypy-newest")}

    done = subprocess.run(
        [interpreter("newest", renderer), "-m", "mypy"],
        cwd=project,
        env=os.environ | cache,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def project_at(renderer: Renderer, tmp_path: Path, kind: Answers) -> Project:
    answers = {**BASE, **kind}
    folder = renderer.own_copy(answers, tmp_path / "project")
    return Project(folder, answers, "")


def run_tests(python: Path, project: Project, *arguments: str) -> str:
    """Run the project's tests, where a warning is an error, and expect them to pass."""
    plugins = ["-p", "no:asyncio"] if project.answers["sessions"] == "sync" else []
    done = subprocess.run(
        [python, "-m", "pytest", *NO_CACHE, *plugins, *arguments],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, f"{python}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def interpreter(name: str, renderer: Renderer) -> Path:
    """Return the Python of a lane's environment, which is made once and kept."""
    lane = LANES[name]
    python = find_python(lane.pythons)
    requirements = requirements_of(renderer)
    wanted = hashlib.sha256(repr((python, requirements)).encode()).hexdigest()[:12]
    day = [os.environ["PLINTH_DAY"]] if lane.daily else []
    folder = KEPT / "-".join([name, wanted, *day])
    KEPT.mkdir(parents=True, exist_ok=True)
    with locked(KEPT / f"{name}.lock"):
        if not (folder / "made").exists():
            for old in KEPT.glob(f"{name}-*"):
                shutil.rmtree(old)
            uv("venv", "--python", python, str(folder))
            python_inside = str(folder / "bin" / "python")
            uv("pip", "install", "--python", python_inside, *lane.options, *requirements)
            (folder / "made").touch()
    return folder / "bin" / "python"


def requirements_of(renderer: Renderer) -> list[str]:
    """Return what projects of all kinds require, for all at once."""
    required: set[str] = set()
    for kind in KINDS:
        project = renderer.render({**BASE, **kind})
        pyproject = tomllib.loads((project / "pyproject.toml").read_text())
        required |= {*pyproject["project"]["dependencies"], *pyproject["dependency-groups"]["dev"]}
    return sorted(required)


def find_python(versions: Sequence[str]) -> str:
    """Return the path of the first of these Pythons that is installed."""
    for version in versions:
        found = try_uv("python", "find", "--no-python-downloads", version)
        if found.returncode == 0:
            return found.stdout.strip()
    raise AssertionError(f"none of {', '.join(versions)} is installed")


def uv(*arguments: str) -> None:
    done = try_uv(*arguments)
    if done.returncode == UNREACHABLE and "Failed to fetch" in done.stderr:
        reason = f"the package index cannot be reached: {done.stderr}"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    assert done.returncode == 0, f"{arguments}\n{done.stderr}"


def try_uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ['PATH']}{os.pathsep}{ROOT / '.uv' / 'bin'}"
    # Another Python's environment, if this runs in one, is none of the lane's.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PATH": path}
    return subprocess.run(
        ["uv", "--quiet", *arguments],
        cwd=KEPT.anchor,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
