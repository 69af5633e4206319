"""The daily loop: render, update, migrate, start a command; import time and memory at rest."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
from over_http import KINDS, start
from processes import run
from projects import Project, postgres_database
from rendering import Renderer, commit, git

EMPTY = {"copier.yml": "name:\n  type: str\n  default: shop\n", "README.md.jinja": "# {{ name }}\n"}
ANSWERS_FILE = "{{ _copier_conf.answers_file }}.jinja"


def measure(
    renderer: Renderer, project: Project, server: str, folder: Path, rounds: int
) -> dict[str, Any]:
    """Return seconds, megabytes and ratios, each the median of some rounds."""
    empty = empty_template(folder / "empty")
    numbers = iter(range(1000))

    def render(template: Path) -> Callable[[], None]:
        def copy() -> None:
            target = folder / f"rendered-{next(numbers)}"
            copier.run_copy(str(template), target, defaults=True, quiet=True)

        return copy

    ours, theirs = paired(render(renderer.template), render(empty), rounds)
    found: dict[str, Any] = {
        "render": statistics.median(ours),
        "render, of an empty template": ratio(ours, theirs),
        "update": statistics.median(timed(update(renderer, folder), 1)),
    }

    def python(*arguments: str, **variables: str) -> Callable[[], object]:
        command = [sys.executable, *arguments]
        environment = project.environment(**variables)
        return lambda: run(command, folder=project.folder, environment=environment)

    bare = python("-c", "import sqlalchemy.orm, alembic.command, typer")
    for name, action in {
        "migrate, up to date": python("-m", "shop", "migrate"),
        "start a command": python("-m", "shop", "--help"),
        "import the application": python("-c", "import shop.web.app"),
    }.items():
        mine, its = paired(action, bare, rounds)
        found[name] = statistics.median(mine)
        found[f"{name}, of importing the libraries"] = ratio(mine, its)
    on_empty, up_to_date = [], []
    for _ in range(rounds):
        with postgres_database(server) as url:
            migrate = python("-m", "shop", "migrate", DATABASE_URL=url)
            on_empty += timed(migrate, 1)
            up_to_date += timed(migrate, 1)
    found["migrate, an empty database"] = statistics.median(on_empty)
    found["migrate, an empty database, of one up to date"] = ratio(on_empty, up_to_date)
    for who in ("ours", "raw"):
        with start(project, KINDS[0], who) as served:
            found[f"memory at rest, {who}"] = served.memory
    return found


def paired(
    mine: Callable[[], object], its: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Return the seconds of both, run in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        both = [(mine, taken[0]), (its, taken[1])]
        for action, seconds in both[:: 1 - number % 2 * 2]:
            seconds += timed(action, 1)
    return taken


def timed(action: Callable[[], object], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begun)
    return seconds


def ratio(mine: list[float], its: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(mine, its, strict=True))


def empty_template(folder: Path) -> Path:
    """Make a template of one file."""
    folder.mkdir()
    for name, text in EMPTY.items():
        (folder / name).write_text(text)
    (folder / ANSWERS_FILE).write_text("{{ _copier_answers|to_nice_yaml }}\n")
    git(folder, "init", "--quiet")
    commit(folder, "empty")
    git(folder, "tag", "1.0.0")
    return folder


def update(renderer: Renderer, folder: Path) -> Callable[[], None]:
    """Return what updates a project that is at the version of the template already."""
    target = folder / "updated"
    renderer.copy({"package_name": "shop"}, target)
    git(target, "init", "--quiet")
    commit(target, "first")
    os.environ.setdefault("GIT_CONFIG_GLOBAL", os.devnull)
    return lambda: _update(target)


def _update(target: Path) -> None:
    copier.run_update(target, defaults=True, overwrite=True, quiet=True)
