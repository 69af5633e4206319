"""What is counted and timed of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from time import perf_counter
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, Dialect, Engine, ExceptionContext, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from tenacity import RetryCallState

from . import retry
from .measures import ended, kept
from .reading import READ_ONLY

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROLE = ["role"]

POOL_SIZE = Gauge(
    "db_pool_size", "Connections that are kept open.", ROLE, multiprocess_mode="livesum"
)
CHECKED_OUT = Gauge("db_pool_checked_out", "Connections in use.", ROLE, multiprocess_mode="livesum")
OVERFLOW = Gauge(
    "db_pool_overflow", "Connections open beyond the size.", ROLE, multiprocess_mode="livesum"
)
WAIT = Histogram(
    "db_pool_wait_seconds", "Until a connection was there, or was not.", ROLE, buckets=SECONDS
)
FAILURES = Counter(
    "db_pool_failures_total",
    "Waits for a connection that ended without one.",
    [*ROLE, "reason"],
)
QUERY = Histogram(
    "db_query_duration_seconds", "From a statement to its answer.", ROLE, buckets=SECONDS
)
UNIT = Histogram(
    "db_unit_duration_seconds",
    "How long a unit of work had its connection.",
    [*ROLE, "outcome"],
    buckets=SECONDS,
)
RETRIES = Counter("db_retries_total", "Units of work that were done again.", ["reason"])

COMMITTED, READ, ROLLED_BACK, FAILED = "committed", "read", "rolled back", "failed"
# What is known of a connection in use.
_TAKEN, _OUTCOME = "metrics taken", "metrics outcome"


def observe(engines: Iterable[tuple[str, Engine]]) -> None:
    """Count and time what engines do, by their roles, and the units that are done again."""
    for role, engine in engines:
        EngineMetrics(engine, role)
    if _count_retry not in retry.listeners:
        retry.listeners.append(_count_retry)


def _count_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    RETRIES.labels(type(error).__name__).inc()


class EngineMetrics:
    """Listens to an engine; a unit of work is what a connection is taken for, once."""

    def __init__(self, engine: Engine, role: str) -> None:
        pool = engine.pool
        self._size = pool.size() if isinstance(pool, QueuePool) else 0
        self._open = 0
        self._lock = Lock()
        self._role = role
        self._take = kept(CHECKED_OUT.labels(role).inc)
        self._overflow = OVERFLOW.labels(role)
        self._wait = kept(WAIT.labels(role).observe)
        self._query = kept(QUERY.labels(role).observe)
        outcomes = (COMMITTED, READ, ROLLED_BACK, FAILED)
        self._units = {one: kept(UNIT.labels(role, one).observe) for one in outcomes}
        POOL_SIZE.labels(role).inc(self._size)
        self._time_waiting(engine)
        self._time_queries(engine.dialect)
        event.listen(engine, "connect", lambda *_: self._count_open(1))
        event.listen(engine, "close", lambda *_: self._count_open(-1))
        event.listen(engine, "checkin", self._give_back)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", self._commit)
        # Before those that give the error another meaning, because the last of them ends the round.
        event.listen(engine, "handle_error", self._fail, insert=True)

    def _time_waiting(self, engine: Engine) -> None:
        """Time each call for a connection: no event tells when somebody begins to wait."""
        connect = engine.raw_connection

        def raw_connection() -> PoolProxiedConnection:
            began = perf_counter()
            try:
                taken = connect()
            except Exception as error:
                reason = "busy" if isinstance(error, exc.TimeoutError) else "unreachable"
                FAILURES.labels(self._role, reason).inc()
                raise
            finally:
                now = perf_counter()
                self._wait(now - began)
            taken.info[_TAKEN] = now
            self._take(1)
            return taken

        engine.raw_connection = raw_connection  # type: ignore[method-assign]

    def _time_queries(self, dialect: Dialect) -> None:
        """Time each statement where it is sent: events would take ten times as long."""
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            setattr(dialect, name, self._timed(getattr(dialect, name)))

    def _timed(self, execute: Callable[..., None]) -> Callable[..., None]:
        query = self._query

        def timed(*args: Any) -> None:
            sent = perf_counter()
            try:
                execute(*args)
            finally:
                query(perf_counter() - sent)

        return timed

    def _count_open(self, change: int) -> None:
        with self._lock:
            before, self._open = self._open, self._open + change
            difference = max(0, self._open - self._size) - max(0, before - self._size)
        if difference:
            self._overflow.inc(difference)

    def _give_back(self, connection: Any, record: ConnectionPoolEntry) -> None:
        # One that did not answer when it was to be taken comes back too.
        taken = record.info.pop(_TAKEN, None)
        if taken is None:
            return
        self._take(-1)
        outcome = record.info.pop(_OUTCOME, None)
        if outcome is not None:
            self._units[outcome](perf_counter() - taken)
        ended()

    def _begin(self, connection: Connection) -> None:
        reads = READ_ONLY in connection.get_execution_options()
        connection.info[_OUTCOME] = READ if reads else ROLLED_BACK

    def _commit(self, connection: Connection) -> None:
        connection.info[_OUTCOME] = COMMITTED

    def _fail(self, context: ExceptionContext) -> None:
        connection = context.connection
        if connection is not None and not connection.closed and not connection.invalidated:
            connection.info[_OUTCOME] = FAILED
