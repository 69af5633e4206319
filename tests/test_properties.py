"""What tests/properties states of a rendered data layer holds on each database, sync and async."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, postgres_database
from rendering import LATER, ROOT, Renderer, answers_of

PROPERTIES = ROOT / "tests" / "properties"
# These need no database: once is enough.
PURE = ["cursors.py", "emails.py"]


@pytest.mark.parametrize(
    ("layer", "database"),
    [
        pytest.param("sync", "sqlite", marks=LATER),
        ("async", "postgresql"),
        pytest.param("pydal", "sqlite", marks=LATER),
        pytest.param("pydal", "postgresql", marks=LATER),
        pytest.param("sync", "postgresql", marks=LATER),
        pytest.param("async", "sqlite", marks=LATER),
    ],
)
def test_the_data_layer_has_its_properties(
    renderer: Renderer, tmp_path: Path, layer: str, database: str, postgres_url: str
) -> None:
    answers = {"package_name": "shop", **answers_of(layer), "examples": ["accounts"]}
    files = ["repository.py", "column_types.py"]
    if (layer, database) == ("sync", "sqlite"):
        files += PURE
    with postgres_database(postgres_url) as made:
        url = made if database == "postgresql" else f"sqlite:///{tmp_path}/a.db"
        folder = renderer.render(answers)
        paths = f"{folder / 'src'}:{PROPERTIES}"
        project = Project(folder, answers, url, {"PYTHONPATH": paths})

        output = project.run(
            "pytest",
            "--noconftest",
            "--import-mode=importlib",
            *("-p", "no:cacheprovider"),
            *("-p", "no:randomly"),
            *("-p", "no:asyncio"),
            *(f"--config-file={PROPERTIES / 'pytest.ini'}", "--quiet"),
            *(str(PROPERTIES / name) for name in files),
        )

    assert "skipped" not in output
