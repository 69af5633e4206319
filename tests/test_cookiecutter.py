"""Cookiecutter gives the project that Copier gives, and `copier update` keeps it up to date."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from rendering import LATER, Renderer, commit, git, named_answers

ODD = {"author": "O'Hara \"& Co\", Größe 😀 ' + 1", "description": '100% yes: no # \'x\' """ end'}


def cookiecutter(
    template: Path | str, out: Path, *arguments: str, stdin: str | None = None, **answers: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a home without settings."""
    home = out.parent / "home"
    for folder in (home, out):
        folder.mkdir(exist_ok=True)
    extra = [f"{name}={value}" for name, value in answers.items()]
    asking = [] if stdin is not None else ["--no-input"]
    command = ["-m", "cookiecutter", str(template), *asking, *arguments, *extra]
    return subprocess.run(
        [sys.executable, *command],
        cwd=out,
        # The shell says where it is; without it, Python's own folder would stand there.
        env=os.environ | {"HOME": str(home), "PWD": str(out)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def as_text(answers: dict[str, Any]) -> dict[str, str]:
    return {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in answers.items()
    }


def contents(project: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file's mode and bytes, and every folder."""
    return {
        str(path.relative_to(project)): (
            path.stat().st_mode,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in project.rglob("*")
    }


@pytest.mark.parametrize(
    ("way", "answers"),
    [
        pytest.param("path", {}, marks=LATER),
        ("relative", named_answers("resinkit") | ODD),
        pytest.param("file", named_answers("reviewpoint"), marks=LATER),
    ],
)
def test_the_project_is_copiers_to_the_byte(
    renderer: Renderer, tmp_path: Path, way: str, answers: dict[str, Any]
) -> None:
    address = {
        "path": str(renderer.template),
        "relative": os.path.relpath(renderer.template, tmp_path / "out"),
        "file": f"git+file://{renderer.template}",
    }[way]

    done = cookiecutter(address, tmp_path / "out", **as_text(answers))

    assert done.returncode == 0, done.stderr
    (project,) = (tmp_path / "out").iterdir()
    expected = tmp_path / "copied"
    source = address if way == "file" else str(renderer.template)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copier.run_copy(source, expected, data=answers, defaults=True, quiet=True)
    assert contents(project) == contents(expected)


def test_who_answers_nothing_gets_the_defaults(renderer: Renderer, tmp_path: Path) -> None:
    done = cookiecutter(renderer.template, tmp_path / "out", stdin="\n" * 40)

    assert done.returncode == 0, done.stderr
    answers = yaml.safe_load((tmp_path / "out/my-service/.copier-answers.yml").read_text())
    expected = yaml.safe_load((renderer.render({}) / ".copier-answers.yml").read_text())
    assert answers == expected


@LATER
def test_an_update_takes_it_further(renderer: Renderer, tmp_path: Path) -> None:
    template = tmp_path / "plinth"
    git(tmp_path, "clone", "--quiet", str(renderer.template), str(template))
    done = cookiecutter(f"git+file://{template}", tmp_path / "out", package_name="shop")
    assert done.returncode == 0, done.stderr
    project = tmp_path / "out" / "shop"
    git(project, "init", "--quiet")
    commit(project, "start")
    changed = template / "template/src/{{ package_name }}/db/types.py"
    changed.write_text(changed.read_text() + "\n\nNEW_IN_THIS_VERSION = True\n")
    commit(template, "improve")
    git(template, "tag", "99.1.0")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copier.run_update(project, defaults=True, overwrite=True, quiet=True)

    assert "NEW_IN_THIS_VERSION" in (project / "src/shop/db/types.py").read_text()
    assert git(project, "ls-files", "--unmerged") == ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("package_name", "../../evil"),
        pytest.param("package_name", "class", marks=LATER),
        # No package name comes of it, and no name of a folder.
        ("project_name", "2048"),
        ("project_name", '"""); import pathlib; pathlib.Path("evil").touch(); ("""'),
        pytest.param("author", "{{ cookiecutter.__class__ }}\n", marks=LATER),
        pytest.param("examples", "items, evil", marks=LATER),
        ("runtime", "pydal"),
    ],
)
def test_a_bad_answer_is_one_line_and_leaves_nothing(
    renderer: Renderer, tmp_path: Path, question: str, answer: str
) -> None:
    out = tmp_path / "deep" / "er" / "out"
    out.parent.mkdir(parents=True)

    done = cookiecutter(renderer.template, out, **{question: answer})

    assert done.returncode == 1
    refused = "package_name" if answer == "2048" else question
    assert len([line for line in done.stderr.splitlines() if refused in line]) == 1
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []
    assert {path.name for path in tmp_path.rglob("*evil*")} == set()


def test_without_hooks_it_says_that_nothing_was_done(renderer: Renderer, tmp_path: Path) -> None:
    done = cookiecutter(renderer.template, tmp_path / "out", "--accept-hooks=no")

    assert done.returncode == 0, done.stderr
    (only,) = (tmp_path / "out" / "my-service").iterdir()
    assert "copier copy" in only.read_text()
