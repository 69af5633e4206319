"""Renders projects for the tests, once for each set of answers, from the working tree as it is."""

from __future__ import annotations

import copy
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
from tempfile import TemporaryDirectory
from types import CodeType
from typing import Any

import copier
import pytest
import yaml
from copier._main import Worker
from copier._template import load_template_config
from copier._vcs import clone
from jinja2 import Environment

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "tests" / "answers"
Answers = Mapping[str, Any]

# The answers that change what is rendered, and what can be chosen for each.
AXES: dict[str, Sequence[Any]] = {
    "database": ["postgresql", "mysql", "sqlite"],
    "sessions": ["async", "sync"],
    "runtime": ["sqlalchemy", "pydal"],
    "web": ["fastapi", "flask", "none"],
    "examples": [
        list(chosen)
        for size in range(4)
        for chosen in itertools.combinations(["items", "accounts", "tasks"], size)
    ],
}
# Answers that change a few lines only: spread over the combinations.
SPREAD: dict[str, Sequence[Any]] = {
    "python": ["3.11", "3.12", "3.13", "3.14"],
    "license": ["MIT", "Apache-2.0", "BSD-3-Clause", "proprietary"],
    "env_prefix": ["", "SHOP_"],
    "extras": [
        [],
        ["docker", "github", "gitlab", "devcontainer"],
        ["metrics"],
        ["admin", "metrics"],
        ["replicas"],
        ["admin", "replicas"],
        ["metrics", "replicas"],
    ],
    # The longest name that is allowed, and a short one: no line may wrap otherwise.
    "package_name": ["p_is_for_a_package_of_thirty_x", "shop"],
}

# Dear, and alike to what `make test` runs: `make lanes` runs these too, and CI both.
LATER = pytest.mark.lanes
# The sync twin of a data layer is generated from the async one, and runs on other drivers.
SESSIONS = pytest.mark.parametrize("sessions", ["async", pytest.param("sync", marks=LATER)])
# PyDAL's data layer is code of its own, on the same drivers as the sync one.
LAYERS = pytest.mark.parametrize(
    "layer", ["async", *(pytest.param(layer, marks=LATER) for layer in ("sync", "pydal"))]
)


def answers_of(layer: str) -> dict[str, str]:
    """Return the answers that give a project this data layer."""
    return {"sessions": "sync", "runtime": "pydal"} if layer == "pydal" else {"sessions": layer}


