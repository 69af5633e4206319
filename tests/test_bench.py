"""The bench runs to its end, and ends what it has started whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from projects import is_alive, wait_until
from rendering import LATER, ROOT

BENCH = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick"]


@LATER
def test_a_quick_run_measures_each_operation_beside_its_ceilings() -> None:
    subprocess.run([*BENCH, "--only=http,layer"], check=True, timeout=600)

    found = json.loads((ROOT / ".bench" / "results.json").read_text())
    operations = {row["operation"] for row in found["http"]}
    assert operations == {"get one", "list 50", "insert one", "page of tasks"}
    for row in found["http"]:
        assert set(row["rounds"][0]) == {"ours", "raw", "core"}
    assert {entry["what"] for entry in found["layer"]["postgresql async"]["found"]} >= {
        "get",
        "page at depth",
        "insert many",
        "stream",
    }
    assert "get one, of raw" in (ROOT / ".bench" / "http.svg").read_text()


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
