"""From an empty folder to green, and the tests of every day, beside FastAPI-template.

Each side is rendered into an empty folder, installed from warm caches, migrated on an empty
PostgreSQL, and runs the tests that came with it: ours on SQLite and PostgreSQL. Then the tests run
again, all and one alone, as they do from day to day.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
from processes import run
from projects import postgres_database

SECONDS = 600
STEPS = ("render", "install", "tidy", "migrate", "test")


class Side(ABC):
    """A project that comes to be in a folder."""

    def __init__(self, folder: Path, server: str, url: str) -> None:
        self.folder = folder
        self.server = server
        self.url = url

    @abstractmethod
    def render(self) -> None: ...

    @abstractmethod
    def install(self) -> None: ...

    @abstractmethod
    def tidy(self) -> None:
        """Do what its command does on its own before a user can go on."""

    @abstractmethod
    def migrate(self) -> None: ...

    @abstractmethod
    def test(self) -> str:
        """Run all tests and return what pytest has printed."""

    @abstractmethod
    def test_one(self) -> str: ...


class Ours(Side):
    """Our template with its default answers."""

    template: Path

    @property
    def project(self) -> Path:
        return self.folder / "shop"

    def render(self) -> None:
        copier = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet"]
        command = [*copier, "--data=package_name=shop", str(self.template), str(self.project)]
        run(command, folder=self.folder, environment=peers.clean())

    def install(self) -> None:
        self._run("make", "setup")

    def tidy(self) -> None:
        """Do nothing: it is rendered tidy."""

    def migrate(self) -> None:
        self._run("make", "migrate")

    def test(self) -> str:
        return self._run("make", "test")

    def test_one(self) -> str:
        name = "postgresql and a_created_item_can_be_read"
        return self._run(peers.inside(self.project, "pytest"), "tests/features/items", "-k", name)

    def _run(self, *command: str) -> str:
        variables = {"DATABASE_URL": self.url, "TEST_POSTGRES_URL": self.server}
        environment = peers.clean() | variables
        return run(command, folder=self.project, environment=environment, seconds=SECONDS)


class Theirs(Side):
    """FastAPI-template's."""

    generator: Path

    @property
    def project(self) -> Path:
        return self.folder / "theirs"

    def render(self) -> None:
        peers.render(self.generator, self.folder)

    def install(self) -> None:
        peers.install(self.project, "--group=dev")

    def tidy(self) -> None:
        peers.tidy(self.project)

    def migrate(self) -> None:
        peers.migrate(self.project, self.url)

    def test(self) -> str:
        return self._test()

    def test_one(self) -> str:
        return self._test("tests/test_dummy.py", "-k", "test_creation")

    def _test(self, *arguments: str) -> str:
        environment = peers.clean() | peers.database(self.server)
        command = [peers.inside(self.project, "pytest"), *arguments]
        return run(command, folder=self.project, environment=environment, seconds=SECONDS)


def measure(
    template: Path, server: str, peer: peers.Peer | None, folder: Path, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Return the seconds of each step and the number of tests, by side and round."""
    Ours.template = template
    kinds: dict[str, type[Side]] = {"ours": Ours}
    if peer:
        Theirs.generator = peer.generator
        kinds[peers.NAME] = Theirs
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for number in range(rounds):
        for name in list(kinds)[:: 1 - number % 2 * 2]:
            place = folder / f"{name}-{number}"
            place.mkdir()
            with postgres_database(server) as url:
                taken[name].append(live(kinds[name](place, server, url)))
    return taken


def live(side: Side) -> dict[str, float]:
    """Return the seconds of each step of a project, and how many tests it has."""
    seconds = {step: timed(getattr(side, step))[0] for step in STEPS}
    again, output = timed(side.test)
    alone, _ = timed(side.test_one)
    return seconds | {"again": again, "alone": alone, "tests": passed(output)}


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def passed(output: str) -> int:
    """Return how many tests have passed, from the last line of pytest."""
    found = re.findall(r"(\d+) passed", output)
    return int(found[-1])


def figures(taken: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Return what may have a target, and what else is worth a line."""
    found: dict[str, float] = {}
    measures: dict[str, Callable[[dict[str, float]], float]] = {
        "empty folder to green": lambda one: sum(one[step] for step in STEPS),
        "make test, warm": lambda one: one["again"],
        "make test, warm, a test": lambda one: one["again"] / one["tests"],
        "one test alone": lambda one: one["alone"],
        "own tests": lambda one: one["tests"],
    }
    for name, measure in measures.items():
        by_side = {side: [measure(one) for one in rounds] for side, rounds in taken.items()}
        for side, values in by_side.items():
            found[name if side == "ours" else f"{name}, {side}"] = statistics.median(values)
            if side != "ours":
                pairs = zip(by_side["ours"], values, strict=True)
                found[f"{name}, of {side}"] = statistics.median(one / two for one, two in pairs)
    return found
