"""Renders projects for the tests, once for each set of answers, from the working tree as it is."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from types import CodeType
from typing import Any

import copier
import pytest
import yaml
from copier._main import Worker
from jinja2 import Environment

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "tests" / "answers"
Answers = Mapping[str, Any]

# The answers that change what is rendered, and what can be chosen for each.
AXES: dict[str, Sequence[Any]] = {
    "database": ["postgresql", "mysql", "sqlite"],
    "sessions": ["async", "sync"],
    "web": ["fastapi", "none"],
    "examples": [
        list(chosen)
        for size in range(4)
        for chosen in itertools.combinations(["items", "accounts", "tasks"], size)
    ],
}
# Answers that change a few lines only: spread over the combinations.
SPREAD: dict[str, Sequence[str]] = {
    "python": ["3.11", "3.12", "3.13", "3.14"],
    "license": ["MIT", "Apache-2.0", "BSD-3-Clause", "proprietary"],
    "env_prefix": ["", "SHOP_"],
    # The longest name that is allowed, and a short one: no line may wrap otherwise.
    "package_name": ["p_is_for_a_package_of_thirty_x", "shop"],
}

# Dear, and alike to what `make test` runs: `make lanes` runs these too, and CI both.
LATER = pytest.mark.lanes
# The sync twin of a data layer is generated from the async one, and runs on other drivers.
SESSIONS = pytest.mark.parametrize("sessions", ["async", pytest.param("sync", marks=LATER)])


def combinations() -> list[dict[str, Any]]:
    """Return every valid combination of answers, the spread answers varied along."""
    found = []
    for number, values in enumerate(itertools.product(*AXES.values())):
        answers = dict(zip(AXES, values, strict=True))
        for step, (name, choices) in enumerate(SPREAD.items()):
            answers[name] = choices[(number + number // 8 + step) % len(choices)]
        # Some reach both servers, whichever of them is the first.
        others = {"postgresql": ["mysql"], "mysql": ["postgresql"], "sqlite": ["mysql"]}
        answers["other_databases"] = others[answers["database"]] if number % 7 == 0 else []
        found.append(answers)
    return found


# A project with all examples, which takes a URL of either database.
EVERYTHING: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}

# Run by their own Makefiles, each in an environment of its own: one of each kind of data layer.
INSTALLED: list[dict[str, Any]] = [
    {"database": database, "sessions": sessions, "web": "fastapi", "examples": examples}
    for database, sessions, examples in [
        ("postgresql", "async", ["items"]),
        ("postgresql", "sync", ["accounts", "tasks"]),
        ("sqlite", "async", ["accounts", "items"]),
        ("sqlite", "sync", ["tasks"]),
        ("mysql", "sync", ["accounts", "tasks"]),
    ]
]


def pairwise() -> list[dict[str, Any]]:
    """Return few combinations that, with those of INSTALLED, hold every pair of answers."""
    everything = combinations()
    missing = set().union(*map(_pairs, everything)) - set().union(*map(_pairs, INSTALLED))
    chosen = []
    while missing:
        best = max(everything, key=lambda answers: len(missing & _pairs(answers)))
        chosen.append(best)
        missing -= _pairs(best)
    return chosen


def _pairs(answers: Answers) -> set[tuple[str, str]]:
    named = [f"{name}={answers[name]}" for name in ("database", "sessions", "web")]
    named += [f"{name}={name in answers['examples']}" for name in ("items", "accounts", "tasks")]
    return set(itertools.combinations(named, 2))


def name_of(answers: Answers) -> str:
    """Return a short name of a combination, for the ids of tests."""
    examples = "+".join(answers["examples"]) or "bare"
    return f"{answers['database']}-{answers['sessions']}-{answers['web']}-{examples}"


def named_answers(name: str) -> dict[str, Any]:
    """Return the answers kept in tests/answers/."""
    loaded: dict[str, Any] = yaml.safe_load((ANSWERS / f"{name}.yml").read_text())
    return loaded


def snapshot(folder: Path) -> Path:
    """Return a git repository with the working tree's files, tagged as a version."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    commit(folder, "snapshot")
    git(folder, "tag", "99.0.0")
    return folder


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


class Renderer:
    """Renders from a snapshot, into folders that all workers of a test run share."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared
        self.template = shared / "template"

    def render(self, answers: Answers) -> Path:
        """Return a project that tests must not change."""
        key = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:12]
        target = self.shared / f"rendered-{key}"
        with locked(self.shared / f"{key}.lock"):
            if not target.exists():
                with quickly():
                    self.copy(answers, target.with_suffix(".part"))
                target.with_suffix(".part").rename(target)
        return target

    def copy(self, answers: Answers, target: Path) -> Path:
        """Render into a folder that belongs to the test; never with unsafe features."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            copier.run_copy(
                str(self.template),
                target,
                data=dict(answers),
                defaults=True,
                quiet=True,
                unsafe=False,
            )
        return target


@contextmanager
def quickly() -> Iterator[None]:
    """Compile each text of the template once for all renders; look for no git index to mend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", _compile_once)
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda *_: None)
        yield


_compile = Environment.compile
_compiled: dict[tuple[Any, ...], CodeType] = {}


def _compile_once(environment: Environment, source: Any, *args: Any, **kwargs: Any) -> CodeType:
    key = (type(environment), source, args, *sorted(kwargs.items()))
    if key not in _compiled:
        _compiled[key] = _compile(environment, source, *args, **kwargs)
    return _compiled[key]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        flock(file, LOCK_EX)
        yield
