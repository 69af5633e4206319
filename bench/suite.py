"""The template's own suite: seconds for a combination of answers, and what one more option costs.

A combination is rendered, checked and run by what the tests use: `test_render.py` checks it with
ruff and mypy, `test_service.py` runs its own tests.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
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
CHECKS = [["ruff", "check", "--no-cache"], ["ruff", "format", "--no-cache", "--diff"], ["mypy"]]


def measure(
    renderer: Renderer, server: str, folder: Path, cache: Path, rounds: int, *, tests: bool
) -> dict[str, float]:
    """Return seconds, ratios and numbers; without the tests, what takes longest is left out."""
    os.environ["TEST_POSTGRES_URL"] = server
    numbers = itertools.count()
    kinds = {"plain": ANSWERS, "with an extra": ANSWERS | {"extras": ["metrics"]}}

    def seconds(answers: dict[str, Any], *, tests: bool) -> dict[str, float]:
        steps = [time.perf_counter()]
        with quickly():
            project = renderer.copy(answers, folder / f"combination-{next(numbers)}")
        steps.append(time.perf_counter())
        environment = Project(project, answers, "").environment(MYPY_CACHE_DIR=str(cache))
        for module, *arguments in CHECKS:
            command = [sys.executable, "-m", module, *arguments]
            place = [] if module == "mypy" else ["."]
            run([*command, *place], folder=project, environment=environment)
        steps.append(time.perf_counter())
        if tests:
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
            run(command, folder=project, environment=environment)
        steps.append(time.perf_counter())
        taken = [after - before for before, after in itertools.pairwise(steps)]
        return dict(zip(("render", "check", "run"), taken, strict=True))

    # The caches of the tests are warm, too.
    for answers in kinds.values():
        seconds(answers, tests=False)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    for number in range(rounds):
        for name in list(kinds)[:: 1 - number % 2 * 2]:
            taken[name].append(seconds(kinds[name], tests=tests))
    steps = ("render", "check", "run") if tests else ("render", "check")
    plain, more = taken.values()
    found = {
        f"a combination, {step}": statistics.median(one[step] for one in plain) for step in steps
    }
    found["a combination with an extra, of one without"] = statistics.median(
        sum(two.values()) / sum(one.values()) for one, two in zip(plain, more, strict=True)
    )
    return found | sizes()


def sizes() -> dict[str, float]:
    """Return how many combinations are checked, now and with one more option of two choices."""
    found = {
        "combinations in make test": len(covering(STRENGTH)),
        "combinations in make lanes": len(combinations()),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rendering.AXES, "further", ["no", "yes"])
        return found | {
            "combinations in make test, one more option": len(covering(STRENGTH)),
            "combinations in make lanes, one more option": len(combinations()),
        }
