"""Remove a feature: its folders, and the lines in features/ that name it.

python tools/remove_feature.py items
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL

ROOT = Path(__file__).resolve().parents[1]


def main(feature: str) -> int:
    found = [*ROOT.glob(f"src/*/features/{feature}/__init__.py")]
    if not feature.isidentifier() or not found:
        print(f"There is no feature {feature}.", file=sys.stderr)
        return 1
    folder = found[0].parent
    wiring = sorted(folder.parent.glob("*.py"))
    doomed = [folder, ROOT / "tests" / "features" / feature]
    tables = [
        table
        for path in folder.rglob("*.py")
        for table in re.findall(r'__tablename__ = "(\w+)"', path.read_text(encoding="utf-8"))
    ]
    if users := [*users_of(feature, tables, {*wiring}, doomed)]:
        print(f"{feature} is used by {', '.join(users)}: remove that first.", file=sys.stderr)
        return 1
    for path in wiring:
        path.write_text(without(feature, path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in doomed:
        shutil.rmtree(path, ignore_errors=True)
    # Only what it mends by itself: a line may be too long until it is formatted.
    for command in (["check", "--fix", "--select=F401,I", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *wiring], check=True)
    subprocess.run([sys.executable, ROOT / "manage.py", "diagram"], stdout=DEVNULL, check=True)
    print(f"{feature} is removed; see git diff.")
    if tables:
        print(f"Its tables stay until a migration drops them: {', '.join(tables)}.")
    return 0


def users_of(
    feature: str, tables: list[str], wiring: set[Path], doomed: list[Path]
) -> Iterator[str]:
    """Yield the files elsewhere that import from the feature, or refer to its tables."""
    keys = "".join(rf'|ForeignKey\(\s*"{table}\.' for table in tables)
    used = re.compile(rf"(?:features\.|from \.\.\.?){feature}\b{keys}")
    for path in sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py")]):
        if path in wiring or any(path.is_relative_to(folder) for folder in doomed):
            continue
        if used.search(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(ROOT))


def without(feature: str, text: str) -> str:
    """Return a module without its imports of the feature, and without what uses them."""
    tree = ast.parse(text)
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and node.level == 1
        and (node.module or "").partition(".")[0] == feature
    ]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    gone: list[tuple[int, int]] = [span(node) for node in imports]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Expr | ast.AugAssign) and names & names_in(node):
            gone.append(span(node))
        elif isinstance(node, ast.List) and names & names_in(node):
            kept = [element for element in node.elts if not names & names_in(element)]
            whole = ast.get_source_segment(text, node) or ""
            texts = [ast.get_source_segment(text, element) or "" for element in kept]
            # As many lines as before, so that the numbers of the others stay right.
            rest = "\n" * whole.count("\n")
            text = text.replace(whole, f"[{', '.join(texts)}{rest}]")
    lines = text.splitlines(keepends=True)
    for first, last in gone:
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "".join(lines)


def span(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return first, node.end_lineno or node.lineno


def names_in(node: ast.AST) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
