"""The versions of this template: those released, and a next one that changes what it may change."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from rendering import ROOT, Answers, Renderer, commit, git, locked, name_of, quickly

POINTS = ROOT / "tests" / "points.yml"
# The working tree, and what may come after it.
NOW = "99.0.0"
NEXT = "100.0.0"
ANSWERS = ".copier-answers.yml"
# Versions before the first release warn of a missing file when they are rendered to compare.
FIRST = "_commit: 0.0."
SHALLOW = "This clone lacks the history from which updates are tested: git fetch --unshallow --tags"


@dataclass(frozen=True)
class Start:
    """A version from which users come, and the answers that they gave to it."""

    version: str
    answers: Mapping[str, Any]
    commit: str = ""

    @property
    def name(self) -> str:
        return f"{self.version}-{self.chosen}"

    @property
    def chosen(self) -> str:
        return name_of(self.answers)


# Asked of every version that is released or will be.
EVERYWHERE: list[dict[str, Any]] = [
    {
        "database": "postgresql",
        "sessions": "async",
        "web": "fastapi",
        "examples": ["accounts", "items", "tasks"],
        "author": "Ann O'Brien & Sons",
    },
    {
        "database": "sqlite",
        "sessions": "sync",
        "web": "none",
        "examples": ["items", "tasks"],
        "env_prefix": "SHOP_",
    },
    {
        "database": "mysql",
        "sessions": "sync",
        "runtime": "pydal",
        "web": "flask",
        "examples": ["accounts", "items"],
        "extras": ["docker", "github"],
    },
    {
        "database": "mysql",
        "other_databases": ["postgresql"],
        "sessions": "async",
        "web": "fastapi",
        "examples": ["items", "tasks"],
        "extras": ["metrics"],
    },
]


def releases() -> list[str]:
    return [tag for tag in git(ROOT, "tag").split() if re.fullmatch(r"\d+\.\d+\.\d+", tag)]


def points() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(POINTS.read_text())
    return loaded


def starts() -> list[Start]:
    """Return every version that users may come from; the points only while there is no release."""
    if tags := releases():
        return [Start(tag, answers) for tag in tags for answers in EVERYWHERE]
    return [
        Start(f"0.0.{number}", answers, point["commit"])
        for number, point in enumerate(points(), 1)
        for answers in point["answers"]
    ]


def history(renderer: Renderer) -> Path:
    """Return a repository with every version, the working tree, and the next version as tags."""
    folder = renderer.shared / "history"
    with locked(renderer.shared / "history.lock"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            if is_shallow():
                git(renderer.shared, "init", "--quiet", str(part))
            else:
                git(renderer.shared, "clone", "--quiet", "--no-checkout", str(ROOT), str(part))
            for start in {start.version: start for start in starts() if start.commit}.values():
                if is_there(part, start.commit):
                    git(part, "tag", "--force", start.version, start.commit)
            git(part, "fetch", "--quiet", str(renderer.template), "tag", NOW)
            git(part, "checkout", "--quiet", NOW)
            release_next(part)
            part.rename(folder)
    return folder


def is_there(repository: Path, revision: str) -> bool:
    try:
        git(repository, "cat-file", "-e", f"{revision}^{{commit}}")
    except Exception:
        return False
    return True


def is_shallow() -> bool:
    return git(ROOT, "rev-parse", "--is-shallow-repository").strip() == "true"


def require(repository: Path, version: str) -> None:
    """Skip the test where the history was not fetched; where all must run, that is a failure."""
    if not is_there(repository, version):
        skip_for_want_of_history()


def skip_for_want_of_history() -> None:
    (pytest.fail if "CI" in os.environ else pytest.skip)(SHALLOW)


def render(template: Path, version: str, folder: Path, answers: Answers) -> Path:
    """Render a version with answers, none of them asked, nothing trusted."""
    with warnings.catch_warnings(), quickly():
        warnings.simplefilter("ignore")
        copier.run_copy(
            str(template),
            folder,
            vcs_ref=version,
            data={"package_name": "shop", **answers},
            defaults=True,
            quiet=True,
            unsafe=False,
        )
    return folder


def update(folder: Path, version: str | None = None, **answers: Any) -> None:
    with warnings.catch_warnings(), quickly():
        # Nothing may be said that a user could take for a fault of the project.
        warnings.simplefilter("ignore" if FIRST in (folder / ANSWERS).read_text() else "error")
        copier.run_update(
            folder,
            vcs_ref=version,
            data=answers,
            defaults=True,
            overwrite=True,
            quiet=True,
            unsafe=False,
        )


def release_next(template: Path) -> None:
    """Release a version that changes, adds and removes whatever a version may."""
    for name, changes in CHANGES.items():
        path = template / name
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{name}: {old}"
            text = text.replace(old, new)
        path.write_text(text)
    for name, text in ADDED.items():
        (template / name).write_text(text)
    for name in REMOVED:
        (template / name).unlink()
    # A question under a new name keeps what was answered under the old one.
    for path in [template / "copier.yml", *(template / "template").rglob("*.jinja")]:
        text = re.sub(r"\bauthor\b", "writer", path.read_text())
        path.write_text(text.replace("default: The Authors", RENAMED))
    commit(template, "improve everything")
    git(template, "tag", NEXT)


RENAMED = "default: \"{{ author | default('The Authors') }}\""
SOURCE = "template/src/{{ package_name }}"
CHANGES: dict[str, list[tuple[str, str]]] = {
    # Near what users change themselves.
    "template/Makefile.jinja": [
        ("\n.PHONY: format\n", "\n.PHONY: audit\naudit: setup\n\t@true\n\n.PHONY: format\n"),
        ("UV := ", "# How packages are installed.\nUV := "),
    ],
    "template/.env.example.jinja": [
        (
            "# Show every statement in the log.\n",
            "# A setting of the next version.\n# {{ env_prefix }}NEXT=1\n\n"
            "# Show every statement in the log.\n",
        )
    ],
    "template/.gitignore": [("*.egg-info/\n", "*.egg-info/\n.next/\n")],
    "template/ruff.toml.jinja": [('    "I",\n', '    "I",\n    "LOG",\n')],
    "template/pytest.ini.jinja": [("testpaths = tests\n", "testpaths = tests\nlog_level = INFO\n")],
    f"{SOURCE}/db/types.py": [("\n\nfrom __future__", "\n\n# Next.\nfrom __future__")],
    # What is the user's already must not come.
    "template/README.md.jinja": [("## Updating\n", "## Updating to the next version\n")],
    f"{SOURCE}/settings.py.jinja": [("process, from", "next process, from")],
    f"{SOURCE}/features/{{% if use_items %}}items{{% endif %}}/repository.py": [
        ("The items.", "The items of the next version.")
    ],
    "template/migrations/versions/"
    "{% if has_examples %}20260101_0000_create_initial_tables.py{% endif %}.jinja": [
        ("Create the initial tables.", "Create the tables of the next version.")
    ],
    # Requirements are added, removed and raised; a question and a computed answer are added.
    "copier.yml": [
        ("    pydantic>=2.12\n", "    packaging>=24\n    pydantic>=2.12.1\n"),
        ("    uuid-utils>=0.17\n", ""),
        ("    ruff>=0.17\n", "    ruff>=0.17.1\n"),
        ("    pytest-xdist>=3.8\n", ""),
        (
            "# --- Computed, never asked",
            "support:\n  type: str\n  help: Whom do users ask?\n  default: nobody\n\n"
            "# --- Computed, never asked",
        ),
        (
            "distribution_name:\n",
            "has_support:\n  type: bool\n  default: \"{{ support != '' }}\"\n  when: false\n"
            "distribution_name:\n",
        ),
    ],
}
ADDED = {
    f"{SOURCE}/db/{{% if has_support %}}support.py{{% endif %}}.jinja": (
        '"""Whom users ask."""\n\nSUPPORT = "{{ support }}"\n'
    ),
}
REMOVED = ["template/tests/db/test_upgrades.py.jinja"]
