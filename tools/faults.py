"""Plant known faults in rendered projects, one at a time, and expect their own tests to notice.

    python tools/faults.py                 plant every fault of tools/planted/
    python tools/faults.py --list          name them
    python tools/faults.py --only NAME     plant one; may be repeated
    python tools/faults.py --sample 8      plant some, spread over all kinds
    python tools/faults.py --places        plant none, and see that each could be

A fault replaces text in a project that passes its tests, and names the tests that could notice.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import FOREIGN, load_server  # noqa: E402
from rendering import Renderer, answers_of, snapshot  # noqa: E402
from runs import Outcome, Run, run_all  # noqa: E402

PLANTED = ROOT / "tools" / "planted"
GREEN, RED = 0, 1


class FaultError(Exception):
    """The faults cannot be planted, or prove nothing."""


@dataclass(frozen=True)
class Edit:
    """Text to replace in a file; without an old text the file is new."""

    file: str
    new: str
    old: str | None = None

    def apply(self, text: str | None) -> str:
        """Return the file's new text; raises FaultError unless the old one is there, and once."""
        if self.old is None and text is None:
            return self.new
        if self.old is None or text is None:
            raise FaultError(f"{self.file} is {'missing' if text is None else 'there already'}")
        if text.count(self.old) != 1:
            raise FaultError(f"found {text.count(self.old)} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong elsewhere, and the tests that must notice it here."""

    name: str
    pitfall: str
    project: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def texts(self, folder: Path) -> dict[Path, str]:
        """Return the files that differ with this fault; raises FaultError if it has no place."""
        texts: dict[Path, str] = {}
        try:
            for edit in self.edits:
                path = folder / edit.file
                before = path.read_text() if path.exists() else None
                texts[path] = edit.apply(texts.get(path, before))
                if path.suffix == ".py":
                    compile(texts[path], edit.file, "exec")
        except (FaultError, SyntaxError) as error:
            raise FaultError(f"{self.name}: {error}") from None
        return texts

    def plant(self, folder: Path) -> None:
        """Write this fault into a project."""
        for path, text in self.texts(folder).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                compiled.unlink()


def read_faults(folder: Path) -> list[Fault]:
    """Return all faults of a folder's files; one that stands twice is an error."""
    faults = [
        Fault(
            name=entry["name"],
            pitfall=entry["pitfall"],
            project=entry["project"],
            edits=tuple(Edit(**edit) for edit in entry["edits"]),
            tests=tuple(entry["tests"]),
        )
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["fault"]
    ]
    names = [fault.name for fault in faults]
    if twice := {name for name in names if names.count(name) > 1}:
        raise FaultError(f"named twice: {', '.join(sorted(twice))}")
    return faults


def choose(faults: Sequence[Fault], only: Sequence[str], sample: int | None) -> list[Fault]:
    """Return the faults that are asked for."""
    if unknown := set(only) - {fault.name for fault in faults}:
        raise FaultError(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in faults if not only or fault.name in only]
    if sample is None or sample >= len(chosen):
        return chosen
    return [chosen[number * len(chosen) // sample] for number in range(sample)]


def render(projects: Iterable[str], work: Path) -> dict[str, Path]:
    """Render projects; their names hold the answers, as in the tests."""
    (work / "template").mkdir()
    snapshot(work / "template")
    folders = {}
    for name in sorted(projects):
        database, layer, web, examples = name.split("-")
        folders[name] = Renderer(work).render(
            {
                "package_name": "shop",
                "database": database,
                **answers_of(layer),
                "web": web,
                "examples": [] if examples == "bare" else examples.split("+"),
            }
        )
    return folders


def prove_green(faults: Sequence[Fault], folders: Mapping[str, Path], jobs: int) -> None:
    """Run what the faults will run in the unharmed projects; raises FaultError if any is red."""
    runs = []
    for name, folder in folders.items():
        tests = {test: None for fault in faults if fault.project == name for test in fault.tests}
        runs.append(Run(folder, name, list(tests)))

    def report(run: Run, outcome: Outcome) -> None:
        if outcome.status != GREEN:
            output = run.output.read_text()[-3000:]
            raise FaultError(f"{run.project} is not green: exit {outcome.status}\n{output}")
        say(f"green       {run.project}  {outcome.seconds:.1f} s")

    run_all(runs, jobs, report)


def plant_all(faults: Sequence[Fault], folders: Mapping[str, Path], work: Path, jobs: int) -> int:
    """Return how many faults the tests of their projects catch; each line says by what."""
    planted = {work / f"fault-{number}": fault for number, fault in enumerate(faults)}
    for copy, fault in planted.items():
        shutil.copytree(folders[fault.project], copy)
        fault.plant(copy)
    caught = []

    def report(run: Run, outcome: Outcome) -> None:
        fault = planted[run.folder]
        is_caught = outcome.status == RED
        if is_caught:
            caught.append(fault)
        verdict = "caught    " if is_caught else "NOT CAUGHT"
        by = outcome.test if is_caught else f"exit status {outcome.status}"
        say(f"{verdict}  {fault.pitfall:4} {fault.name}  {outcome.seconds:.1f} s  {by}")

    run_all([Run(copy, each.project, each.tests) for copy, each in planted.items()], jobs, report)
    return len(caught)


@contextmanager
def postgres(projects: Iterable[str]) -> Iterator[None]:
    """Run a server for the projects that need one, unless there is one."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    is_needed = any(project.startswith("postgresql-") for project in projects)
    if not is_needed or "TEST_POSTGRES_URL" in os.environ:
        yield
        return
    server = load_server("postgres").start()
    os.environ["TEST_POSTGRES_URL"] = server.url
    try:
        yield
    finally:
        server.stop()


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--list", action="store_true", help="name the faults and plant none")
    parser.add_argument("--places", action="store_true", help="see that each could be planted")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time")
    parser.add_argument("--planted", type=Path, default=PLANTED, help="the folder of the faults")
    options = parser.parse_args()
    try:
        faults = choose(read_faults(options.planted), options.only, options.sample)
        if options.list:
            for fault in faults:
                say(f"{fault.pitfall:4} {fault.name}  ({fault.project})")
            return 0
        projects = {fault.project for fault in faults}
        with tempfile.TemporaryDirectory() as name, postgres(projects):
            work = Path(name).resolve()
            folders = render(projects, work)
            for fault in faults:
                fault.texts(folders[fault.project])
            if options.places:
                return 0
            prove_green(faults, folders, options.jobs)
            caught = plant_all(faults, folders, work, options.jobs)
    except FaultError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say(f"planted {len(faults)}, caught {caught}")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
