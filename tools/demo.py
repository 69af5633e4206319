"""Render the default answers, then migrate, seed and serve the project, and ask it something.

With --once it stops after the answers; without, it serves until Ctrl-C.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path
from types import FrameType

import copier
from copier.errors import DirtyLocalWarning

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / ".demo"


def main() -> int:
    once = "--once" in sys.argv[1:]
    # Ctrl-C works too where a parent told its children to ignore it.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    say(f"rendering the default answers into {PROJECT.relative_to(ROOT)}/")
    # The environment is kept: making it is most of the time.
    for path in PROJECT.glob("*"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with warnings.catch_warnings(action="ignore", category=DirtyLocalWarning):
        copier.run_copy(
            str(ROOT), PROJECT, vcs_ref="HEAD", defaults=True, overwrite=True, quiet=True
        )
    files = [path for path in PROJECT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    say(f"{len(files)} files; making its environment (make setup)")
    port = free_port()
    if subprocess.run(["make", "--quiet", "setup"], cwd=PROJECT, check=False).returncode:
        return 1
    say("migrating, seeding, serving (make run)")
    server = subprocess.Popen(
        ["make", "--quiet", "run"], cwd=PROJECT, env=environment(port), start_new_session=True
    )
    try:
        return show(server, f"http://127.0.0.1:{port}", once)
    except KeyboardInterrupt:
        print()
        say("stopping")
        return 0
    finally:
        stop(server)
        say("stopped; nothing is left running")


def show(server: subprocess.Popen[bytes], address: str, once: bool) -> int:
    """Ask the service something, say what it answered, and wait until told to stop."""
    deadline = time.monotonic() + 60
    while not answers(f"{address}/health/live"):
        if server.poll() is not None or time.monotonic() > deadline:
            say("the service did not start")
            return 1
        time.sleep(0.1)
    for path in ("/health/ready", "/items?limit=2"):
        with urllib.request.urlopen(address + path, timeout=5) as response:
            say(f"GET {path} -> {response.status} {json.dumps(json.load(response))[:120]}")
    request = urllib.request.Request(
        f"{address}/items", json.dumps({"name": "A demo"}).encode(), method="POST"
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=5) as response:
        say(f"POST /items -> {response.status} {json.load(response)['name']}")
    if once:
        return 0
    say(f"serving on {address}, documentation on {address}/docs; Ctrl-C stops it")
    return server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def stop(server: subprocess.Popen[bytes]) -> None:
    """End make and all it started: they share a process group of their own."""
    # The second ends what the first could not.
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            continue


def environment(port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    return kept | {"PORT": str(port), "ENVIRONMENT": "development"}


def free_port() -> int:
    """Return 8000, or another port if that is taken."""
    for port in (8000, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError("no port is free")


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
