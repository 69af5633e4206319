"""Runs several commands of a project in one process, as a person would type them in turn."""

from __future__ import annotations

import subprocess
import sys

from projects import Project

# One process for many commands, because most of a command's time is to import SQLAlchemy.
RUN_COMMANDS = """
import runpy, sys
for line in sys.argv[1:]:
    sys.argv = line.split()
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
"""


def try_run_all(
    project: Project, *lines: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run modules of Python with their arguments, up to the first that fails."""
    return subprocess.run(
        [sys.executable, "-c", RUN_COMMANDS, *lines],
        cwd=project.folder,
        env=project.environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_all(project: Project, *lines: str, **variables: str) -> str:
    """Run modules of Python, expect each to succeed, and return what they print."""
    done = try_run_all(project, *lines, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
