"""The engines of one application: that of the primary, and those of the replicas that are read."""

from __future__ import annotations

import itertools
import time

from sqlalchemy import create_engine as new_engine
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from . import primary, reader
from .connections import engine_options, prepare, reading_options
from .primary import create_engine, run_on_connection
from .replicas import ReplicaHosts, is_primary, return_to_replica
from .settings import DatabaseSettings

__all__ = ["Database", "create_engine", "run_on_connection"]

CAUGHT_UP = text(
    "SELECT NOT pg_is_in_recovery()"
    " OR pg_last_wal_replay_lsn() >= CAST(CAST(:position AS text) AS pg_lsn)"
    " FROM pg_sleep(:pause)"
)
PAUSE = 0.02


class Replica:
    """A server that is read; the primary stands in for it while it cannot be reached."""

    def __init__(self, settings: DatabaseSettings, hosts: ReplicaHosts) -> None:
        self.settings = settings
        self.hosts = hosts
        options = engine_options(settings)
        options["connect_args"]["hosts"] = hosts
        self.engine = new_engine(settings.url, **options)
        prepare(self.engine, settings)
        return_to_replica(self.engine, hosts)
        self.reading_sessions = sessionmaker(
            self.engine,
            expire_on_commit=False,
            close_resets_only=False,
            execution_options=reading_options(settings),
        )

    def reaches(self, position: str, seconds: float) -> bool:
        """Tell whether it shows what the primary had written then, after some time at most."""
        deadline, pause = time.monotonic() + seconds, 0.0
        with self.reading_sessions() as session:
            while not session.scalar(CAUGHT_UP, {"position": position, "pause": pause}):
                if time.monotonic() > deadline:
                    return False
                pause = PAUSE
            # If it was the primary that answered, the next connection may be the replica's again.
            return not is_primary(session.connection().info)


class Database(primary.Database):
    """The primary, which units of work write, and its replicas, which the others read in turn.

    A replica that cannot be reached is left out; without any the primary is read.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        _, arguments = self.engine.dialect.create_connect_args(settings.url)
        own = [settings.model_copy(update={"database_url": url}) for url in settings.replica_urls]
        self.replicas = [Replica(one, ReplicaHosts(one, settings, arguments)) for one in own]
        self._turns = itertools.count()
        self._primary_sessions, self.reading_sessions = self.reading_sessions, self._read

    def next_replica(self) -> Replica | None:
        """Return the replica whose turn it is; None if there is none, or none can be reached."""
        there = [one for one in self.replicas if one.hosts.is_worth_a_try]
        return there[next(self._turns) % len(there)] if there else None

    def dispose(self) -> None:
        """Close the connections that nobody uses."""
        for replica in self.replicas:
            replica.engine.dispose()
        super().dispose()

    def _read(self) -> Session:
        chosen = reader.chosen.get()
        server = self.next_replica() if chosen is None else chosen
        return server.reading_sessions() if server in self.replicas else self._primary_sessions()
