"""Whether the cost grows where an index or a key says that it need not: with rows, with clients."""

from __future__ import annotations

from typing import Any

from over_http import KINDS, OPERATIONS, check, requests_of, start
from processes import Clients
from projects import Project

SIZES = (1_000, 10_000, 100_000, 1_000_000)
NUMBERS = (1, 4, 16, 64, 160)


def with_rows(
    project: Project, clients: Clients, sizes: tuple[int, ...], seconds: float
) -> dict[str, Any]:
    """Return the CPU seconds for each request, by operation and rows; the table grows meanwhile."""
    found: dict[str, Any] = {operation: {} for operation in OPERATIONS}
    with start(project, KINDS[0], "ours") as server:
        for size in sizes:
            fill(project, size)
            requests = requests_of(server.port)
            for operation in OPERATIONS:
                # The first of a size may plan anew.
                clients.ask(server, requests[operation], 4, 0.2)
                measured = clients.ask(server, requests[operation], 8, seconds)
                check(measured, f"{size} rows, {operation}")
                found[operation][size] = measured["cpu"]
    return found


def with_clients(project: Project, clients: Clients, seconds: float) -> dict[str, Any]:
    """Return what clients see of `get one`, the last time more of them than the pool can serve."""
    found: dict[str, Any] = {}
    for who in ("ours", "raw"):
        with start(project, KINDS[0], who) as server:
            requests = requests_of(server.port)["get one"]
            for number in NUMBERS:
                measured = clients.ask(server, requests, number, seconds)
                check(measured, f"{number} clients of {who}")
                names = ("rate", "p50", "p99", "longest")
                found.setdefault(who, {})[number] = {name: measured[name] for name in names}
            # No connection may be stuck after all that.
            check(clients.ask(server, requests, 1, 0.2), f"one client of {who} after many")
    return found


FILL = """
import sys
from shop.db.engine import Database, run_on_connection
from shop.db.runtime import run
from shop.settings import Settings
from sqlalchemy import text

ITEMS = '''INSERT INTO items (id, name, description, created_at, updated_at)
SELECT gen_random_uuid(), 'Lamp ' || n, 'It gives light.', now(), now()
FROM generate_series((SELECT count(*) FROM items) + 1, :rows) AS n'''
TASKS = '''INSERT INTO tasks (id, type, configuration, created_by, created_at, updated_at)
SELECT gen_random_uuid(), 'report', '{}', 'ada', now() - n * interval '1 second', now()
FROM generate_series((SELECT count(*) FROM tasks) + 1, :rows) AS n'''

def fill(connection):
    for statement in (ITEMS, TASKS):
        connection.execute(text(statement), {"rows": int(sys.argv[1])})
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))

run(run_on_connection, Settings.load(), fill)
"""


def fill(project: Project, rows: int) -> None:
    """Let both tables have so many rows."""
    project.run_code(FILL, str(rows))
