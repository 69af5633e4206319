"""Copier's commands work from every kind of address, need no trust, and can be interrupted."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from edits import read
from history import (
    NEXT,
    NOW,
    history,
    is_shallow,
    is_there,
    points,
    releases,
    render,
    skip_for_want_of_history,
    update,
)
from rendering import LATER, ROOT, Renderer, commit, git

ADDRESSES = ["git+file://{template}", "{template}", "file://{template}/.git"]
FORBIDDEN = {"_tasks", "_migrations", "_jinja_extensions"}
RECOVERY = (ROOT / "docs" / "updating.md").read_text().split("## Going back")[1]


@pytest.fixture(scope="session")
def template(renderer: Renderer) -> Path:
    return history(renderer)


def copier(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "copier", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@LATER
@pytest.mark.parametrize("address", ADDRESSES)
def test_copiers_commands_work_in_a_part_of_a_larger_repository(
    template: Path, tmp_path: Path, address: str
) -> None:
    whole = tmp_path / "whole"
    project = whole / "services" / "shop"
    source = address.format(template=template)
    copier(tmp_path, "copy", "--defaults", f"--vcs-ref={NOW}", source, str(project))
    git(whole, "init", "--quiet")
    commit(whole, "start")

    said = copier(project, "check-update", code=0)
    copier(project, "update", "--defaults", f"--vcs-ref={NOW}", "--data=python=3.13")
    changed = git(whole, "status", "--porcelain", "--untracked-files=all")
    commit(whole, "another Python")
    copier(project, "update", "--defaults")
    updated = read(project)
    copier(project, "recopy", "--defaults", "--overwrite")

    assert NEXT in said
    assert "services/shop/ruff.toml" in changed
    assert "?" not in changed
    assert f"_commit: {NEXT}" in updated[".copier-answers.yml"]
    assert (project / "src/my_service/db/support.py").exists()
    assert git(whole, "ls-files", "--unmerged") == ""
    assert f"_commit: {NEXT}" in (project / ".copier-answers.yml").read_text()
    assert not list(whole.rglob("*.rej"))


def test_no_version_has_ever_needed_trust(template: Path) -> None:
    revisions = [*releases(), *git(ROOT, "log", "--format=%H", "--", "copier.yml").split()]
    known = [point["commit"] for point in points() if is_there(ROOT, point["commit"])]

    for revision in {*revisions, *known}:
        questions = yaml.safe_load(git(ROOT, "show", f"{revision}:copier.yml"))
        assert not FORBIDDEN & questions.keys(), revision
    assert not FORBIDDEN & yaml.safe_load((ROOT / "copier.yml").read_text()).keys()
    assert not FORBIDDEN & yaml.safe_load((template / "copier.yml").read_text()).keys()


def test_the_readmes_command_renders_the_newest_release(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    copier (copy .*)$", (ROOT / "README.md").read_text(), re.M)
    if is_shallow():
        skip_for_want_of_history()
    clone = tmp_path / "plinth"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    newest = max(releases(), key=lambda tag: [*map(int, tag.split("."))], default=None)
    if newest is None:
        newest = "0.1.0"
        git(clone, "tag", newest)
    # What is not released yet would not even render.
    (clone / "copier.yml").write_text("nonsense: [")
    commit(clone, "later")
    words = re.sub(r"<.*?>", str(clone), command).split()

    copier(tmp_path, *words, "--defaults")

    answers = yaml.safe_load((tmp_path / "my-service" / ".copier-answers.yml").read_text())
    assert answers["_commit"] == newest


def start_and_kill(folder: Path, changed: Path, wait: float, *arguments: str) -> None:
    """Kill Copier with all that it has started, some time after it begins to write."""
    before = state_of(changed)
    process = subprocess.Popen(
        [sys.executable, "-m", "copier", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and state_of(changed) == before:
        time.sleep(0.002)
    time.sleep(wait)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def state_of(path: Path) -> bytes | bool:
    return path.read_bytes() if path.is_file() else path.exists()


@LATER
def test_an_interrupted_update_can_be_undone(template: Path, tmp_path: Path) -> None:
    """Each time by the commands that docs/updating.md names, and no others."""
    project = render(template, NOW, tmp_path / "shop", {})
    (project / ".env").write_text("DATABASE_URL=sqlite:///./ours.db\n")
    git(project, "init", "--quiet")
    commit(project, "start")
    before = read(project)
    commands = re.findall(r"^    (.*)$", RECOVERY, re.MULTILINE)
    assert len(commands) == 3
    touched = 0

    # From before it writes anything until after its last step.
    for wait in (0.0, random.uniform(0, 0.4), random.uniform(0.4, 1.5)):
        arguments = ["update", "--defaults", "--quiet", "--data=database=sqlite"]
        start_and_kill(project, project / "constraints.txt", wait, *arguments)
        # What git leaves behind when it is killed itself.
        (project / ".git" / "index.lock").touch()
        touched += read(project) != before
        for command in commands:
            subprocess.run(command, shell=True, cwd=project, check=True, capture_output=True)

        assert read(project) == before
        assert git(project, "status", "--porcelain") == ""
        assert (project / ".env").exists()
    assert touched
    update(project, NEXT, python="3.14")
    assert (project / "src/shop/db/support.py").exists()
    assert git(project, "ls-files", "--unmerged") == ""


def test_an_interrupted_copy_can_be_made_again(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    arguments = ["copy", "--defaults", "--quiet", f"--vcs-ref={NOW}", str(template), str(project)]
    start_and_kill(tmp_path, project, random.uniform(0, 0.3), *arguments)

    subprocess.run(["rm", "-rf", str(project)], check=True)
    copier(tmp_path, *arguments)

    git(project, "init", "--quiet")
    expected = render(template, NOW, tmp_path / "expected", {"package_name": "my_service"})
    git(expected, "init", "--quiet")
    assert read(project) == read(expected)
