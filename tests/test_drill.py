"""Nothing is lost in a drill, and a drill would tell."""

from __future__ import annotations

import importlib
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from projects import postgres_database
from rendering import LATER, ROOT
from test_pooler import PGBOUNCER

DRILLS = ["failover", "hung", "pgbouncer", "terminated", "migrating"]
Tool = Callable[[str], ModuleType]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Tool:
    """What imports a module of tools/."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module


@LATER
@pytest.mark.parametrize(
    ("drill", "sessions"), [*((drill, "async") for drill in DRILLS), ("failover", "sync")]
)
def test_nothing_is_lost(drill: str, sessions: str) -> None:
    if drill == "pgbouncer" and PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed: run make services as root")
    command = [sys.executable, "tools/drill.py", f"--only={drill}", f"--sessions={sessions}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line.split() for line in done.stdout.splitlines()[::-1] if drill in line)
    acknowledged, stored, lost, duplicated = map(int, row[2:6])
    assert (acknowledged, lost, duplicated) == (stored, 0, 0)
    assert acknowledged > 20
    plot = ET.parse(ROOT / ".drill" / f"{drill}-{sessions}-1.svg").getroot()
    assert len([part for part in plot if part.tag.endswith("polyline")]) == 2


@pytest.fixture
def stored(postgres_url: str) -> Iterator[str]:
    """A database in which one write is right, one has no event, and one is there twice."""
    with postgres_database(postgres_url) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE tasks (id int, name text, type text)")
        connection.execute("CREATE TABLE task_events (id int, task_id int, type text)")
        for number, name in enumerate(["right", "half", "twice", "twice", "unacknowledged"]):
            connection.execute("INSERT INTO tasks VALUES (%s, %s, 'drill')", [number, name])
            if name != "half":
                event = "INSERT INTO task_events VALUES (%s, %s, 'created')"
                connection.execute(event, [number, number])
        connection.commit()
        yield url


def test_what_is_lost_or_stored_twice_is_found(tool: Tool, stored: str) -> None:
    load = tool("drill_load").Load([])
    for name in ("right", "half", "twice", "gone"):
        load.writes.append(tool("drill_load").Write(name, acknowledged=1.0))
    load.writes.append(tool("drill_load").Write("unacknowledged"))

    found = tool("drill_load").compare(load, stored)

    assert found.rows == 5
    assert [write.name for write in found.lost] == ["gone"]
    assert sorted(found.duplicated) == ["half", "twice"]


@pytest.mark.parametrize(
    ("changes", "synchronous", "told"),
    [
        ({}, True, []),
        ({"lost": [11.5, 11.8]}, True, ["2 acknowledged writes are lost"]),
        ({"lost": [11.5, 11.8]}, False, []),
        ({"duplicated": ["1-1"]}, False, ["1 writes are stored more than once"]),
        ({"silent": (12, 19)}, True, ["writes came again after 6.1 s"]),
        ({"deaf": (12, 15)}, True, ["no read for 3.0 s"]),
        ({"unanswered": True}, True, ["1 writes were never acknowledged"]),
    ],
)
def test_a_drill_tells_what_is_not_as_promised(
    tool: Tool, tmp_path: Path, changes: dict[str, Any], synchronous: bool, told: list[str]
) -> None:
    loads, faults, report = tool("drill_load"), tool("drill_faults"), tool("drill_report")
    load = loads.Load([])
    load.began, load.ended = 10.0, 20.0
    silent, deaf = changes.get("silent", (0, 0)), changes.get("deaf", (0, 0))
    for moment in [10 + step / 10 for step in range(101)]:
        if not silent[0] < moment <= silent[1]:
            load.writes.append(loads.Write("one", acknowledged=moment))
        load.reads.append(loads.Read(moment, 0.01, not deaf[0] < moment < deaf[1]))
    if "unanswered" in changes:
        load.writes.append(loads.Write("two"))
    lost = [loads.Write("one", acknowledged=moment) for moment in changes.get("lost", [])]
    kept = loads.Stored(100, lost, changes.get("duplicated", []))
    course = faults.Course(load, kept, {"fault": 12.0, "promoted": 13.0})

    result = report.judge("failover", "sync", synchronous, course)
    report.draw(course, "<failover>", tmp_path / "plots" / "plot.svg")

    assert result.problems == told
    assert result.is_good is not bool(told)
    assert result.window == pytest.approx(0.5 if lost else 0)
    assert ET.parse(tmp_path / "plots" / "plot.svg").getroot().tag.endswith("svg")
    assert set(report.bars(result.rates)) <= set(report.BARS)


def test_a_tool_is_told_which_drill_it_lacks() -> None:
    command = [sys.executable, "tools/drill.py", "--only=flood"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert f"flood: choose from {', '.join(DRILLS)}" in done.stderr
