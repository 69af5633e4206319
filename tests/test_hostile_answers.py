"""No text that someone answers breaks a project: it arrives as it was written, or is refused."""

from __future__ import annotations

import ast
import keyword
import re
import shutil
import sys
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier._main import Worker
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2 import Template
from rendering import ROOT, Renderer
from test_questions import ASKED, QUESTIONS

TEXTS = [name for name in ASKED if QUESTIONS[name]["type"] == "str" and "choices" not in
         QUESTIONS[name]]  # fmt: skip
FILES = ROOT / "template"
BIDI = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
FRAGMENTS = [
    *("{{ 7*7 }}", "{% raw %}", "{# x #}", "{{ cookiecutter }}", "$(touch evil)", "`touch evil`"),
    *("${HOME}", "$HOME", "$$", "; rm -rf .", "&& evil", "| evil", "> evil", "!evil", "\\", "\\n"),
    *(
        '"',
        "'",
        '"""',
        "'''",
        '"]\n',
        "%(here)s",
        "100%",
        "# x",
        "-->",
        "<!--",
        "]]>",
        "- x",
        "a: b",
    ),
    *("yes", "null", "~", "1.10", "0x1F", "!!python/object", "&a", "*a", "? x", "@x", "|", ">"),
    *("../../etc", "..", ".", "/etc/passwd", "C:\\con", "a/b", ".git/hooks", "con", "nul"),
    *("\n", "\r\n", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\u200f", "\u061c"),
    *("\ufeff", "\ufffe", "\U000e0041", "\ud83d", "é", "e\u0301", "ﬁ", "😀", "\u00a0", "\u00ad"),
]
NAMES = [*keyword.kwlist, *sorted(sys.stdlib_module_names)]
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join),
    st.tuples(st.sampled_from(["Shop", "shop", "SHOP_"]), st.sampled_from(FRAGMENTS)).map("".join),
    st.sampled_from(["x" * 5000, "x" * 4999 + "\n", "é" * 5000, "a " * 2500]),
    st.sampled_from(NAMES),
    st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z"),
    st.from_regex(r"\A[A-Z][A-Z0-9_]{0,31}\Z"),
)


# What Copier tells the questions of a project that is not there yet.
BEFORE: dict[str, Any] = {
    "_copier_conf": {"dst_path": "/nowhere", "answers_file": ".copier-answers.yml"},
    "_external_data": {"last": {}},
    "rendered_before": False,
    "reserved_names": QUESTIONS["reserved_names"]["default"],
}


@cache
def worker(template: str) -> Worker:
    """One that knows the template: what it renders with is what `copier copy` renders with."""
    return Worker(src_path=template, dst_path=Path("/nowhere"), defaults=True, quiet=True)


@cache
def compiled(template: str, text: str) -> Template:
    return worker(template).jinja_env.from_string(text)


