"""One command adds a feature to any project, and its tests pass at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from edits import read
from history import NOW, history, render, update
from projects import Project, ask, project_at
from rendering import LATER, LAYERS, Renderer, answers_of, commit, covering, git, name_of
from test_later_answers import REMOVE
from test_render import find_nothing, fingerprint

ITEMS: dict[str, Any] = {
    "package_name": "shop",
    "database": "sqlite",
    "sessions": "async",
    "runtime": "sqlalchemy",
    "web": "fastapi",
    "examples": ["items"],
}
BARE: dict[str, Any] = {
    "package_name": "p_is_for_a_package_of_thirty_x",
    "database": "sqlite",
    "sessions": "sync",
    "runtime": "pydal",
    "web": "flask",
    "examples": [],
}
SOME = pytest.mark.parametrize(
    "answers",
    [
        ITEMS,
        pytest.param(BARE, marks=LATER),
        *(pytest.param(one, marks=LATER) for one in covering(2, [ITEMS, BARE])),
    ],
    ids=name_of,
)
# Every type, with what may be said of it; the second refers to the first. The tests write and
# change the first that is no ref: what has to be compared in a way of its own comes first.
GADGETS = (
    "gadgets ok:bool title:str! note:text? size:int big:bigint! ratio:float price:decimal day:date "
    "seen:datetime? code:uuid! data:json colour:enum=red,dark-green"
)
ENTRIES = (
    "audit_entries extra:json? moment:datetime gadget:ref=gadgets other:ref=gadgets? "
    "only:ref=gadgets! label:str? text:text amount:decimal! kind:enum=a,b? size:int? ratio:float? "
    "ok:bool? day:date! code:uuid? big:bigint?"
)
CHECKS = (
    "ruff check --no-cache .",
    "ruff format --no-cache --check .",
    # Of one version, like all other projects: what is known of the libraries is shared.
    "mypy --python-version=3.11",
)


@SOME
def test_its_tests_pass_at_once(
    renderer: Renderer,
    tmp_path: Path,
    answers: Mapping[str, Any],
    postgres_url: str,
    mysql_url: str,
) -> None:
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", answers)
    package = project.package

    # Where there is no database yet, the first migration does not need one.
    project.run("manage", "startfeature", *GADGETS.split())
    project.run("manage", "migrate")
    project.run("manage", "startfeature", *ENTRIES.split())

    project.run_each(
        "manage migrate",
        "alembic check",
        f"{package} seed --rows=3",
        f"{package} seed",
        f"{package} check",
        "manage reviewmigrations",
    )
    for command in CHECKS:
        find_nothing(project.folder, fingerprint(project.folder), *command.split())
    plugins = ["-pno:cacheprovider"] + ["-pno:asyncio"] * (answers["sessions"] == "sync")
    tests = ["features/gadgets", "features/audit_entries", "test_features.py", "db/test_models.py"]
    migrations = ["tests/db/test_migrations.py", "tests/test_commands.py"]
    output = project.run(
        "pytest", "-q", *plugins, *(f"tests/{name}" for name in tests), *migrations
    )
    assert "skipped" not in output


def test_the_new_feature_answers_requests(renderer: Renderer, tmp_path: Path) -> None:
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", ITEMS)
    project.run("manage", "startfeature", "order_lines", "name:str", "data:json", "item:ref=items?")
    project.run("manage", "migrate")
    with project.serve() as address:
        body = {"name": "Ada", "data": {"a": [1, None, "\u00fc"]}}
        status, made = ask(f"{address}/order-lines", body)
        assert (status, made["item_id"]) == (201, None)
        assert ask(f"{address}/order-lines/{made['id']}") == (200, made)
        for wrong in ({"data": {"a": "\0"}}, {"name": "\0"}, {"id": 1}):
            assert ask(f"{address}/order-lines", body | wrong)[0] == 422, wrong
        lost = {"item_id": "00000000-0000-0000-0000-000000000000"}
        assert ask(f"{address}/order-lines", body | lost)[0] in (409, 422)


@LAYERS
def test_it_can_refer_to_each_model_of_the_examples(
    renderer: Renderer, tmp_path: Path, layer: str
) -> None:
    extras = [] if layer == "pydal" else ["admin"]
    examples = {"examples": ["items", "accounts", "tasks"], "extras": extras}
    answers = ITEMS | examples | answers_of(layer)
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", answers)
    # Those of which the tests make no row without others are optional.
    parents = "item:ref=items user:ref=users task:ref=tasks file:ref=files? event:ref=task_events?"

    # Words that stand for fields and values in what it is made of.
    own = ["state:enum=value,field", "weight:float?"]
    project.run("manage", "startfeature", "notes", *own, *parents.split())

    project.run_each("manage migrate", "alembic check")
    plugins = ["-pno:cacheprovider"] + ["-pno:asyncio"] * (layer != "async")
    pages = [f"tests/web/test_{name}.py" for name in extras]
    project.run("pytest", "-q", *plugins, "tests/features/notes", *pages)


REFUSED = [
    ("items name:str", "src/shop/features/items exists already."),
    ("routes name:str", "src/shop/features/routes.py exists already."),
    ("commands name:str", "src/shop/commands.py exists already."),
    ("features name:str", "src/shop/features exists already."),
    ("classes name:str", "class means something else"),
    ("secrets name:str", "secrets means something else in Python"),
    ("pages name:str", "page means something else in Python, or in the code to come."),
    ("sheep name:str", "name it in the plural"),
    ("testers name:str", "Tester: pytest takes such a class for tests."),
    ("Orders name:str", "use at most 30 lower-case letters"),
    ("my-orders name:str", "use at most 30 lower-case letters"),
    ("orders --singular=item name:str", "There is a Item with the table items already."),
    ("orders name", "write a field as name:type"),
    ("orders Name:str", "write a field as name:type"),
    ("orders name:string", "there is no type string, only str, text, int"),
    ("orders kind:enum", "write enum=red,green."),
    ("orders kind:enum=red", "give it two values or more"),
    ("orders kind:enum=red,Red,green", "two of its values have the same name."),
    ("orders kind:enum=1,2", "'1' cannot be a member"),
    ("orders name:str=5", "str takes no =."),
    ("orders done:bool!", "bool cannot be unique"),
    ("orders id:int", "every feature has id already"),
    ("orders class:str", "class means something else in Python"),
    ("orders date:date", "date means something else in Python"),
    ("orders json:json", "json is a name that models, schemas or rows use"),
    ("orders count:int", "count is a name that models, schemas or rows use"),
    ("orders optional:str", "optional is a name that models, schemas or rows use"),
    ("orders self:str", "self is a name that models, schemas or rows use"),
    ("orders uow:str", "uow is a name that models, schemas or rows use"),
    ("orders mapped_column:str", "mapped_column is a name that models, schemas or rows use"),
    ("orders name:str name:text", "name is named twice"),
    ("orders name:str user:ref=users", "there is no feature or table users to refer to"),
    ("orders item:ref=items", "a field that is no ref"),
    (f"{'o' * 29}s {'n' * 30}:str item_{'i' * 20}:ref=items", "too long a name"),
]


def test_what_cannot_be_is_refused_in_one_line(renderer: Renderer, tmp_path: Path) -> None:
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", ITEMS)
    git(project.folder, "init", "--quiet")
    # What Python left of a feature that is gone, which git does not show.
    left = project.folder / "src/shop/features/orders/__pycache__"
    left.mkdir(parents=True)
    (left / "models.cpython-311.pyc").touch()
    # What fails once the migration is written.
    settings = project.folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace(".db.format_migration", ".db.nothing"))
    before = read(project.folder)

    ends = project.try_each(*(f"manage startfeature {line}" for line, _ in REFUSED))

    for (line, wanted), end in zip(REFUSED, ends, strict=True):
        assert end.code == 1, line
        assert wanted in end.stderr, (line, end.stderr)
        assert end.stderr.count("\n") == 1, (line, end.stderr)
    # A dry run shows all of it, and a migration that fails leaves none of it.
    shown = project.run("manage", "startfeature", "orders", "name:str", "--dry-run")
    for name in ("models.py", "seed.py", "routes.py", "unit_of_work.py"):
        assert re.search(rf"^\+\+\+ src/shop/features/.*{name}$", shown, re.MULTILINE), name
    assert "+    name: Mapped[str] = mapped_column(String(255))\n" in shown
    assert read(project.folder) == before
    failed = project.try_run("manage", "startfeature", "orders", "name:str")
    assert failed.returncode == 1
    assert failed.stderr == "Could not find module shop.db.nothing\n"
    assert read(project.folder) == before
    assert not (project.folder / "src/shop/features/orders").exists()


def test_what_else_has_changed_is_reviewed_and_a_long_list_can_lose_a_feature(
    renderer: Renderer, tmp_path: Path
) -> None:
    answers = ITEMS | {"examples": ["items", "accounts", "tasks"]}
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", answers)
    models = project.folder / "src/shop/features/items/models.py"
    models.write_text(re.sub(r", Text\b|    description: .*\n", "", models.read_text()))

    unsafe = project.run("manage", "startfeature", "very_long_words_for_few_things", "name:str")
    safe = project.run("manage", "startfeature", "very_long_words_for_few_others", "name:str")
    project.run_code(REMOVE, "tasks")

    assert "loses data (ban-drop-column)\n" in unsafe
    assert unsafe.endswith("\nChange it before it runs.\n")
    assert safe.endswith("\nRead it, then run: ./manage.py migrate\n")
    assert "tasks" not in (project.folder / "src/shop/features/seed.py").read_text()
    for command in CHECKS[:2]:
        project.run(*command.split())


@LATER
def test_it_survives_an_update(renderer: Renderer, tmp_path: Path) -> None:
    template = history(renderer)
    folder = render(template, NOW, tmp_path / "shop", ITEMS)
    project = Project(folder, ITEMS, f"sqlite:///{tmp_path}/a.db")
    git(folder, "init", "--quiet")
    project.run("manage", "startfeature", "orders", "number:str!", "total:decimal")
    commit(folder, "ours")
    ours = {name: text for name, text in read(folder).items() if "features/" in name}

    update(folder, NOW, python="3.14", database="postgresql")

    after = read(folder)
    assert {name: after.get(name) for name in ours} == ours
    assert any("create_orders" in name for name in after)
    assert git(folder, "ls-files", "--unmerged") == ""
    project.run_each("manage migrate", "alembic check")
    project.run("ruff", "check", "--no-cache", ".")
