"""A command that finds its libraries loaded is a process like any other."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import forks
import pytest

TELL = """
import os, sys
print(os.getcwd(), sys.argv[1:], os.environ.get("SHOWN"), __name__, sys.stdin.read())
print(sorted(name for name in sys.modules if name.startswith(("forks", "mine", "pytest"))))
import mine
print("wrong", file=sys.stderr)
sys.exit(mine.CODE)
"""


def write(folder: Path, **modules: str) -> Path:
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def test_each_call_is_like_a_new_python(tmp_path: Path) -> None:
    for code in (3, 0):
        folder = write(tmp_path / str(code), tell=TELL, mine=f"CODE = {code}")
        own = {**os.environ, "SHOWN": str(code)}

        forked = forks.run(["-m", "tell", "a b"], folder, own, "given")

        started = subprocess.run(
            [sys.executable, "-m", "tell", "a b"],
            cwd=folder,
            env=own,
            input="given",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (forked.returncode, forked.stdout, forked.stderr) == (
            started.returncode,
            started.stdout,
            started.stderr,
        )


def test_code_runs_with_its_own_environment_and_its_traceback_is_shown(tmp_path: Path) -> None:
    code = "import os, sys, mine; print(sys.argv, mine.A, [*os.environ])"
    folder = write(tmp_path / "here", other="")
    there = write(tmp_path / "there", mine="A = 1")

    done = forks.run(["-c", code, "x"], folder, {"PYTHONPATH": str(there)})

    assert (done.returncode, done.stdout) == (0, "['-c', 'x'] 1 ['PYTHONPATH']\n")
    failed = forks.run(["-c", code], folder, {})
    assert failed.returncode == 1
    assert failed.stderr.endswith("ModuleNotFoundError: No module named 'mine'\n")


def test_a_killed_call_is_told_and_one_that_hangs_is_ended(tmp_path: Path) -> None:
    folder = write(tmp_path / "here")
    killed = forks.run(["-c", "import os; os.kill(os.getpid(), 9)"], folder, {})
    assert killed.returncode == -9

    with pytest.raises(subprocess.TimeoutExpired):
        forks.run(["-c", "import time; time.sleep(60)"], folder, {}, seconds=0.5)