def context(template: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the template's files may name, the computed answers too."""
    known: dict[str, Any] = {
        **BEFORE,
        "_copier_answers": {name: answers.get(name, "") for name in TEXTS},
    }
    for name, question in QUESTIONS.items():
        if name in answers:
            known[name] = answers[name]
        elif not name.startswith("_") and name not in known:
            default = question["default"]
            if isinstance(default, str):
                default = compiled(template, default).render(known)
            known[name] = default == "True" if question["type"] == "bool" else default
    return known


def refusal(template: str, name: str, known: Mapping[str, Any]) -> str:
    return compiled(template, QUESTIONS[name]["validator"]).render(known).strip()


@cache
def sources(name: str) -> list[tuple[str, str]]:
    """Return the files whose text, or what is computed for it, holds an answer."""
    found = [(path.name, path.read_text()) for path in sorted(FILES.rglob("*.jinja"))]
    names = {"package_name": "package_name|distribution_name"}.get(name, name)
    return [
        (file, text)
        for file, text in found
        if re.search(rf"{{{{ (?:{names}|_copier_answers)\b", text)
    ]


def holds(name: str, answer: str, file: str, text: str) -> None:
    """Read a file as its tool does, and find the answer where it belongs."""
    if file == "pyproject.toml.jinja":
        project = tomllib.loads(text)["project"]
        found = {
            "description": project["description"],
            "author": project["authors"][0]["name"],
            "package_name": next(iter(project["scripts"].values())).partition(".")[0],
        }
        assert found.get(name, answer) == answer
    elif file.startswith("{{ _copier_conf"):
        assert yaml.safe_load(text)[name] == answer
    elif file == "README.md.jinja":
        if name == "project_name":
            assert text.startswith(f"# {answer}\n")
        elif name == "description":
            assert text.splitlines()[2] == answer
    elif file.endswith("LICENSE{% endif %}.jinja"):
        if name == "author":
            assert text.splitlines()[2] == f"Copyright (c) {answer}"
    elif file == ".env.example.jinja":
        if name == "env_prefix":
            assert text.splitlines()[1] == f"{answer}ENVIRONMENT=development"
    elif ".py" in file:
        tree = ast.parse(text)
        if file == "prefix.py.jinja" and name == "env_prefix":
            (value,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
            assert ast.literal_eval(value) == answer
    elif file == "Makefile.jinja":
        assert "\n\t$(BIN)/pytest --numprocesses=auto" in text


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_arrives_as_it_was_written_or_is_refused(renderer: Renderer, name: str) -> None:
    template = str(renderer.template)
    accepted = 0

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(answer=HOSTILE)
    @example(answer="My Shop")
    @example(answer="shop")
    @example(answer="SHOP_")
    def check(answer: str) -> None:
        nonlocal accepted
        known: dict[str, Any] = {name: answer, **BEFORE}
        if message := refusal(template, name, known):
            assert "\n" not in message
            return
        known = context(template, {name: answer})
        # The package is named after the project.
        if message := refusal(template, "package_name", known):
            assert "\n" not in message
            return
        accepted += 1
        assert len(answer) <= 200
        for letter in answer:
            assert unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"}
            assert unicodedata.bidirectional(letter) not in BIDI
            assert letter not in "\u200e\u200f\u061c{}$`\\<>"
        for file, text in sources(name):
            holds(name, answer, file, compiled(template, text).render(known))

    check()
    for fragment in FRAGMENTS:
        for text in (fragment, f"a{fragment}b", f"A_{fragment}"):
            check.hypothesis.inner_test(text)  # type: ignore[attr-defined]
    assert accepted > 1


def test_no_package_is_called_like_a_part_of_python(renderer: Renderer) -> None:
    for name in NAMES:
        assert refusal(str(renderer.template), "package_name", {"package_name": name, **BEFORE})


# The worst of what is accepted, of what is refused, and of what only looks like either.
WHOLE: list[dict[str, str]] = [
    {
        "description": "'\"# yes: *x* 100% | ; & ! ~ ]]  --\u00a0😀 e\u0301",
        "author": "O'B\"# %s: [x]",
    },
    {"package_name": "a_1", "env_prefix": "A_1__", "project_name": "0.a_b-C d"},
]


@pytest.mark.parametrize("answers", WHOLE, ids=["texts", "names"])
def test_whole_projects_hold_them_and_nothing_lies_outside(
    renderer: Renderer, tmp_path: Path, answers: dict[str, str]
) -> None:
    folder = tmp_path / "deep" / "project"

    renderer.copy(answers, folder)

    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in folder.parent.iterdir()] == ["project"]
    known = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert {name: known[name] for name in answers} == answers
    tomllib.loads((folder / "pyproject.toml").read_text())
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text())
    shutil.rmtree(folder)


def test_what_is_refused_runs_nothing_and_writes_nothing(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attacks = {
        "project_name": "{{ cycler.__init__.__globals__.os.system('touch evil') }}",
        "package_name": "../../evil",
        "description": "$(touch evil) `touch evil`",
        "author": '"]\n[tool.evil]',
        "env_prefix": "A_\nevil: ",
    }
    for name, answer in attacks.items():
        with pytest.raises(ValueError, match=name):
            copier.run_copy(
                str(renderer.template), tmp_path / "out", {name: answer}, defaults=True, quiet=True
            )

    assert list(tmp_path.iterdir()) == []
