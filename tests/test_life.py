"""docs/life.md tells how a service lives: every command in it is run, one after another."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from projects import LONGEST_END, ask, free_port, postgres_database, wait_until
from rendering import LATER, ROOT, Renderer

sys.path.insert(0, str(ROOT / "tools"))

import pictures

LIFE = pictures.LIFE
# What stands in the document for what everybody has of their own.
REPOSITORY, DATABASE = (
    "<address or path of this repository>",
    "postgresql://user:password@host/shop",
)
IDENTITY = {f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")}  # fmt: skip


def steps() -> list[tuple[str, str, str]]:
    """Return each command and each change of a file, with its chapter, as (chapter, file, text)."""
    found, chapter = [], ""
    for part in re.split(r"(?ms)^(## [^\n]*|```.*?^```)$", LIFE.read_text()):
        if part.startswith("## "):
            chapter = part.removeprefix("## ")
        elif part.startswith("```python "):
            file, _, text = part.removeprefix("```python ").removesuffix("```").partition("\n")
            found.append((chapter, file, text))
        elif not part.startswith("```"):
            lines = re.findall(r"^    (\S.*)$", part, re.MULTILINE)
            found += [(chapter, "", line) for line in lines]
    return found


class Person:
    """Types the commands into a terminal, and those of a server into another one."""

    def __init__(self, folder: Path, template: Path, database: str) -> None:
        self.folder = folder
        self.words = {REPOSITORY: str(template), DATABASE: database}
        self.before = {name: value for name, value in os.environ.items() if name != "CI"} | IDENTITY
        self.server: subprocess.Popen[str] | None = None
        self.port = 0

    def enter(self) -> None:
        """Begin a chapter, in a new terminal."""
        self.environment = dict(self.before)

    def change(self, file: str, text: str) -> None:
        """Add lines to a model, before its first column."""
        path = self.folder / file
        changed, count = re.subn(
            r"^(?=    \w+: Mapped)", text, path.read_text(), count=1, flags=re.M
        )
        assert count == 1
        path.write_text(changed)

    def type(self, line: str) -> None:
        for written, meant in self.words.items():
            line = line.replace(written, meant)
        if not line.startswith("curl"):
            self.stop()
        if line.startswith("export "):
            self.environment |= dict(word.split("=", 1) for word in shlex.split(line)[1:])
        elif line.startswith("cd "):
            self.folder = self.folder / line.removeprefix("cd ")
            install(self.folder)
        elif line == "make run" or " serve" in line:
            self.serve(line)
        else:
            self.run(line.replace(":8000", f":{self.port}"))

    def run(self, line: str) -> None:
        if line.startswith("copier "):
            line = f"{sys.executable} -m {line}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            # To rollback's question.
            input="y\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    def serve(self, line: str) -> None:
        self.port = free_port()
        self.server = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment | {"PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda: ask(f"http://127.0.0.1:{self.port}/health/ready")[0] == 200, 60)

    def stop(self) -> None:
        if self.server is not None:
            os.killpg(self.server.pid, signal.SIGINT)
            self.server.wait(LONGEST_END)
            self.server = None


def install(project: Path) -> None:
    """Make what `make setup` makes, of the packages that are here, without installing any."""
    environment = project / ".venv"
    (environment / "bin").mkdir(parents=True)
    for path in (ROOT / ".venv" / "bin").iterdir():
        script = environment / "bin" / path.name
        if path.name.startswith("python") or path.read_bytes()[:2] != b"#!":
            script.symlink_to(path)
        else:
            write_script(script, f"{environment}/bin/python {path}")
    (packages,) = (ROOT / ".venv" / "lib").glob("python*/site-packages")
    here = environment / packages.relative_to(ROOT / ".venv")
    here.mkdir(parents=True)
    (here / "editable.pth").write_text(f"{project / 'src'}\n{packages}\n")
    (environment / "pyvenv.cfg").write_text((ROOT / ".venv" / "pyvenv.cfg").read_text())
    write_script(environment / "bin" / "shop", f"{environment}/bin/python -m shop")
    done = environment / ".done"
    done.touch()
    os.utime(done, (2**32, 2**32))


def write_script(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


@contextmanager
def person(folder: Path, renderer: Renderer, server: str) -> Iterator[Person]:
    with postgres_database(server) as database:
        one = Person(folder, renderer.template, database)
        try:
            yield one
        finally:
            one.stop()


@LATER
def test_the_commands_of_the_life_of_a_service_work(
    renderer: Renderer, tmp_path: Path, postgres_url: str
) -> None:
    with person(tmp_path, renderer, postgres_url) as somebody:
        for chapter in chapters():
            somebody.enter()
            for where, file, text in steps():
                if where == chapter and file:
                    somebody.change(file, text)
                elif where == chapter:
                    somebody.type(text)


def test_the_commands_of_the_life_of_a_service_exist(renderer: Renderer) -> None:
    project = renderer.render({"package_name": "shop"})
    makefile, commands = (project / "Makefile").read_text(), (project / "manage.py").read_text()
    said = [text for _, file, text in steps() if not file]
    targets = {target for line in said for target in re.findall(r"\bmake (\w+)", line)}
    called = {name for line in said for name in re.findall(r"(?:manage.py|/shop) (\w+)", line)}

    assert {where for where, _, _ in steps()} == {*chapters()}
    assert {"run", "test", "check"} <= targets
    for target in targets:
        assert f"\n{target}:" in makefile
    # Those of development are in manage.py, and the service's own are tested with it.
    own = {"migrate", "seed", "check", "serve", "transfer"}
    assert len(called) > 10
    for name in called - own:
        assert f"        {name},\n" in commands


def test_what_was_written_by_a_command_is_of_today(renderer: Renderer) -> None:
    project = renderer.render(pictures.ANSWERS)

    drawn = pictures.between(project / "README.md", pictures.DIAGRAM)
    assert drawn.count("{") > 3
    assert pictures.between(LIFE, pictures.DIAGRAM) == drawn
    said = pictures.between(LIFE, pictures.CHECK)
    assert "M002 ok: the schema is at 0001, up to date.\n" in said
    assert 1000 < pictures.PICTURE.stat().st_size < pictures.LARGEST


def chapters() -> list[str]:
    return re.findall(r"^## (.*)$", LIFE.read_text(), re.MULTILINE)
