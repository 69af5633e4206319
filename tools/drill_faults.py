"""The drills: what is started, and what is done to it while clients write and read."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from drill_load import Load, Stored, compare
from projects import Project, free_port, wait_until
from replication import Cluster, Node, cluster
from test_pooler import PGBOUNCER, accepts

# What the service is told, so that it gives up on a server that hangs before its clients do.
SETTINGS = {
    "DATABASE_POOL_SIZE": "6",
    "DATABASE_MAX_OVERFLOW": "0",
    "DATABASE_CONNECT_TIMEOUT": "1",
    "DATABASE_STATEMENT_TIMEOUT": "1",
}
# Until somebody notices that the primary is gone, and after the fault, in seconds.
DETECTION = 0.5
# How far a standby is behind that need not have what is acknowledged.
LAG = 1.0
BEFORE, AFTER = 2.0, 2.0
DATABASE = "shop"
# So long writes may be gone at the end before a drill gives up on them.
PATIENCE = 20

POOLER = """
[databases]
* = host=127.0.0.1 port={port} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
; Not minutes: a client that waits for a server that is gone must hear of it.
query_wait_timeout = 3
server_connect_timeout = 1
server_login_retry = 0.2
"""

LATER = '''"""Give tasks another column."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("drill", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "drill")
'''


@dataclass
class Course:
    """What happened in a drill, and when."""

    load: Load
    stored: Stored
    events: dict[str, float]
    problems: list[str] = field(default_factory=list)


@contextmanager
def pair(synchronous: bool) -> Iterator[Cluster]:
    """A primary and a standby, with a database for the service."""
    with cluster(synchronous=synchronous) as started:
        started.primary.execute(f"CREATE DATABASE {DATABASE}")
        yield started


def urls(servers: Cluster) -> dict[str, str]:
    """Return what tells the service of both servers, the second of which it reads."""
    replica = servers.standby.url(DATABASE)
    return {"DATABASE_URL": servers.url(DATABASE), "DATABASE_REPLICA_URL": replica}


def failover(project: Project, synchronous: bool) -> Course:
    """The primary's processes are killed, and the standby is promoted."""
    with pair(synchronous) as servers:
        return replace_primary(project, servers, Node.kill, urls(servers))


def hung(project: Project, synchronous: bool) -> Course:
    """The primary accepts and never answers any more, and the standby is promoted."""
    with pair(synchronous) as servers:
        return replace_primary(project, servers, Node.freeze, urls(servers))


def pgbouncer(project: Project, synchronous: bool) -> Course:
    """As failover, behind a pgbouncer that is told of the new primary."""
    with pair(synchronous) as servers, Pooler(servers.primary).running() as pooler:
        settings = urls(servers) | {"DATABASE_URL": pooler.url, "DATABASE_POOLER": "pgbouncer"}
        return replace_primary(project, servers, Node.kill, settings, pooler.point_to)


def terminated(project: Project, synchronous: bool) -> Course:
    """Every session of the service is ended again and again."""
    with pair(synchronous) as servers:
        primary = servers.primary
        settings = urls(servers) | SETTINGS
        project.run("shop", "migrate", **settings)
        with project.serve_process(**settings) as served, Load([served.address]) as load:
            time.sleep(BEFORE)
            events = {"fault": time.monotonic()}
            for _ in range(15):
                primary.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    DATABASE,
                )
                time.sleep(0.2)
            events["over"] = time.monotonic()
            wait_for_writes(load, events["over"])
        return Course(load, compare(load, primary.url(DATABASE)), events)


def migrating(project: Project, synchronous: bool) -> Course:
    """Two processes migrate at once, an empty database and then one in use; two serve."""
    with pair(synchronous) as servers, ExitStack() as stack:
        settings = urls(servers) | SETTINGS
        problems = migrate_at_once(project, settings)
        served = [stack.enter_context(project.serve_process(**settings)) for _ in range(2)]
        with Load([one.address for one in served]) as load:
            time.sleep(BEFORE)
            events = {"fault": time.monotonic()}
            (project.folder / "migrations/versions/20990101_0000_add_a_column.py").write_text(LATER)
            problems += migrate_at_once(project, settings)
            events["over"] = time.monotonic()
            wait_for_writes(load, events["over"])
        primary = servers.primary
        revisions = primary.execute("SELECT version_num FROM alembic_version", database=DATABASE)
        if revisions != [("0002",)]:
            problems.append(f"the schema is at {revisions}")
        return Course(load, compare(load, primary.url(DATABASE)), events, problems)


DRILLS: dict[str, Callable[[Project, bool], Course]] = {
    drill.__name__: drill for drill in (failover, hung, pgbouncer, terminated, migrating)
}


def replace_primary(
    project: Project,
    servers: Cluster,
    fault: Callable[[Node], None],
    settings: dict[str, str],
    then: Callable[[Node], None] = lambda primary: None,
) -> Course:
    """Let clients write and read while the primary fails and the standby takes its place."""
    project.run("shop", "migrate", DATABASE_URL=servers.url(DATABASE))
    with project.serve_process(**settings | SETTINGS) as served, Load([served.address]) as load:
        time.sleep(BEFORE)
        if not servers.synchronous:
            fall_behind(servers.standby)
        events = {"fault": time.monotonic()}
        fault(servers.primary)
        time.sleep(DETECTION)
        old = servers.fail_over()
        then(servers.primary)
        events["promoted"] = time.monotonic()
        wait_for_writes(load, events["promoted"])
        # It must not come back as a second primary.
        old.kill()
    return Course(load, compare(load, servers.primary.url(DATABASE)), events)


def fall_behind(standby: Node) -> None:
    """Let a standby take nothing any more for a while, as if the network were slow."""
    standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
    standby.execute("SELECT pg_reload_conf()")
    wait_until(lambda: standby.execute("SELECT 1 FROM pg_stat_wal_receiver") == [])
    time.sleep(LAG)


def wait_for_writes(load: Load, moment: float) -> None:
    """Wait until clients have written for a while after a moment, or for long enough."""
    deadline = time.monotonic() + PATIENCE
    while load.writes_since(moment) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(AFTER)


def migrate_at_once(project: Project, settings: dict[str, str]) -> list[str]:
    """Let two processes migrate, and return what went wrong."""
    command = [sys.executable, "-m", "shop", "migrate"]
    environment = project.environment(**settings)
    both = [
        Popen(command, cwd=project.folder, env=environment, stdout=DEVNULL, stderr=PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1].strip() for process in both]
    ends = zip(both, said, strict=True)
    return [f"migrate: {text}" for process, text in ends if process.returncode]


class Pooler:
    """A pgbouncer, whose server can change."""

    def __init__(self, primary: Node) -> None:
        self._primary = primary
        self._port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/{DATABASE}"

    @contextmanager
    def running(self) -> Iterator[Pooler]:
        """Have it for the time of the block."""
        assert PGBOUNCER is not None
        # As root it refuses to run, and temporary folders are closed to others.
        account: dict[str, Any] = {"user": "nobody", "extra_groups": []} if is_root() else {}
        with TemporaryDirectory(prefix="drill-", dir="/tmp") as folder:
            Path(folder).chmod(0o755)
            self._file = Path(folder, "pgbouncer.ini")
            self._write()
            self._process = Popen(
                [PGBOUNCER, "-q", self._file], cwd="/", stdout=DEVNULL, stderr=DEVNULL, **account
            )
            try:
                wait_until(lambda: accepts(self._port))
                yield self
            finally:
                self._process.terminate()
                self._process.wait()

    def point_to(self, primary: Node) -> None:
        """Let it connect to another server from now on."""
        self._primary = primary
        self._write()
        self._process.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        self._file.write_text(POOLER.format(port=self._primary.port, listen_port=self._port))


def is_root() -> bool:
    return os.geteuid() == 0
