"""The questions refuse what would break a project, and an update cannot lose one."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from rendering import LATER, ROOT, Renderer

QUESTIONS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text())
ASKED = [
    name
    for name, question in QUESTIONS.items()
    if not name.startswith("_") and question.get("when") is not False
]


def test_every_question_says_what_it_asks() -> None:
    for name in ASKED:
        assert QUESTIONS[name]["help"].endswith((")", "?")), name
        assert "default" in QUESTIONS[name], name


def test_nothing_needs_trust() -> None:
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & QUESTIONS.keys()


def test_the_readme_names_every_question() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ASKED:
        assert f"`{name}`" in readme, name


@pytest.mark.parametrize(
    ("project_name", "package_name"),
    [
        ("My Shop", "my_shop"),
        ("24-7 Orders", "orders"),
        ("Cafe", "cafe"),
        ("a.b-c_d", "a_b_c_d"),
        ("The Service With The Longest Name Of All Of Them", "the_service_with_the_longest_n"),
        # Jinja's truncate lets five more letters pass.
        ("Name Of Thirty Three Letters Hmmm", "name_of_thirty_three_letters_h"),
        ("A  lot -. of space", "a_lot_of_space"),
    ],
)
def test_the_package_is_named_after_the_project(
    renderer: Renderer, tmp_path: Path, project_name: str, package_name: str
) -> None:
    project = renderer.copy({"project_name": project_name}, tmp_path / "project")

    assert (project / "src" / package_name / "settings.py").exists()


REFUSED: list[tuple[str, str]] = [
    *[("package_name", name) for name in ("", "Shop", "9shop", "shop_", "a-b", "shop\n", "../up")],
    *[("package_name", name) for name in ("class", "match", "json", "alembic", "tests", "con")],
    *[("package_name", name) for name in ("test", "python3", "pluggy", "dns", "stubgen")],
    ("package_name", "x" * 31),
    *[("project_name", name) for name in ("", " shop", "a/b", "{{ 7*7 }}", "x" * 51, 'a"b')],
    *[("description", text) for text in ("", "two\nlines", "{% raw %}", "$(id)", "a\u202eb")],
    ("description", "x" * 201),
    *[("author", text) for text in ("", "a\x00b", "<script>", "`id`", "x" * 101)],
    *[("env_prefix", text) for text in ("shop_", "SHOP", "9_", "A B_", "_")],
    ("database", "oracle"),
    ("python", "2.7"),
]


@pytest.mark.parametrize(("question", "answer"), REFUSED)
def test_an_answer_that_would_break_something_is_refused(
    renderer: Renderer, tmp_path: Path, question: str, answer: str
) -> None:
    with pytest.raises(ValueError, match=question):
        renderer.copy({question: answer}, tmp_path / "project")

    assert not (tmp_path / "project").exists()


def test_no_package_can_have_a_name_that_cannot_work() -> None:
    # The pins of all answers: an update may bring any of them.
    pins = (ROOT / "template" / "constraints.txt.jinja").read_text()
    pinned = {normal(name) for name in re.findall(r'(?m)^ +"([\w.-]+)==', pins)}
    found = [one for one in metadata.distributions() if normal(one.name) in pinned]
    assert len(found) > len(pinned) * 0.9
    modules = {
        module
        for module, names in metadata.packages_distributions().items()
        if pinned & {normal(name) for name in names}
    }
    programs = {
        path.name.replace("-", "_")
        for one in found
        for path in one.files or []
        if path.parts[0] == ".." and path.parent.name == "bin"
    }
    assert {"ruff", "dmypy", "mako_render"} <= programs

    # CPython has a package `test`; the others are beside the programs in .venv/bin.
    needed = pinned | modules | programs | {"test", "python", "python3", "activate"}
    needed |= {*sys.stdlib_module_names, *keyword.kwlist, *keyword.softkwlist}
    possible = {name for name in needed if re.fullmatch(r"[a-z][a-z0-9_]{0,28}[a-z0-9]", name)}
    assert possible - {*QUESTIONS["reserved_names"]["default"].split()} == set()


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "_", distribution).lower()


# Answers that exclude one another: what was answered before, the choice, and the reason.
IMPOSSIBLE: list[tuple[dict[str, Any], str, str, str]] = [
    ({"sessions": "async"}, "web", "flask", "Flask waits for each query: choose sync sessions"),
    ({"sessions": "async"}, "runtime", "pydal", "PyDAL has no async: choose sync sessions"),
    ({"database": "mysql"}, "other_databases", "mysql", "MySQL is its database already."),
    ({"database": "postgresql"}, "other_databases", "postgresql", "PostgreSQL is its database"),
    ({"web": "none"}, "extras", "metrics", "Metrics are served over HTTP: choose FastAPI"),
    ({"web": "none"}, "extras", "admin", "The admin page is a part of a FastAPI application."),
    ({"database": "mysql"}, "extras", "replicas", "Only PostgreSQL's replicas are read"),
    (
        {"runtime": "pydal", "sessions": "sync"},
        "extras",
        "replicas",
        "PyDAL reads where it writes: choose SQLAlchemy.",
    ),
    (
        {"runtime": "pydal", "sessions": "sync"},
        "extras",
        "admin",
        "The admin page works on SQLAlchemy's sessions",
    ),
]


@pytest.mark.parametrize(("before", "question", "choice", "reason"), IMPOSSIBLE)
def test_answers_that_exclude_one_another_are_refused_with_the_reason(
    renderer: Renderer,
    tmp_path: Path,
    before: dict[str, Any],
    question: str,
    choice: str,
    reason: str,
) -> None:
    answer = [choice] if QUESTIONS[question].get("multiselect") else choice

    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        renderer.copy(before | {question: answer}, tmp_path / "project")

    assert str(caught.value).startswith(f"Invalid choice for '{question}'")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "project").exists()


@LATER
@pytest.mark.parametrize(("before", "question", "choice", "reason"), IMPOSSIBLE)
def test_the_prompt_gives_the_reason_beside_the_choice(
    renderer: Renderer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any],
    question: str,
    choice: str,
    reason: str,
) -> None:
    reasons: dict[str, dict[str, str]] = {}

    def answer_with_the_default(asked: list[dict[str, Any]], answers: Any) -> Any:
        for one in asked:
            reasons[one["name"]] = {said.value: said.disabled for said in one.get("choices", [])}
        return answers

    monkeypatch.setattr("copier._main.unsafe_prompt", answer_with_the_default)
    free = {"sessions": "sync", "database": "postgresql" if choice == "replicas" else "sqlite"}
    for given in (free, free | before):
        copier.run_copy(str(renderer.template), tmp_path, data=given, quiet=True, pretend=True)
        assert bool(reasons[question][choice]) == (given != free)

    assert reasons[question][choice].startswith(reason)


@pytest.mark.parametrize(
    "text", ['It\'s "quoted", 100% ready: yes # really', "Größe 😀 и так далее", "- [x] yes: no"]
)
def test_a_text_arrives_as_it_was_written(renderer: Renderer, tmp_path: Path, text: str) -> None:
    import tomllib

    project = renderer.copy({"description": text, "author": text}, tmp_path / "project")

    pyproject = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert pyproject["description"] == text
    assert pyproject["authors"] == [{"name": text}]
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert answers["description"] == text
    assert text in (project / "README.md").read_text()


def test_the_answers_file_holds_the_answers_and_nothing_computed(
    renderer: Renderer, tmp_path: Path
) -> None:
    project = renderer.copy({}, tmp_path / "project")

    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert {name for name in answers if not name.startswith("_")} == set(ASKED)


def test_what_to_do_next_can_be_typed(
    renderer: Renderer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my shop"
    copier.run_copy(str(renderer.template), folder, defaults=True, pretend=True)

    assert f'\n  cd "{folder}"\n' in capsys.readouterr().err
