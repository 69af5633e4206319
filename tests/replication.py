"""A primary and its standbys, of a test's own: killed, frozen, promoted and rejoined at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Any

import psycopg
from conftest import load_server
from projects import free_port, wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # Processes are killed here, never the machine: what was written to a file is there.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "dynamic_shared_memory_type": "mmap",
    "hot_standby_feedback": "on",
    # A standby that lost its primary looks for it again at once, not after five seconds.
    "wal_retrieve_retry_interval": "100ms",
    "deadlock_timeout": "50ms",
}

# However the process ends that holds its pipe: no server is left, and no folder.
WATCH = """
import glob, os, shutil, signal, subprocess, sys
folder = sys.argv[1]
sys.stdin.read()
for number in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.readlink(f"/proc/{number}/cwd").startswith(folder + "/"):
            os.kill(int(number), signal.SIGKILL)
    except OSError:
        pass
for path in glob.glob(folder + "/*/postmaster.pid"):
    memory = open(path).read().split("\\n")[6:7]
    subprocess.run(["ipcrm", "-m", *memory[0].split()[1:]], stderr=subprocess.DEVNULL)
shutil.rmtree(folder, ignore_errors=True)
"""


class Node:
    """One server, with all of its processes."""

    def __init__(self, binaries: Path, data: Path, account: dict[str, Any]) -> None:
        self.data = data
        self.port = free_port()
        self._binaries = binaries
        self._account = account
        self._process: Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.address}/{database}"

    def execute(
        self, statement: str, *values: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Return when it accepts connections."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with self.data.with_suffix(".log").open("ab") as log:
            self._process = Popen(
                [f"{self._binaries}/postgres", f"-D{self.data}", f"--port={self.port}", *settings],
                cwd=self.data,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                # Out of reach of Ctrl-C, which would shut it down before its time.
                start_new_session=True,
                **self._account,
            )
        status = self.data / "postmaster.pid"
        wait_until(
            lambda: status.is_file() and status.read_text().rstrip().endswith("ready"), seconds=30
        )

    def kill(self) -> None:
        """End every process at once, as a crash of the machine would."""
        if self._process is None:
            return
        self.freeze()
        while processes := self._processes():
            _signal(processes, signal.SIGKILL)
            self._process.wait()
        self._process = None
        status = self.data / "postmaster.pid"
        if status.exists():
            # A crash of the machine would leave neither this file nor the shared memory it names.
            memory = status.read_text().split("\n")[6].split()[1]
            subprocess.run(["ipcrm", "-m", memory], check=False, capture_output=True)
            status.unlink()

    def freeze(self) -> None:
        """Let it accept connections and never answer."""
        assert self._process is not None
        # One that runs on would start more while they are counted.
        _signal([self._process.pid], signal.SIGSTOP)
        _signal(self._processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        _signal(self._processes(), signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby a primary; return when it takes writes."""
        assert self.execute("SELECT pg_promote(true, 60)") == [(True,)]
        wait_until(lambda: self.execute("SELECT pg_is_in_recovery()") == [(False,)])

    def copy_of(self, primary: Node) -> None:
        """Become a standby of a primary, from nothing: what it held is lost. It does not start."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        # Also root may run it, and the wheel's folder may be open to root only.
        program = Path(load_server("postgres").find_binaries(), "pg_basebackup")
        source = f"{primary.url()}?application_name={self.data.name}"
        command: list[str | Path] = [program, f"--pgdata={self.data}", f"--dbname={source}"]
        command += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True)
        if self._account:
            for path in [self.data, *self.data.rglob("*")]:
                os.chown(path, self._account["user"], self._account["group"])
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write("synchronous_standby_names = ''\n")

    def follow(self, primary: Node) -> None:
        """Take the changes from another primary than before, such as one that was promoted."""
        source = f"user=postgres host=127.0.0.1 port={primary.port}"
        self.execute(
            f"ALTER SYSTEM SET primary_conninfo = '{source} application_name={self.data.name}'"
        )
        self.execute("SELECT pg_reload_conf()")

    def _processes(self) -> list[int]:
        """Return the processes whose folder is that of the data, as of each one of a server."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self.data:
                    found.append(int(process.name))
        return found


class Cluster:
    """A primary and its standbys; with synchronous replication a commit waits for one of them."""

    def __init__(self, nodes: Sequence[Node], *, synchronous: bool) -> None:
        self.nodes = nodes
        self.primary = nodes[0]
        self.synchronous = synchronous

    @property
    def standbys(self) -> list[Node]:
        return [node for node in self.nodes if node is not self.primary]

    @property
    def standby(self) -> Node:
        return self.standbys[0]

    def url(self, database: str = "postgres", session: str = "read-write") -> str:
        """Return a URL that names all nodes, and which of them is wanted."""
        hosts = ",".join(node.address for node in self.nodes)
        return f"postgresql://postgres@{hosts}/{database}?target_session_attrs={session}"

    def replicate(self) -> None:
        """Return when the standbys take what the primary writes, synchronously if so chosen."""
        wait_until(lambda: len(self._replicas()) == len(self.standbys), seconds=30)
        if self.synchronous:
            self.primary.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
            self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.execute("SELECT pg_reload_conf()")
            wait_until(lambda: {"sync", "quorum"} & {state for (state,) in self._replicas()})

    def caught_up(self) -> bool:
        """Tell whether the standbys show all that the primary has."""
        [(written,)] = self.primary.execute("SELECT pg_current_wal_lsn()")
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        return all(node.execute(query, written) == [(True,)] for node in self.standbys)

    def fail_over(self) -> Node:
        """Promote the first standby, whatever became of the primary; return the old primary."""
        old, new = self.primary, self.standby
        new.promote()
        self.primary = new
        return old

    def rejoin(self, node: Node) -> None:
        """Start a node as a standby of the primary that there is now, and wait until it is one."""
        node.copy_of(self.primary)
        node.start()
        self.replicate()

    def _replicas(self) -> list[tuple[Any, ...]]:
        query = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        return self.primary.execute(f"{query} AND application_name LIKE 'node%'")


@contextmanager
def cluster(*, synchronous: bool = True, standbys: int = 1) -> Iterator[Cluster]:
    """Start a primary and its standbys, and leave nothing of them."""
    server = load_server("postgres")
    original = server.find_binaries()
    if original is None:
        raise server.ServerError(server.HOW_TO_GET)
    account = server._unprivileged_account()
    with server._scratch_folder(account) as folder, _watched(folder):
        binaries = server._within_reach(original, folder, account)
        nodes = [Node(binaries, folder / f"node{n}", account) for n in range(1 + standbys)]
        subprocess.run(
            [f"{binaries}/initdb", f"--pgdata={nodes[0].data}", *server.INITDB],
            cwd=folder,
            env=os.environ | {"LC_ALL": "C"},
            check=True,
            capture_output=True,
            **account,
        )
        try:
            # Replication is allowed to whoever may log in from here, by initdb's own rules.
            nodes[0].start()
            for node in nodes[1:]:
                node.copy_of(nodes[0])
                node.start()
            started = Cluster(nodes, synchronous=synchronous)
            started.replicate()
            yield started
        finally:
            for node in nodes:
                node.kill()


@contextmanager
def _watched(folder: Path) -> Iterator[None]:
    watch = [sys.executable, "-I", "-S", "-c", WATCH, str(folder)]
    watcher = Popen(watch, stdin=PIPE, stdout=DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        watcher.communicate()


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
