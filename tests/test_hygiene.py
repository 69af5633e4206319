"""What is released says what to do about it, and the default project can be browsed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import yaml
from history import releases
from rendering import LATER, ROOT, Renderer

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
UPDATING = (ROOT / "docs" / "updating.md").read_text()
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def test_each_version_says_what_to_do_after_the_update_and_before_deploying() -> None:
    parts = HEADING.split(CHANGELOG)[1:]
    versions = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))

    assert len(versions) == len(re.findall(r"^## ", CHANGELOG, re.MULTILINE)) > 0
    numbers = [[int(part) for part in version.split(".")] for version, _, _ in versions]
    assert numbers == sorted(numbers, reverse=True)
    for version, date, text in versions:
        assert re.search(r"^After `copier update`: \S", text, re.MULTILINE), version
        assert re.search(r"^Before you deploy: \S", text, re.MULTILINE), version
        assert date != "unreleased" or version == versions[0][0]


def test_each_version_but_the_newest_is_a_tag_and_each_tag_a_version() -> None:
    # The newest is tagged on the commit that names its date.
    versions = [version for version, _ in HEADING.findall(CHANGELOG)]

    assert set(versions[1:]) <= set(releases()) <= set(versions)


def test_the_guide_to_updates_says_whose_each_file_is(renderer: Renderer) -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    extras = ["docker", "github", "gitlab", "devcontainer", "metrics", "admin", "replicas"]
    project = renderer.render({"extras": extras})
    whose, answers = (
        [
            [cell.strip() for cell in row.split("|")[1:-1]]
            for row in re.findall(r"^\|.*$", part, re.M)
        ]
        for part in UPDATING.split("## Changing an answer")
    )

    files = {name: row[0] for row in whose[2:] for name in re.findall(r"`([^`]+)`", row[1])}
    assert {path.name for path in project.iterdir()} <= {name.split("/")[0] for name in files}
    for name, who in files.items():
        is_there = any(project.glob(name)) or any(project.rglob(name))
        assert is_there is ("not rendered" not in who), name
    changed = {name for row in answers[2:] for name in re.findall(r"`(\w+)`", row[0])}
    asked = {
        name
        for name, question in questions.items()
        if not name.startswith("_") and question.get("when") is not False
    }
    assert changed == asked


@LATER
def test_the_default_project_can_be_browsed(renderer: Renderer, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("rendered", ROOT / "tools" / "rendered.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tmp_path / "rendered"
    other = tmp_path / "other"
    other.mkdir()
    (other / "ours.txt").touch()

    assert tool.main(folder) == 0
    (folder / "old.txt").touch()
    assert tool.main(folder) == 0
    assert tool.main(other) == 1

    expected = renderer.render({})
    names = {
        path.relative_to(expected)
        for path in expected.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} == names
    for name in names - {Path(".copier-answers.yml")}:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    assert str(ROOT) not in (folder / ".copier-answers.yml").read_text()
    assert (other / "ours.txt").exists()


def test_ci_keeps_it() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]

    (upload,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]
    assert [step["run"] for step in steps if step.get("run") == "make rendered"]
    assert upload["with"]["path"] == ".rendered/"
    assert upload["with"]["include-hidden-files"]
