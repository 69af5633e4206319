"""Render the default answers into .rendered/, to be browsed; CI keeps the result of each push.

python tools/rendered.py [folder]
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import copier
from copier.errors import DirtyLocalWarning

ROOT = Path(__file__).resolve().parents[1]


def main(folder: Path) -> int:
    if folder.exists() and not (folder / ".copier-answers.yml").exists() and any(folder.iterdir()):
        print(f"{folder} holds something else: nothing was written.", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    with warnings.catch_warnings(action="ignore", category=DirtyLocalWarning):
        copier.run_copy(str(ROOT), folder, vcs_ref="HEAD", defaults=True, quiet=True)
    # Where a rendered project came from says nothing of the machine that rendered it.
    answers = folder / ".copier-answers.yml"
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join(line for line in lines if not line.startswith("_src_path:")))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / ".rendered"))
