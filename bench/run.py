"""Measure rendered services beside their ceilings, and say which targets are met.

    .venv/bin/python bench/run.py            all of it, in under 20 minutes
    .venv/bin/python bench/run.py --quick    less of all, without green, in about 3 minutes
    .venv/bin/python bench/run.py --only=http,layer,growth,daily,green,suite --document

Seconds depend on the machine and on what else it does. So what counts is the ratio of two that did
the same right after one another, and of the ratios the median over all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import daily  # noqa: E402
import green  # noqa: E402
import growth  # noqa: E402
import layer  # noqa: E402
import over_http  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import suite  # noqa: E402
from conftest import load_server  # noqa: E402
from processes import BenchError, Clients  # noqa: E402
from projects import Project, postgres_database  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402
from rich.console import Console  # noqa: E402

SECTIONS = ("http", "layer", "growth", "daily", "green", "suite")
say = Console(stderr=True)
Fetched = TypeVar("Fetched")


class Size(NamedTuple):
    """How much is measured."""

    sittings: int
    rounds: int
    seconds: float
    rows: int
    kinds: int
    layer: dict[str, Any]
    sizes: tuple[int, ...]
    turns: int
    lives: int


WHOLE = Size(
    sittings=3,
    rounds=2,
    seconds=0.8,
    rows=10_000,
    kinds=4,
    layer={"rounds": 7, "bulk": 100_000, "rows": 401_000, "repeat": 40, "seconds": 280},
    sizes=growth.SIZES,
    turns=5,
    lives=2,
)
QUICK = Size(
    sittings=1,
    rounds=3,
    seconds=0.4,
    rows=1_000,
    kinds=1,
    layer={"rounds": 3, "bulk": 10_000, "rows": 11_000, "repeat": 10, "seconds": 60},
    sizes=(1_000, 10_000),
    turns=2,
    lives=1,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", help="such as http,layer")
    parser.add_argument("--output", type=Path, default=ROOT / ".bench", help="a folder")
    parser.add_argument("--document", action="store_true", help="put the table in docs/speed.md")
    options = parser.parse_args()
    # However it is told to end, what it has started ends before it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    size = QUICK if options.quick else WHOLE
    os.environ |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "COPIER_SETTINGS_PATH": str(ROOT / "tests" / "no-copier-settings.yml"),
    }
    # From an empty folder to green takes as long as all the rest of the quick one.
    usual = [name for name in SECTIONS if name != "green" or not options.quick]
    wanted = options.only.split(",") if options.only else usual
    output = options.output.resolve()
    output.mkdir(exist_ok=True)
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(load_server("postgres").start())
        (folder / "template").mkdir()
        snapshot(folder / "template")
        clients = stack.enter_context(Clients())
        bench = Bench(Renderer(folder), server.url, clients, size, output)
        found = bench.measure(wanted)
    found["minutes"] = (time.monotonic() - begun) / 60
    results = output / "results.json"
    # What was left out this time is still what it was.
    known = json.loads(results.read_text()) if results.is_file() else {}
    text = json.dumps(
        {**known, **{name: value for name, value in found.items() if value}}, indent=1
    )
    results.write_text(text + "\n")
    found = json.loads(text)
    report.write(found, output)
    if options.document:
        report.document(found, ROOT / "docs" / "speed.md")
    return 0


class Bench:
    """What is measured, on the projects that it needs."""

    def __init__(
        self, renderer: Renderer, server: str, clients: Clients, size: Size, output: Path
    ) -> None:
        self.renderer = renderer
        self.server = server
        self.clients = clients
        self.size = size
        self.output = output

    def measure(self, wanted: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {"load": os.getloadavg()[0]}
        found |= {"http": [], "round trips": {}, "layer": {}}
        # The quick one leaves out the kinds that have most in common with the first.
        for kind in over_http.KINDS[: self.size.kinds]:
            if "http" in wanted:
                say.print(f"http: {kind.name}")
                with (
                    self.project(kind, "http", self.size.rows) as project,
                    self.guests(kind) as guests,
                ):
                    sittings, rounds, seconds = self.size[:3]
                    found["http"] += over_http.measure(
                        project, kind, self.clients, sittings, rounds, seconds, guests
                    )
                    if kind.database == "postgresql" and self.size is WHOLE:
                        found["round trips"][kind.name] = over_http.count_round_trips(
                            project, kind, self.clients, guests
                        )
            if "layer" in wanted:
                say.print(f"layer: {kind.name}")
                with self.project(kind, "layer", 0) as project:
                    packages = self.fetched(layer.PEER, layer.install_peer)
                    order = self.size.layer
                    try:
                        found["layer"][kind.name] = layer.measure(project, kind, packages, order)
                    except BenchError as error:
                        say.print(f"not measured: {error}", markup=False)
        if {"growth", "daily"} & {*wanted}:
            with self.project(over_http.KINDS[0], "growth", self.size.rows) as project:
                found |= self.measure_one(project, wanted)
        if "green" in wanted:
            say.print("green")
            peer = self.fetched(peers.RELEASE, peers.prepare)
            template, folder = self.renderer.template, self.folder("green")
            try:
                found["green"] = green.measure(template, self.server, peer, folder, self.size.lives)
            except BenchError as error:
                say.print(f"not measured: {error}", markup=False)
        if "suite" in wanted:
            say.print("suite")
            folder, cache = self.folder("suite"), self.output / "mypy"
            whole = self.size is WHOLE
            found["suite"] = suite.measure(self.renderer, self.server, folder, cache, tests=whole)
        return found

    def measure_one(self, project: Project, wanted: list[str]) -> dict[str, Any]:
        """Measure what is much the same for all kinds."""
        found: dict[str, Any] = {}
        if "growth" in wanted:
            say.print("growth")
            clients, seconds = self.clients, self.size.seconds
            found["clients"] = growth.with_clients(project, clients, seconds)
            found["growth"] = growth.with_rows(project, clients, self.size.sizes, seconds)
        if "daily" in wanted:
            say.print("daily")
            found["daily"] = daily.measure(
                self.renderer, project, self.server, self.folder("daily"), self.size.turns
            )
        return found

    def folder(self, name: str) -> Path:
        """Make a folder that is removed at the end."""
        folder = self.renderer.shared / name
        folder.mkdir()
        return folder

    def fetched(self, name: str, prepare: Callable[[Path], Fetched]) -> Fetched | None:
        """Return what it takes to measure a peer; None, and a line that says so, if it fails."""
        try:
            return prepare(self.output)
        except BenchError as error:
            say.print(f"without {name}: {error}", markup=False)
            return None

    @contextmanager
    def guests(self, kind: over_http.Kind) -> Iterator[over_http.Guests]:
        """Provide the peers that serve over HTTP, with as many rows as ours has."""
        if kind.litestar is None:
            yield over_http.Guests()
            return
        litestar = self.fetched("litestar", peers.prepare_litestar)
        template = self.fetched(peers.RELEASE, peers.prepare)
        if template is None:
            yield over_http.Guests(litestar=litestar)
            return
        with postgres_database(self.server) as url:
            peers.migrate(template.project, url)
            peers.fill(url, self.size.rows)
            yield over_http.Guests(template, url, litestar)

    @contextmanager
    def project(self, kind: over_http.Kind, purpose: str, rows: int) -> Iterator[Project]:
        """Render a project of a kind, with a database that has so many rows."""
        answers = {
            "package_name": "shop",
            "database": kind.database,
            "sessions": kind.sessions,
            "web": "fastapi",
            "examples": ["items", "tasks"],
        }
        folder = self.renderer.render(answers)
        with postgres_database(self.server) as url:
            if kind.database == "sqlite":
                url = f"sqlite:///{self.renderer.shared}/{purpose}-{kind.sessions}.db"
            project = Project(folder, answers, url)
            if rows:
                project.run_each("shop migrate", f"shop seed --rows={rows}")
            yield project


if __name__ == "__main__":
    sys.exit(main())
