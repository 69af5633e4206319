"""The tests of a rendered project notice faults, and `make faults` tells when they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rendering import LATER, ROOT

# One of each kind that is quick, all in one project.
SAMPLE = [
    "foreign keys are off",
    "a datetime without a zone is stored",
    "the commit is forgotten",
    "pages without the id as the last key",
    "a repository that the unit of work lacks",
    "a misspelt setting is ignored",
]
FAULT = """
[[fault]]
name = "made up"
pitfall = "S5"
project = "sqlite-sync-none-bare"
tests = ["tests/test_features.py"]
[[fault.edits]]
file = "src/shop/db/repository.py"
old = {old!r}
new = "BATCH = 2000"
"""


def plant(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "faults.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("sample", [SAMPLE[::2], pytest.param(SAMPLE[1::2], marks=LATER)])
def test_a_sample_of_the_faults_is_caught(sample: list[str]) -> None:
    done = plant(*(f"--only={name}" for name in sample))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\ncaught ") == len(sample)
    assert done.stdout.endswith(f"planted {len(sample)}, caught {len(sample)}\n")


@LATER
def test_each_fault_has_its_place() -> None:
    done = plant("--places")

    assert done.returncode == 0, done.stderr


def test_there_are_faults_of_every_kind_and_each_is_listed() -> None:
    done = plant("--list")

    listed = done.stdout.splitlines()
    assert len(listed) >= 100
    for word in ("postgresql-async", "postgresql-sync", "sqlite-async", "sqlite-sync"):
        assert any(word in line for line in listed)


@LATER
def test_a_change_that_no_test_notices_is_not_caught(tmp_path: Path) -> None:
    (tmp_path / "harmless.toml").write_text(FAULT.format(old="BATCH = 1000"))

    done = plant(f"--planted={tmp_path}")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nNOT CAUGHT  S5   made up" in done.stdout
    assert done.stdout.endswith("planted 1, caught 0\n")


def test_a_fault_without_its_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lost.toml").write_text(FAULT.format(old="nowhere"))

    done = plant(f"--planted={tmp_path}")

    assert done.returncode == 2
    assert "error: made up: found 0 times in src/shop/db/repository.py: 'nowhere'" in done.stderr
    assert "planted" not in done.stdout


def test_a_fault_that_nobody_knows_is_an_error() -> None:
    done = plant("--only=nothing of the kind")

    assert done.returncode == 2
    assert done.stderr == "error: no such fault: nothing of the kind\n"
