"""The data layer alone: over a plain session, over Core, and beside the fastest way in."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import peers
from over_http import Kind
from processes import BENCH, run
from projects import Project

PEER = "advanced-alchemy==1.12.0"


def install_peer(folder: Path) -> Path:
    """Install the peer where only the bench finds it, and return where; raises BenchError."""
    target = folder / "peer"
    if (target / "advanced_alchemy").is_dir():
        return target
    # What it needs is here: its repository runs on the same SQLAlchemy as ours.
    peers.uv(folder, "pip", "install", "--no-deps", f"--target={target}", PEER)
    return target


def measure(project: Project, kind: Kind, peer: Path | None, order: dict[str, Any]) -> Any:
    """Return what was found in a database of its own."""
    script = (BENCH / "inside_layer.py").read_text()
    if kind.sessions == "sync":
        script = re.sub(r"\b(?:async|await) ", "", script)
        script = script.replace("_async import", "_sync import")
        script = script.replace("connection.stream(", "connection.execute(")
    environment = project.environment()
    places = [environment["PYTHONPATH"], str(BENCH), *([str(peer)] if peer else [])]
    environment["PYTHONPATH"] = os.pathsep.join(places)
    found: dict[str, Any] = {"found": []}
    for what in ("all", "stream"):
        given = json.dumps(order | {"url": project.url, "what": what})
        output = run(
            [sys.executable, "-c", script, given],
            folder=project.folder,
            environment=environment,
            seconds=order["seconds"],
        )
        measured = json.loads(output)
        found = {**measured, "found": found["found"] + measured["found"]}
    return found
