"""Tidies a new migration, and formats it where ruff is installed.

Alembic calls it after `alembic revision`.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

# What Alembic writes above and below the operations.
CHATTER = re.compile(r"^ *# ### .*\n", re.MULTILINE)


def main(path: str) -> None:
    """Take out the comments that say nothing, sort the imports and format the file."""
    file = Path(path)
    file.write_text(CHATTER.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")
    if find_spec("ruff") is not None:
        for arguments in (["check", "--quiet", "--select=I", "--fix"], ["format", "--quiet"]):
            subprocess.run([sys.executable, "-m", "ruff", *arguments, path], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
