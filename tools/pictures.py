"""Make the pictures of docs/ anew: the admin page, a schema, and what `check` says.

python tools/pictures.py
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import HOW_TO_GET, browser, log_in, program  # noqa: E402
from conftest import FOREIGN, load_server  # noqa: E402
from projects import Project, postgres_database  # noqa: E402
from pwdlib import PasswordHash  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402

LIFE = ROOT / "docs" / "life.md"
PICTURE = ROOT / "docs" / "pictures" / "admin.png"
ANSWERS = {"package_name": "shop", "examples": ["items", "accounts"], "extras": ["admin"]}
PASSWORD = "correct horse battery"
LARGEST = 100_000
# What the lines around that which is written are called.
DIAGRAM, CHECK = "the diagram", "the check"


def main() -> int:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    if program() is None:
        print(HOW_TO_GET, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, load_server("postgres").start() as server:
        folder = Path(name)
        (folder / "template").mkdir()
        snapshot(folder / "template")
        with postgres_database(server.url) as url:
            project = Project(Renderer(folder).render(ANSWERS), ANSWERS, url)
            project.run_each("shop migrate", "shop seed --rows=12")
            picture = admin_page(project, folder / "profile")
            said = project.run("shop", "check")
        drawn = between(project.folder / "README.md", DIAGRAM)
    if len(picture) > LARGEST:
        print(f"The picture is too large: {len(picture)} bytes.", file=sys.stderr)
        return 1
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(picture)
    write(LIFE, DIAGRAM, drawn)
    write(LIFE, CHECK, f"```text\n{said}```\n")
    return 0


def admin_page(project: Project, profile: Path) -> bytes:
    """Return what somebody sees who looks at the users."""
    secrets = {
        "ADMIN_PASSWORD_HASH": PasswordHash.recommended().hash(PASSWORD),
        "ADMIN_SESSION_SECRET": "0123456789abcdef0123456789abcdef",
    }
    with project.serve(**secrets) as address, browser(profile) as driver:
        driver.set_window_size(1300, 640)
        log_in(driver, address, PASSWORD)
        driver.get(f"{address}/admin/user/list")
        return driver.get_screenshot_as_png()


def between(document: Path, name: str) -> str:
    """Return what stands between the lines of a document that begin and end it."""
    return _place(document.read_text(), name)[2]


def write(document: Path, name: str, text: str) -> None:
    """Put a text between the lines of a document that begin and end it."""
    before = document.read_text()
    found = _place(before, name)
    document.write_text(before[: found.start(2)] + text + before[found.end(2) :])


def _place(text: str, name: str) -> re.Match[str]:
    begin, end = r"<!-- written by: [^\n]*\n", f"<!-- end of {name} -->"
    found = re.search(rf"(?ms)^({begin})((?:(?!<!--).)*)^{end}", text)
    assert found is not None, name
    return found


if __name__ == "__main__":
    sys.exit(main())
