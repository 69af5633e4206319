"""docs/data-layer.md tells the truth: each pitfall once, where it is handled, and what shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from documents import expect_shown, quoted_in, rows_of
from rendering import ROOT, Renderer

DOCS = ROOT / "docs" / "data-layer.md"
# The pitfalls by their letters, and how many there are.
PITFALLS = {
    "S": 15,
    "P": 12,
    "M": 9,
    "A": 6,
    "L": 13,
    "U": 6,
    "R": 9,
    "Retry": 0,
    "H": 3,
    "C": 3,
    "Q": 1,
}
DEFECTS = 17
ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "other_databases": ["mysql"],
    "sessions": "async",
    "web": "fastapi",
    "examples": ["items", "accounts", "tasks"],
}


@pytest.fixture(scope="module")
def project(renderer: Renderer) -> Path:
    return renderer.render(ANSWERS)


@pytest.mark.parametrize("letters", PITFALLS)
def test_every_pitfall_has_one_row(letters: str) -> None:
    number = PITFALLS[letters]

    rows = rows_of(DOCS, rf"{letters}\d*")

    expected = [f"{letters}{n}" for n in range(1, number + 1)] or [letters]
    assert [row[0] for row in rows] == expected
    assert [row for row in rows if len(row) != 4 or min(map(len, row[1:3])) < 10] == []


@pytest.mark.parametrize("letters", PITFALLS)
def test_every_pitfall_is_handled_and_shown_where_the_row_says(project: Path, letters: str) -> None:
    for pitfall, _, where, shown in rows_of(DOCS, rf"{letters}\d*"):
        named = [text for text in quoted_in(where) if "/" in text or "::" in text]
        choice = where.startswith("your choice: ")
        assert named or choice, f"{pitfall}: {where}"
        for place in named:
            assert is_in(project, place), f"{pitfall}: {place}"
        expect_shown(pitfall, shown, project)


def test_every_defect_has_one_row_that_is_shown(project: Path) -> None:
    rows = rows_of(DOCS, r"D\d+")

    assert [row[0] for row in rows] == [f"D{n}" for n in range(1, DEFECTS + 1)]
    for defect, what, shown in rows:
        assert len(what) > 20, defect
        expect_shown(defect, shown, project)


def test_the_readme_leads_to_the_document() -> None:
    readme = (ROOT / "README.md").read_text()

    assert readme.count("](docs/data-layer.md)") == 1


def is_in(project: Path, place: str) -> bool:
    """Tell whether a project has a file, short for one in its package, that holds a name."""
    file, _, name = place.partition("::")
    for path in (project / file, project / "src" / ANSWERS["package_name"] / file):
        if path.is_file():
            return not name or re.search(rf"\b{name}\b", path.read_text()) is not None
    return False
