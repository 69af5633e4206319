"""Disturb a service and its database while clients write and read, and count what is lost.

    make drill                                        each drill, once with either kind of session
    make drill only=failover sessions=sync runs=5
    make drill only=failover replication=off          the standby is a second behind: what is lost
                                                      is told, and not judged

A write is a POST with an Idempotency-Key, which a client repeats until it is acknowledged. The
status is not 0 if an acknowledged write is lost though replication is synchronous, if a write is
stored twice, if writes do not come again within 5 s, or if reads stop.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from drill_faults import DRILLS  # noqa: E402
from drill_report import Result, bars, draw, judge  # noqa: E402
from projects import Project  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402
from rich.box import SIMPLE  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from test_pooler import PGBOUNCER  # noqa: E402

PLOTS = ROOT / ".drill"
ANSWERS: dict[str, Any] = {"package_name": "shop", "examples": ["tasks"], "extras": ["replicas"]}


def main() -> int:
    options = parse()
    # Where nobody looks, lines need not fit a window.
    console = Console(width=None if sys.stdout.isatty() else 120)
    results = []
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        (Path(name) / "template").mkdir()
        snapshot(Path(name) / "template")
        renderer = Renderer(Path(name))
        for drill in options.only:
            if drill == "pgbouncer" and PGBOUNCER is None:
                console.print("pgbouncer: not installed, run make services as root")
                continue
            for sessions in options.sessions:
                for run in range(1, options.runs + 1):
                    result = run_drill(renderer, drill, sessions, run, options)
                    results.append(result)
                    show(console, result, run)
    console.print(table_of(results))
    console.print(f"plots: {PLOTS.relative_to(ROOT)}/")
    return 0 if all(result.is_good for result in results) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=names_from(list(DRILLS)), default=list(DRILLS))
    parser.add_argument("--sessions", type=names_from(["async", "sync"]), default=["async", "sync"])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--replication", choices=["remote_apply", "off"], default="remote_apply")
    return parser.parse_args()


def names_from(known: list[str]) -> Any:
    """Return what reads a list of names, separated by commas."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: choose from {', '.join(known)}"
            )
        return names

    return read


def run_drill(
    renderer: Renderer, drill: str, sessions: str, run: int, options: argparse.Namespace
) -> Result:
    """Run a drill on a project of its own, and keep its plot."""
    answers = ANSWERS | {"sessions": sessions}
    synchronous = options.replication != "off"
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        copied = renderer.own_copy(answers, Path(folder) / "project")
        course = DRILLS[drill](Project(copied, answers, ""), synchronous)
    title = f"{drill}, {sessions} sessions, replication {options.replication}"
    draw(course, title, PLOTS / f"{drill}-{sessions}-{run}.svg")
    return judge(drill, sessions, synchronous, course)


def show(console: Console, result: Result, run: int) -> None:
    console.print(f"{result.drill} {result.sessions} {run}: writes {bars(result.rates)}")
    for problem in result.problems:
        console.print(f"  {problem}", style="red")
    if result.lost and not result.synchronous:
        console.print(f"  lost are writes of the last {result.window * 1000:.0f} ms")


def table_of(results: list[Result]) -> Table:
    table = Table(box=SIMPLE)
    for column in ["drill", "sessions"]:
        table.add_column(column)
    numbers = ["acknowledged", "stored", "lost", "duplicated", "no writes", "resumed", "no reads"]
    for column in [*numbers, "reads failed"]:
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(
            result.drill,
            result.sessions,
            str(result.acknowledged),
            str(result.stored),
            str(result.lost),
            str(result.duplicated),
            f"{result.without_writes:.2f} s",
            f"{result.resumed:.2f} s",
            f"{result.without_reads:.2f} s",
            f"{result.reads_failed} of {result.reads}",
            style="" if result.is_good else "red",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
