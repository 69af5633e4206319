"""The template's own suite: what a combination of answers costs, and what one more option does.

A combination is rendered, checked and run as the tests do it: `test_render.py` checks each with
ruff and mypy, `test_service.py` runs the own tests of some. An extra is spread over combinations
that are there anyway; an option of its own is combined with all others. Seconds are those of CPU.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import rendering
from processes import run
from projects import Project
from rendering import Renderer, combinations, covering, quickly

# In `make test`; the same number as in test_render.py.
STRENGTH = 3
ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "sessions": "async",
    "web": "fastapi",
    "examples": ["items"],
}
OTHERS = ANSWERS | {"database": "sqlite", "sessions": "sync", "examples": ["accounts", "tasks"]}
CHECKS = [["ruff", "check", "--no-cache"], ["ruff", "format", "--no-cache", "--diff"], ["mypy"]]


def measure(
    renderer: Renderer, server: str, folder: Path, cache: Path, *, tests: bool
) -> dict[str, float]:
    """Return seconds, ratios and numbers; without the tests, what takes longest is left out."""
    numbers = itertools.count()

    def render(answers: dict[str, Any]) -> Path:
        with quickly():
            return renderer.copy(answers, folder / f"combination-{next(numbers)}")

    def seconds(answers: dict[str, Any], *, tests: bool) -> dict[str, float]:
        steps = [computed()]
        project = render(answers)
        steps.append(computed())
        variables = {"MYPY_CACHE_DIR": str(cache), "TEST_POSTGRES_URL": server}
        environment = Project(project, answers, "").environment(**variables)
        for module, *arguments in CHECKS:
            command = [sys.executable, "-m", module, *arguments]
            place = [] if module == "mypy" else ["."]
            run([*command, *place], folder=project, environment=environment)
        steps.append(computed())
        if tests:
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
            run(command, folder=project, environment=environment)
        steps.append(computed())
        taken = [after - before for before, after in itertools.pairwise(steps)]
        return dict(zip(("render", "check", "run"), taken, strict=True))

    kinds = {"plain": ANSWERS, "with an extra": ANSWERS | {"extras": ["metrics"]}}
    # Each text of the template is compiled once for all renders of a process.
    for answers in kinds.values():
        render(answers)
    taken = {}
    for name, answers in kinds.items():
        # As in the tests, the cache of mypy is that of a combination that has little in common.
        seconds(OTHERS, tests=False)
        taken[name] = seconds(answers, tests=tests)
    plain, more = taken.values()
    steps = ("render", "check", "run") if tests else ("render", "check")
    found = {f"a combination, {step}": plain[step] for step in steps}
    ratio = sum(more.values()) / sum(plain.values())
    found["a combination with an extra, of one without"] = ratio
    found |= sizes()
    further = found["combinations in make lanes, one more option"]
    further -= found["combinations in make lanes"]
    checked = found["a combination, render"] + found["a combination, check"]
    return found | {"one more option, minutes of one core in make lanes": further * checked / 60}


def computed() -> float:
    """Return the seconds that this process and those that it has waited for have computed."""
    return sum(os.times()[:4])


def sizes() -> dict[str, float]:
    """Return how many combinations are checked, now and with one more option of two choices."""
    found: dict[str, float] = {
        "combinations in make test": len(covering(STRENGTH)),
        "combinations in make lanes": len(combinations()),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rendering.AXES, "further", ["no", "yes"])
        return found | {
            "combinations in make test, one more option": len(covering(STRENGTH)),
            "combinations in make lanes, one more option": len(combinations()),
        }