def combinations() -> list[dict[str, Any]]:
    """Return every valid combination of answers, the spread answers varied along."""
    found = []
    chosen = (dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values()))
    for number, answers in enumerate(filter(is_possible, chosen)):
        for step, (name, choices) in enumerate(SPREAD.items()):
            answers[name] = choices[(number + number // 8 + step) % len(choices)]
        # Some reach both servers, whichever of them is the first.
        others = {"postgresql": ["mysql"], "mysql": ["postgresql"], "sqlite": ["mysql"]}
        answers["other_databases"] = others[answers["database"]] if number % 7 == 0 else []
        answers["extras"] = [extra for extra in answers["extras"] if can_have(answers, extra)]
        found.append(answers)
    return found


def can_have(answers: Answers, extra: str) -> bool:
    """Tell whether the questions take an extra with these answers."""
    if extra == "admin":
        return bool(answers["web"] == "fastapi" and answers["runtime"] == "sqlalchemy")
    if extra == "replicas":
        databases = [answers["database"], *answers["other_databases"]]
        return bool("postgresql" in databases and answers["runtime"] == "sqlalchemy")
    return bool(extra != "metrics" or answers["web"] != "none")


def is_possible(answers: Answers) -> bool:
    """Tell whether the questions take these answers together."""
    needs_sync = answers["runtime"] == "pydal" or answers["web"] == "flask"
    return not needs_sync or answers["sessions"] == "sync"


# A project with all examples, which takes a URL of either database.
EVERYTHING: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}

# Run by their own Makefiles, each in an environment of its own: one of each kind.
INSTALLED: list[dict[str, Any]] = [
    {
        "database": database,
        "sessions": sessions,
        "runtime": runtime,
        "web": web,
        "examples": examples,
    }
    for database, sessions, runtime, web, examples in [
        ("postgresql", "async", "sqlalchemy", "fastapi", ["items"]),
        ("postgresql", "sync", "sqlalchemy", "fastapi", ["accounts", "tasks"]),
        ("sqlite", "async", "sqlalchemy", "fastapi", ["accounts", "items"]),
        ("sqlite", "sync", "sqlalchemy", "fastapi", ["tasks"]),
        ("mysql", "sync", "pydal", "fastapi", ["accounts", "tasks"]),
        ("postgresql", "sync", "sqlalchemy", "flask", ["items"]),
    ]
]


def covering(strength: int, given: Sequence[Answers] = ()) -> list[dict[str, Any]]:
    """Return few combinations that, with those given, hold all choices of so many answers."""
    everything = combinations()
    groups = [_groups(answers, strength) for answers in everything]
    missing = set().union(*groups).difference(*(_groups(one, strength) for one in given))
    chosen = []
    while missing:
        best = max(range(len(groups)), key=lambda number: len(missing & groups[number]))
        chosen.append(everything[best])
        missing -= groups[best]
    return chosen


def _groups(answers: Answers, strength: int) -> set[tuple[str, ...]]:
    named = [f"{name}={answers[name]}" for name in AXES if name != "examples"]
    named += [f"{name}={name in answers['examples']}" for name in ("items", "accounts", "tasks")]
    return set(itertools.combinations(named, strength))


def name_of(answers: Answers) -> str:
    """Return a short name of a combination, for the ids of tests."""
    examples = "+".join(answers["examples"]) or "bare"
    runtime = answers.get("runtime", "sqlalchemy")
    layer = answers["sessions"] if runtime == "sqlalchemy" else runtime
    return f"{answers['database']}-{layer}-{answers['web']}-{examples}"


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
                self.copy(answers, target.with_suffix(".part"))
                target.with_suffix(".part").rename(target)
        return target

    def own_copy(self, answers: Answers, target: Path) -> Path:
        """Return a copy of a rendered project, which belongs to the test."""
        # Another worker may run the first one, and compile it meanwhile.
        compiled = shutil.ignore_patterns("__pycache__")
        return Path(shutil.copytree(self.render(answers), target, ignore=compiled))

    def copy(self, answers: Answers, target: Path) -> Path:
        """Render into a folder that belongs to the test."""
        with quickly():
            return self.copy_as_users_do(answers, target)

    def copy_as_users_do(self, answers: Answers, target: Path) -> Path:
        """Render by Copier alone; never with unsafe features."""
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
    """Let Copier do once what is the same for all renders; look for no git index to mend.

    It clones each commit once, reads the questions once, compiles each text of the template once,
    and for each project renders each part of a path once.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("copier._template.clone", _clone_once)
        patch.setattr("copier._template.load_template_config", _read_once)
        patch.setattr(Environment, "compile", _compile_once)
        patch.setattr(Worker, "answers_relpath", Path(".copier-answers.yml"))
        patch.setattr(Worker, "_render_template", _render_names_once)
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda *_: None)
        yield


_compile = Environment.compile
_compiled: dict[tuple[Any, ...], CodeType] = {}
_cloned: dict[tuple[str, str], TemporaryDirectory[str]] = {}
_read: dict[bytes, dict[str, Any]] = {}
_render_template = Worker._render_template


def _compile_once(environment: Environment, source: Any, *args: Any, **kwargs: Any) -> CodeType:
    key = (type(environment), source, args, *sorted(kwargs.items()))
    if key not in _compiled:
        _compiled[key] = _compile(environment, source, *args, **kwargs)
    return _compiled[key]


def _clone_once(url: str, ref: str, location: str) -> str:
    """Return a folder with this version, which nobody changes; Copier removes the other, empty."""
    if ref == "HEAD" or not Path(url).is_dir():
        return clone(url, ref, location)
    key = url, git(Path(url), "rev-parse", f"{ref}^{{commit}}")
    if key not in _cloned:
        folder = TemporaryDirectory(prefix="plinth-clone-")
        clone(url, ref, folder.name)
        _cloned[key] = folder
    return _cloned[key].name


def _read_once(path: Path, quiet: bool = False) -> dict[str, Any]:
    text = path.read_bytes()
    if text not in _read:
        _read[text] = load_template_config(path, quiet)
    return copy.deepcopy(_read[text])


def _render_names_once(worker: Worker) -> None:
    """Render the template, when all is answered: a text without variables of its own stays."""
    render = worker._render_string
    rendered: dict[str, str] = {}

    def render_once(text: str, extra_context: Mapping[str, Any] | None = None) -> str:
        if extra_context:
            return render(text, dict(extra_context))
        if text not in rendered:
            rendered[text] = render(text)
        return rendered[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_render_string", render_once, raising=False)
        _render_template(worker)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        flock(file, LOCK_EX)
        yield
