"""Who may import whom in a rendered project, as the guide for its layout says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rendering import Renderer, answers_of

CONTRACTS = """
[importlinter]
root_package = shop
include_external_packages = True

[importlinter:contract:parts]
name = web knows features, features know the data layer
type = layers
layers =
    shop.__main__
    shop.web
    shop.commands
    shop.features
    (shop.api)
    shop.db

[importlinter:contract:feature]
name = routes call services, services use repositories, repositories use models
type = layers
containers =
    shop.features.items
    shop.features.accounts
    shop.features.tasks
layers =
    (routes)
    service | seed
    (repository)
    models

[importlinter:contract:neighbours]
name = a feature uses another through its service or a foreign key
type = forbidden
source_modules =
    shop.features.items
    shop.features.tasks
forbidden_modules =
    shop.features.accounts.repository
    shop.features.accounts.models
ignore_imports =
    shop.features.unit_of_work -> shop.features.accounts.repository

[importlinter:contract:framework]
name = only web and routes know the framework
type = forbidden
source_modules =
    shop.db
    shop.settings
    shop.features.unit_of_work
    shop.features.items.models
    shop.features.items.repository
    shop.features.items.service
    shop.features.accounts.models
    shop.features.accounts.repository
    shop.features.accounts.service
    shop.features.tasks.models
    shop.features.tasks.repository
    shop.features.tasks.service
forbidden_modules =
    fastapi
    flask
    gunicorn
    starlette
    uvicorn
    werkzeug

[importlinter:contract:settings]
name = settings are passed in, never reached for
type = forbidden
allow_indirect_imports = True
source_modules =
    shop.db
    shop.features
forbidden_modules =
    shop.settings
"""

# What only the schema and the data layer may take from SQLAlchemy where PyDAL runs the queries.
QUERYING = {"Session", "sessionmaker", "select", "insert", "update", "delete", "create_engine"}

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


SERVED = pytest.mark.parametrize(
    ("layer", "web"),
    [("async", "fastapi"), ("sync", "fastapi"), ("sync", "flask"), ("pydal", "fastapi")],
)


@SERVED
def test_imports_go_one_way(renderer: Renderer, tmp_path: Path, layer: str, web: str) -> None:
    answers = {
        "package_name": "shop",
        "web": web,
        **answers_of(layer),
        "examples": ["items", "accounts", "tasks"],
    }
    (tmp_path / "contracts.ini").write_text(CONTRACTS)
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--config=contracts.ini"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(renderer.render(answers) / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 5 kept, 0 broken" in done.stdout


def test_features_and_web_leave_queries_to_pydal(renderer: Renderer) -> None:
    answers = {
        "package_name": "shop",
        **answers_of("pydal"),
        "examples": ["items", "accounts", "tasks"],
    }
    source = renderer.render(answers) / "src" / "shop"
    for path in [*source.glob("features/**/*.py"), *source.glob("web/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
                names = {alias.name for alias in node.names}
                assert not names & QUERYING, f"{path.relative_to(source)}: {names & QUERYING}"


@SERVED
def test_nothing_happens_at_import(
    renderer: Renderer, tmp_path: Path, layer: str, web: str
) -> None:
    answers = {
        "package_name": "shop",
        **answers_of(layer),
        "web": web,
        "examples": ["items", "accounts", "tasks"],
    }
    framework = {"fastapi": "FastAPI", "flask": "Flask"}[web]
    code = (
        "import pkgutil, importlib, sys, gc, shop\n"
        "names = [m.name for m in pkgutil.walk_packages(shop.__path__, 'shop.')]\n"
        "for name in names:\n"
        "    importlib.import_module(name) if not name.endswith('__main__') else None\n"
        "from sqlalchemy import Engine\n"
        f"from {web} import {framework}\n"
        "from shop.settings import Settings\n"
        f"kinds = (Engine, {framework}, Settings)\n"
        "print(len(names), [o for o in gc.get_objects() if isinstance(o, kinds)])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(renderer.render(answers) / "src"),
            "DATABASE_URL": "nonsense",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")
    assert int(done.stdout.split()[0]) > 30
