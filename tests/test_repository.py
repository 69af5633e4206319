"""This repository keeps its promises: the README's commands, the demo, nothing that must not be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from projects import ask
from rendering import ROOT, Renderer, git

README = (ROOT / "README.md").read_text()
DEMO = [sys.executable, str(ROOT / "tools" / "demo.py")]


def test_the_commands_of_the_readme_do_what_it_says(renderer: Renderer, tmp_path: Path) -> None:
    assert "    copier copy <address or path of this repository> my-service\n" in README
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "copier",
            "copy",
            "--defaults",
            str(renderer.template),
            "my-service",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "make run" in done.stdout + done.stderr
    targets = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test", "run", "test"]
    for target, makefile in zip(
        targets, [ROOT, ROOT, tmp_path / "my-service", tmp_path / "my-service"], strict=True
    ):
        assert f"\n{target}:" in (makefile / "Makefile").read_text()


def test_the_readme_shows_the_tree_that_is_rendered(renderer: Renderer) -> None:
    project = renderer.render({"package_name": "shop"})
    shown = README[README.index("    src/shop/") : README.index("One `DATABASE_URL`")]
    package = project / "src" / "shop"
    for name in re.findall(r"\b(\w+\.py|\w+/)(?=\s|$)", shown):
        assert list(project.rglob(name.rstrip("/"))), name
    for path in package.iterdir():
        if path.name not in {"__init__.py", "py.typed", "__pycache__"}:
            assert path.name in shown, path.name


def test_links_lead_somewhere() -> None:
    documents = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    for path in [*documents, *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_demo_works_twice_and_stops_without_a_trace() -> None:
    once = subprocess.run(
        [*DEMO, "--once"], capture_output=True, text=True, timeout=300, check=False
    )
    assert once.returncode == 0, once.stdout + once.stderr
    assert once.stdout.count("-> 20") == 3

    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None
    said, address = [], None
    for line in process.stdout:
        said.append(line)
        if match := re.search(r"serving on (\S+),", line):
            address = match[1]
            break
    assert address is not None, "".join(said)
    assert "POST /items -> 201" in "".join(said)
    assert ask(f"{address}/health/ready")[0] == 200
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "nothing is left running" in rest
    assert "Traceback" not in rest
    time.sleep(0.2)
    assert ask(f"{address}/health/live")[0] == 0


def test_nothing_is_tracked_that_must_not_be() -> None:
    tracked = git(ROOT, "ls-files").splitlines()
    hosts = re.compile(r"(py" r"pi|pythonhost" r"ed|registry\.npm" r"js|deb\.debi" r"an)\.org")
    for name in tracked:
        if name.endswith(".png") or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text()
        assert not hosts.search(text), name
        assert str(ROOT) not in text, name


def test_every_python_file_of_the_template_has_its_package_name_inserted_only() -> None:
    wiring = {
        "app.py.jinja",
        "conftest.py.jinja",
        "databases.py.jinja",
        "unit_of_work.py.jinja",
        "seed.py.jinja",
        "settings.py.jinja",
    }
    for path in (ROOT / "template").rglob("*.py.jinja"):
        text = path.read_text()
        if "{% if has_examples %}" in path.name or path.name in wiring:
            continue
        other = re.findall(r"\{\{(?! (?:package_name|env_prefix) \}\}).*?\}\}|\{%.*?%\}", text)
        assert len(other) <= 1, f"{path}: {other}"
