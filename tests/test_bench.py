"""The bench runs to its end, and ends what it has started whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from projects import is_alive, wait_until
from rendering import LATER, ROOT

BENCH = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick"]


def run_bench(output: Path, only: str, **variables: str) -> tuple[dict[str, Any], str]:
    """Run a part of the quick bench, and return its results and what it said on the way."""
    done = subprocess.run(
        [*BENCH, f"--only={only}", f"--output={output}"],
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((output / "results.json").read_text()), done.stderr


def sides(rows: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    return {row["operation"]: set(row["rounds"][0]) for row in rows}


@LATER
def test_a_quick_run_measures_each_operation_beside_its_ceilings(tmp_path: Path) -> None:
    found, _ = run_bench(tmp_path, "http,layer")

    by_hand = {"ours", "raw", "core", "usual"}
    assert sides(found["http"]) == {
        "get one": by_hand | {"litestar"},
        "list 50": by_hand | {"litestar", "FastAPI-template"},
        "insert one": by_hand | {"litestar", "FastAPI-template"},
        "page of tasks": by_hand,
    }
    assert {entry["what"] for entry in found["layer"]["postgresql async"]["found"]} >= {
        "get",
        "page at depth",
        "insert many",
        "stream",
    }
    assert "get one, of raw" in (tmp_path / "http.svg").read_text()


@LATER
def test_both_sides_come_from_an_empty_folder_to_green(tmp_path: Path) -> None:
    found, _ = run_bench(tmp_path, "green,suite")

    counts = {side: rounds[0]["tests"] for side, rounds in found["green"].items()}
    assert counts["ours"] > 52
    assert counts["FastAPI-template"] == 4
    assert found["suite"]["a combination, check"] > 0


@LATER
def test_without_a_package_index_it_says_so_and_measures_the_rest(tmp_path: Path) -> None:
    nothing = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}

    found, said = run_bench(tmp_path, "http,green", **nothing)

    assert "without fastapi-template" in said
    assert "without litestar" in said
    assert "not measured" in said
    assert set.union(*sides(found["http"]).values()) == {"ours", "raw", "core", "usual"}
    assert "green" not in found


@LATER
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_leaves_no_process(number: signal.Signals) -> None:
    process = subprocess.Popen([*BENCH, "--only=http"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any("ceilings" in text for _, text in started_by(process.pid)), 120)
        started = [pid for pid, _ in started_by(process.pid)]
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
    wait_until(lambda: not any(map(is_alive, started)), 20)


def started_by(pid: int) -> list[tuple[int, str]]:
    """Return the processes that a process has started itself, with their commands."""
    listed = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
    )
    return [(int(line.split()[0]), line) for line in listed.stdout.splitlines()]
