"""Formats a new migration where ruff is installed, and leaves it alone elsewhere.

Alembic calls it after `alembic revision`.
"""

import subprocess
import sys
from importlib.util import find_spec


def main(path: str) -> None:
    """Sort the imports and format the file."""
    if find_spec("ruff") is not None:
        for arguments in (["check", "--quiet", "--select=I", "--fix"], ["format", "--quiet"]):
            subprocess.run([sys.executable, "-m", "ruff", *arguments, path], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
