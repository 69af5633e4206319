"""Data that other data layers trip over comes back from a rendered project as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import project_at, run_inside
from rendering import EVERYTHING, LATER, Renderer, answers_of


@LATER
@pytest.mark.parametrize("layer", ["async", "sync", "pydal"])
def test_odd_data_is_all_right(
    renderer: Renderer, tmp_path: Path, layer: str, postgres_url: str
) -> None:
    run_inside(project_at(renderer, tmp_path, "", EVERYTHING | answers_of(layer)), "odd_data")


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
@pytest.mark.parametrize("database", ["postgresql", "mysql"])
def test_many_rows_are_stored_as_few_are(
    renderer: Renderer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    database: str,
    sessions: str,
) -> None:
    request.getfixturevalue("mysql_url" if database == "mysql" else "postgres_url")
    answers = EVERYTHING | {"sessions": sessions, "database": database}
    run_inside(project_at(renderer, tmp_path, "", answers), "many")
