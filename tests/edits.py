"""What users make of a rendered project, and whether an update has kept each line of it."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rendering import Answers, commit, git

# Every line that a user has added to a file, or changed in it.
Lines = dict[str, Counter[str]]


class Edited(NamedTuple):
    """What a project's user has done to it."""

    lines: Lines
    deleted: set[str]


def edit(project: Path, answers: Answers, *, rename: bool = False) -> Edited:
    """Make every edit, as one commit after that of the rendered project."""
    rendered = read(project)
    for change in EDITS:
        change(project, answers)
    tidy(project)
    commit(project, "ours now")
    ours = read(project)
    lines, deleted = added(rendered, ours), rendered.keys() - ours.keys()
    if rename:
        rename_package(project)
        commit(project, "our name")
        lines = {
            renamed(name): Counter(map(renamed, found.elements())) for name, found in lines.items()
        }
        deleted = set(map(renamed, deleted))
    return Edited(lines, deleted)


def read(project: Path) -> dict[str, str]:
    names = git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return {
        name: (project / name).read_text()
        for name in names.split("\0")
        if name and (project / name).is_file()
    }


def added(before: dict[str, str], after: dict[str, str]) -> Lines:
    """Return the lines that files have got, with how often they have got each."""
    found = {}
    for name, text in after.items():
        lines = difflib.ndiff(before.get(name, "").splitlines(), text.splitlines())
        new = Counter(line[2:] for line in lines if line.startswith("+ ") and line[2:].strip())
        if new and name != ".copier-answers.yml":
            found[name] = new
    return found


def missing(lines: Lines, project: Path) -> list[str]:
    """Return each of the lines that its file does not have."""
    lost = []
    for name, wanted in lines.items():
        path = project / name
        there = Counter(path.read_text().splitlines()) if path.exists() else Counter[str]()
        lost += [f"{name}: {line}" for line in (wanted - there).elements()]
    return lost


