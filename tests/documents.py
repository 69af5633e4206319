"""Reads the tables of docs/, whose rows name files and tests that must exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from rendering import ROOT


def rows_of(document: Path, key: str) -> list[list[str]]:
    """Return the cells of the rows whose first cell matches."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in document.read_text().splitlines()
        if re.match(rf"\| {key} \|", line)
    ]


def quoted_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def expect_shown(row: str, cell: str, project: Path) -> None:
    """Expect a cell to name tests that exist, or to say why there are none.

    A test is one of the rendered project, or with a `T` before it one of the template.
    """
    if re.match(r"(later|not shown): \w", cell):
        assert "`" not in cell, row
        return
    assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell), f"{row}: {cell}"
    for test in quoted_in(cell):
        file, _, function = test.removeprefix("T ").partition("::")
        path = (ROOT if test.startswith("T ") else project) / file
        assert path.is_file(), f"{row}: {test}"
        assert function in _functions_in(path), f"{row}: {test}"


def _functions_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
