"""A private MariaDB server for the tests: no Docker, no service, nothing left behind.

`start()` runs this file again as a supervisor, which keeps a server in a temporary folder and waits
on a pipe that only the calling process holds open. However that process ends (exit, Ctrl-C, crash,
kill -9), the pipe closes; the supervisor stops the server and removes the folder.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, SubprocessError, TimeoutExpired, run
from typing import Any, Self

NAME = "mysql"
VARIABLE = "TEST_MYSQL_URL"
HOW_TO_GET = (
    "apt-get install -y --no-install-recommends mariadb-server-core mariadb-client-core,"
    " or set TEST_MYSQL_URL"
)
# Tables must not depend on what the database was made for.
CREATE_OPTIONS = "CHARACTER SET latin1"
DROP_OPTIONS = ""
# Rows that refer to others of their own table go in any order.
BEFORE_DELETING = ["SET foreign_key_checks = 0"]
SESSION = {
    "SELECT @@time_zone": "+00:00",
    "SELECT @@innodb_lock_wait_timeout": 5,
    "SELECT @@lock_wait_timeout": 5,
    "SELECT @@collation_connection": "utf8mb4_bin",
    "SELECT FIND_IN_SET('STRICT_ALL_TABLES', @@sql_mode) > 0": 1,
}
# Tests of what MySQL cannot do: take back DDL, and index some of the rows only.
LACKING = {
    "test_a_table_does_not_survive_a_rollback",
    "test_a_failing_migration_leaves_nothing_and_passes_once_repaired",
    "test_archived_tasks_are_in_no_partial_index",
}

TIMEOUT = 30  # seconds, for each step
FOLDERS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
INSTALL = ["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]
SETTINGS = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--max-connections=200",
    # Speed instead of durability: nobody needs this data after a power cut.
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-fast-shutdown=2",
    "--performance-schema=OFF",
]


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Leave out what MySQL cannot do."""
    items[:] = [
        item
        for item in items
        if not (item.originalname in LACKING and item.callspec.params.get("backend") == NAME)
    ]


class ServerError(RuntimeError):
    """MariaDB was not found or did not start; one line says why."""


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


def start() -> Server:
    """Start a server on a free port of 127.0.0.1; `root` logs in without a password."""
    programs = [shutil.which(name, path=FOLDERS) for name in ("mariadb-install-db", "mariadbd")]
    if None in programs:
        raise ServerError("the system has no mariadbd and mariadb-install-db")
    # The supervisor needs the standard library only, and to be out of reach of Ctrl-C.
    command = [sys.executable, "-I", "-S", __file__, *filter(None, programs)]
    supervisor = Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True, start_new_session=True
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    # A forked child (multiprocessing) would hold the pipe open after the end of this process.
    os.register_at_fork(after_in_child=supervisor.stdin.close)
    try:
        answer = supervisor.stdout.readline().strip()
        if answer.startswith("mysql://"):
            return Server(answer, supervisor)
        *_, reason = [answer or "its supervisor was killed", *supervisor.stdout]
        raise ServerError(f"MariaDB did not start: {reason.strip()}")
    except BaseException:
        with supervisor:
            raise


def _supervise(install: str, program: str) -> None:
    """Run in the supervisor, as does everything below: report the URL or an error, then wait."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("its supervisor was terminated"))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="mariadb-") as folder,
            _running_server(install, program, Path(folder)) as url,
        ):
            print(url, flush=True)
            sys.stdin.read()
    except (ServerError, OSError, SubprocessError) as error:
        sys.exit(str(error))


@contextmanager
def _running_server(install: str, program: str, folder: Path) -> Iterator[str]:
    log = folder / "log"
    common = ["--no-defaults", f"--datadir={folder}/data"]
    # It refuses to run as root unless that is what it was told.
    common += ["--user=root"] if os.geteuid() == 0 else []
    with log.open("wb") as output:
        process: dict[str, Any] = {"cwd": folder, "stdin": DEVNULL, "stdout": output}
        process["stderr"] = STDOUT
        if run([install, *common, *INSTALL], timeout=TIMEOUT, **process).returncode != 0:
            raise ServerError(_end_of(log))
        for _attempt in range(3):  # another program may take the port first
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            files = [f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--port={port}"]
            with _stopped_at_the_end(Popen([program, *common, *files, *SETTINGS], **process)) as it:
                if _becomes_ready(it, folder / "pid"):
                    yield f"mysql://root@127.0.0.1:{port}/mysql"
                    return
        raise ServerError(_end_of(log))


def _becomes_ready(server: Popen[bytes], pid: Path) -> bool:
    """Wait for the file that is written last; false when the server ended or took too long."""
    deadline = time.monotonic() + TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        if pid.exists():
            return True
        time.sleep(0.01)
    return False


@contextmanager
def _stopped_at_the_end(server: Popen[bytes]) -> Iterator[Popen[bytes]]:
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)  # a test may have frozen it
        with suppress(TimeoutExpired):
            server.wait(TIMEOUT)
        server.kill()


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " | ".join([line.strip() for line in lines if line.strip()][-5:]) or "its log is empty"


if __name__ == "__main__":
    _supervise(*sys.argv[1:])
