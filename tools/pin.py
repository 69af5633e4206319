"""Pin exact versions: for this repository's own tools, and for every project it renders.

    python tools/pin.py            write constraints.txt and template/constraints.txt.jinja anew
    python tools/pin.py --check    say whether they fit the requirements

What a project needs follows from its answers, so its pins are resolved once for each combination
of the answers that matter, and each pin is written under the answers it depends on.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import copier

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / "constraints.txt"
RENDERED = ROOT / "template" / "constraints.txt.jinja"
FLAGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "is_async": ({"sessions": "sync"}, {"sessions": "async"}),
    "use_postgresql": ({"database": "sqlite"}, {"database": "postgresql"}),
    "use_mysql": ({"other_databases": []}, {"other_databases": ["mysql"]}),
    "use_fastapi": ({"web": "none"}, {"web": "fastapi"}),
    "use_flask": ({}, {"web": "flask"}),
    "use_pydal": ({}, {"runtime": "pydal"}),
    "use_accounts": ({"examples": []}, {"examples": ["accounts"]}),
    "use_admin": ({"extras": []}, {"extras": ["admin"]}),
    "use_metrics": ({"extras": []}, {"extras": ["metrics"]}),
}
# No project has both.
APART = [
    {"use_fastapi", "use_flask"},
    {"is_async", "use_flask"},
    {"is_async", "use_pydal"},
    {"use_admin", "use_flask"},
    {"use_admin", "use_pydal"},
]
# No project has one without any of these.
NEEDED = {"use_admin": {"use_fastapi"}, "use_metrics": {"use_fastapi", "use_flask"}}
Combination = tuple[bool, ...]


def main() -> int:
    check = "--check" in sys.argv[1:]
    own = compile_pins(ROOT / "pyproject.toml", ["dev", "rendered"], OWN if check else None)
    if not check:
        OWN.write_text("\n".join(own) + "\n")
    rendered = render_pins()
    if not check:
        RENDERED.write_text(rendered)
        return 0
    stale = [path.name for path, text in ((OWN, "\n".join(own) + "\n"), (RENDERED, rendered))
             if path.read_text() != text]  # fmt: skip
    if stale:
        print(f"stale, run tools/pin.py: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


def compile_pins(pyproject: Path, groups: list[str], constraints: Path | None) -> list[str]:
    """Return `name==version` lines for these requirements, without any address."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11"]
    command += ["--no-header", "--no-annotate", str(pyproject)]
    command += [f"--group={pyproject}:{group}" for group in groups]
    if constraints is not None:
        command += ["--constraints", str(constraints)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=pyproject.parent)
    return done.stdout.split("\n")[:-1]


def render_pins() -> str:
    """Return the template of a project's constraints.txt."""
    found: dict[str, set[Combination]] = {}
    combinations = list(filter(is_possible, itertools.product([False, True], repeat=len(FLAGS))))
    for combination in combinations:
        for pin in pins_of(combination):
            found.setdefault(pin, set()).add(combination)
    groups: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    for pin in sorted(found):
        groups.setdefault(condition(found[pin], combinations), []).append(pin)
    lines = ["{% set pins = [] %}"]
    for terms, pins in sorted(groups.items()):
        test = " and ".join(name if value else f"not {name}" for name, value in terms)
        lines += [f"{{% if {test} %}}"] if test else []
        lines += ["{% set pins = pins + ["] + [f'    "{pin}",' for pin in pins] + ["] %}"]
        lines += ["{% endif %}"] if test else []
    return "\n".join([*lines, "{{ pins | sort | join('\\n') }}"]) + "\n"


def is_possible(combination: Combination) -> bool:
    """Tell whether these answers can be given together."""
    chosen = {name for name, value in zip(FLAGS, combination, strict=True) if value}
    is_alone = any(one in chosen and not others & chosen for one, others in NEEDED.items())
    return not is_alone and not any(pair <= chosen for pair in APART)


def pins_of(combination: Combination) -> list[str]:
    answers: dict[str, Any] = {"project_name": "Pinned"}
    for choice, value in zip(FLAGS.values(), combination, strict=True):
        answers |= choice[value]
    with tempfile.TemporaryDirectory() as folder:
        copier.run_copy(str(ROOT), folder, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
        return compile_pins(Path(folder) / "pyproject.toml", ["dev"], OWN)


def condition(
    holds: set[Combination], combinations: list[Combination]
) -> tuple[tuple[str, bool], ...]:
    """Return the answers that all of these combinations share and that select no other."""
    terms = tuple(
        (name, next(iter(holds))[position])
        for position, name in enumerate(FLAGS)
        if len({combination[position] for combination in holds}) == 1
    )
    for term in terms:
        fewer = tuple(other for other in terms if other != term)
        # What the other answers imply need not be said.
        if _selected(fewer, combinations) == holds:
            terms = fewer
    # A pin that no such test selects (this or that) stands everywhere: unused, it does nothing.
    return terms if _selected(terms, combinations) == holds else ()


def _selected(
    terms: tuple[tuple[str, bool], ...], combinations: list[Combination]
) -> set[Combination]:
    names = list(FLAGS)
    return {
        combination
        for combination in combinations
        if all(combination[names.index(name)] == value for name, value in terms)
    }


if __name__ == "__main__":
    sys.exit(main())
