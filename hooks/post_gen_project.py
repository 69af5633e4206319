"""The second front door: cookiecutter asks, Copier renders, so that `copier update` works later.

Cookiecutter runs this in the new folder, and removes that folder if this fails.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# Encoded by cookiecutter: an answer is never source code here.
ASKED: dict[str, Any] = json.loads(r"""{{ cookiecutter | jsonify }}""")
PLACEHOLDER = "COOKIECUTTER_HOOKS_DISABLED.md"
# What copier.yml takes several of; cookiecutter knows only text.
SEVERAL = ("examples", "extras", "other_databases")


def main() -> None:
    try:
        import copier
    except ImportError:
        fail("Copier is missing beside cookiecutter: uvx --with copier cookiecutter ...")
    repository = next(filter(is_template, places()), None)
    if repository is None:
        fail("The template was not found; give cookiecutter its full path or its address.")
    # What cookiecutter has checked out, not the newest version.
    revision = git(repository, "rev-parse", "HEAD")
    if revision is None:
        fail("This is no git repository, so that no update could come: clone it, or give its URL.")
    try:
        copier.run_copy(
            str(repository),
            ".",
            data=answers(),
            vcs_ref=revision,
            defaults=True,
            overwrite=True,
            quiet=True,
        )
    except (ValueError, copier.errors.CopierError) as error:
        fail(" ".join(str(error).split()))
    Path(PLACEHOLDER).unlink()
    record_address(repository)


def answers() -> dict[str, Any]:
    given = {name: value for name, value in ASKED.items() if not name.startswith("_")}
    for name in SEVERAL:
        given[name] = re.findall(r"[^\s,]+", given[name])
    return given


def places() -> Iterator[Path]:
    """Yield where the template may be: cookiecutter does not say to what its path is relative."""
    for base in (ASKED["_output_dir"], os.environ.get("PWD", ""), f"/proc/{os.getppid()}/cwd"):
        yield Path(base, ASKED["_repo_dir"]).resolve()
    yield Path(f"/proc/{os.getppid()}/cwd").resolve()


def is_template(folder: Path) -> bool:
    return (folder / "copier.yml").is_file() and (folder / "cookiecutter.json").is_file()


def record_address(repository: Path) -> None:
    """Let updates come from where the user said, not from cookiecutter's own clone of it."""
    source = ASKED["_template"]
    if source == ASKED["_repo_dir"]:
        return
    if not re.match(r"[\w+]{2,}:|[\w.-]+@", source):
        # The name of something that cookiecutter cloned before.
        source = git(repository, "remote", "get-url", "origin") or str(repository)
    file = Path(".copier-answers.yml")
    lines = re.sub(r"(?m)^_src_path: .*$", lambda _: f"_src_path: {source}", file.read_text())
    file.write_text(lines)


def git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