def tidy(project: Path) -> None:
    for command in (["format"], ["check", "--fix", "--exit-zero"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--quiet", "."],
            cwd=project,
            check=True,
        )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
    assert changed != text, f"{path}: {old}"
    path.write_text(changed)


def append(path: Path, text: str) -> None:
    path.write_text((path.read_text() if path.exists() else "") + text)


def add_a_feature(project: Path, answers: Answers) -> None:
    """Copy the folder of items, and name it where features are named, as the README says."""
    features = project / "src" / "shop" / "features"
    for folder in (features, project / "tests" / "features"):
        shutil.copytree(folder / "items", folder / "orders")
        for path in (folder / "orders").rglob("*.py"):
            # What a page holds is called items, whatever it is.
            kept = r'(\["items"\]|"items":|\.items\(\)|(?:\)|\b(?:page|first|second|rest))\.items)'
            text = re.sub(rf"{kept}|item", lambda found: found[1] or "order", path.read_text())
            path.write_text(text.replace("Item", "Order"))
    replace(
        features / "unit_of_work.py",
        r"^(from \.items\.repository import .*\n)",
        r"\1from .orders.repository import OrderRepository\n",
    )
    append(
        features / "unit_of_work.py",
        "\n    @property\n    def orders(self) -> OrderRepository:\n"
        "        return OrderRepository(self.session)\n",
    )
    replace(
        features / "seed.py", r"^(from \.items\..*\n)", r"\1from .orders.seed import seed_orders\n"
    )
    replace(features / "seed.py", r"\]$", ", seed_orders]")
    if answers["web"] != "none":
        replace(
            features / "routes.py",
            r"^(from \.items import .*\n)",
            r"\1from .orders import routes as orders\n",
        )
        flask = "blueprint.register_blueprint(orders.blueprint)\n"
        fastapi = "router.include_router(orders.router)\n"
        append(features / "routes.py", flask if answers["web"] == "flask" else fastapi)


def change_a_model_and_the_chain(project: Path, answers: Answers) -> None:
    """Give items a column, and write the migration for it and for the feature."""
    append(
        project / "src/shop/features/items/models.py",
        "    note: Mapped[str | None] = mapped_column(String(100))\n",
    )
    owned = "accounts" in answers["examples"]
    text = MIGRATION.replace("OWNER_INDEX", OWNER_INDEX if owned else "")
    text = text.replace("OWNER", OWNER if owned else "")
    if "tasks" in answers["examples"]:
        text = text.replace("\n\n\ndef downgrade", f"{WITHOUT_TASKS}\n\n\ndef downgrade") + TASKS
    (project / "migrations/versions/20270101_0000_orders.py").write_text(text)


def delete_an_example(project: Path, answers: Answers) -> None:
    if "tasks" not in answers["examples"]:
        return
    features = project / "src" / "shop" / "features"
    shutil.rmtree(features / "tasks")
    shutil.rmtree(project / "tests" / "features" / "tasks")
    registered = r"^from \.tasks.*\n|^router\W.*\btasks\.router\b.*\n|, seed_tasks"
    properties = r"\n    @property\n    def task\w+\(self\).*\n.*\n"
    for name in ("unit_of_work.py", "seed.py", "routes.py"):
        path = features / name
        if path.exists():
            text = re.sub(f"{registered}|{properties}", "", path.read_text(), flags=re.MULTILINE)
            path.write_text(text)


# Where the template says that its user's own lines belong.
OWN = "# This service's own.\n"


def change_requirements(project: Path, _: Answers) -> None:
    """Add one, and ask for a newer version of one of the template's."""
    path = project / "pyproject.toml"
    if OWN.strip() in path.read_text():
        replace(path, f"(    {OWN.strip()}.*\n)", r'\1    "humanize>=4",\n    "pydantic>=2.13",\n')
    else:
        replace(path, r'^(    "fastapi.*\n|    "alembic.*\n)', r'\1    "humanize>=4",\n')
    replace(path, r'^version = "0.1.0"', 'version = "3.2.1"')
    append(path, '\n[tool.ours]\nanswer = "42"\n')


def add_a_setting(project: Path, _: Answers) -> None:
    append(project / "src/shop/settings.py", '    greeting: str = "hello"\n')
    ours = "# How users are greeted.\n# GREETING=hello\n"
    example = project / ".env.example"
    if example.read_text().endswith(OWN):
        append(example, ours)
    else:
        example.write_text(f"{ours}\n{example.read_text()}")


def rewrite_the_readme(project: Path, _: Answers) -> None:
    replace(project / "README.md", r"\A.*\n", "# Our own title\n\nWhat it is really about.\n")
    append(project / "README.md", "\n## Deploying\n\nAsk Ann.\n")


def add_targets(project: Path, _: Answers) -> None:
    append(project / "Makefile", "\n.PHONY: deploy\ndeploy:\n\t@echo deployed\n")
    (project / "local.mk").write_text(".PHONY: ship\nship:\n\t@echo shipped\n")


def change_the_tools(project: Path, _: Answers) -> None:
    append(project / "ruff.toml", '"src/*/features/**" = ["N818"]\n')
    append(project / "pytest.ini", "    ignore:ours:DeprecationWarning\n")
    append(project / "mypy.ini", "\n[mypy-humanize.*]\nignore_missing_imports = True\n")
    append(project / ".gitignore", "ours/\n")
    workflows = project / ".github" / "workflows"
    workflows.mkdir(parents=True, exist_ok=True)
    name = "deploy.yml" if (workflows / "ci.yml").exists() else "ci.yml"
    (workflows / name).write_text("on: push\njobs: {}\n")


EDITS: list[Callable[[Path, Answers], None]] = [
    add_a_feature,
    change_a_model_and_the_chain,
    delete_an_example,
    change_requirements,
    add_a_setting,
    rewrite_the_readme,
    add_targets,
    change_the_tools,
]


def rename_package(project: Path) -> None:
    """Do what the refusal of another package name says."""
    git(project, "mv", "src/shop", "src/store")
    for path in files(project):
        path.write_text(renamed(path.read_text()))
    tidy(project)


def renamed(text: str) -> str:
    return re.sub(r"\bshop\b", "store", text)


def files(project: Path) -> Iterator[Path]:
    for path in project.rglob("*"):
        if path.is_file() and not {".git", "__pycache__"} & set(path.parts):
            yield path


OWNER = """
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_orders_owner_id_users"), ondelete="SET NULL"
        ),"""
OWNER_INDEX = '\n    op.create_index(op.f("ix_orders_owner_id"), "orders", ["owner_id"])'
MIGRATION = '''"""Store orders."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NOW = sa.text("CURRENT_TIMESTAMP")


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),OWNER
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(op.f("ix_orders_name"), "orders", ["name"])OWNER_INDEX
    op.add_column("items", sa.Column("note", sa.String(length=100), nullable=True))


def downgrade() -> None:
    op.drop_column("items", "note")
    op.drop_table("orders")
'''
WITHOUT_TASKS = """
    op.drop_table("task_events")
    op.drop_table("tasks")"""
TASKS = """    op.create_table("tasks", sa.Column("id", sa.Uuid(), primary_key=True))
    op.create_table("task_events", sa.Column("id", sa.Uuid(), primary_key=True))
"""
