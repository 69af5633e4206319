"""Run inside a project: send requests to its application, and print what each costs, as JSON.

Of PostgreSQL the round trips are counted, by what passes a proxy before it; of SQLite the
statements, by what the library itself says that it runs.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from shop.db.migrations import upgrade
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings
from shop.web.app import create_app
from sqlalchemy import Engine, event, make_url

# Its text comes before this one's.
if TYPE_CHECKING:
    from proxy import Proxy

ROWS = 10_000


async def call(app: Any, method: str, path: str, body: object = None) -> Any:
    """Send a request to the application, without a server between."""
    messages = [{"type": "http.request", "body": json.dumps(body).encode()}]
    answer: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"limit=2",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    assert answer[0]["status"] in (200, 201), answer
    return json.loads(answer[1]["body"])


class Counter:
    """What was sent to the database since it was last asked."""

    def __init__(self, url: str) -> None:
        self.statements: list[str] = []
        self.proxy: Proxy | None = None
        self.url = url
        if url.startswith("sqlite"):
            self._connect: Any = sqlite3.connect
            for module in (sqlite3, sqlite3.dbapi2):
                vars(module)["connect"] = self._traced
        else:
            parts = make_url(url)
            self.proxy = Proxy(parts.host or "", parts.port or 5432)
            self.url = parts.set(port=self.proxy.port).render_as_string(hide_password=False)

    def taken(self) -> Any:
        """Return the round trips to a server, or the first words sent to a file."""
        if self.proxy is not None:
            count, self.proxy.round_trips = self.proxy.round_trips, 0
            return count
        words = [statement.split()[0] for statement in self.statements]
        self.statements.clear()
        return words

    def _traced(self, *args: Any, **kwargs: Any) -> Any:
        connection = self._connect(*args, **kwargs)
        connection.set_trace_callback(self.statements.append)
        return connection


def inserts() -> list[str]:
    """Return a list that will hold the INSERT statements that SQLAlchemy sends."""
    sent: list[str] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT"):
            sent.append(statement)

    return sent


async def ways_of_a_read(app: Any) -> int:
    """Return how often a read on aiosqlite goes to its thread and waits for it."""
    from aiosqlite.core import Connection

    item = await call(app, "POST", "/items", {"name": "Lamp"})
    usual: Any = Connection._execute
    ways = 0

    def noted(*args: Any) -> Any:
        nonlocal ways
        ways += 1
        return usual(*args)

    Connection._execute = noted  # type: ignore[method-assign]
    await call(app, "GET", f"/items/{item['id']}")
    Connection._execute = usual  # type: ignore[method-assign]
    return ways


def rows() -> Iterator[dict[str, object]]:
    return ({"name": f"Lamp {number}", "description": None} for number in range(ROWS))


async def insert_many(app: Any) -> None:
    uow: Any = UnitOfWork(app.state.database)
    if sys.argv[1] == "async":
        async with uow:
            await uow.items.insert_many(rows())
    else:
        with uow:
            uow.items.insert_many(rows())


async def requests_of(app: Any, counter: Counter) -> dict[str, Any]:
    """Return what each request costs once its statements are prepared."""
    task = {"type": "report", "configuration": {}, "created_by": "Ada"}
    item = await call(app, "POST", "/items", {"name": "Lamp"})
    requests = {
        "submit": ("POST", "/tasks"),
        "insert": ("POST", "/items"),
        "change": ("PATCH", f"/items/{item['id']}"),
        "get one": ("GET", f"/items/{item['id']}"),
        "list": ("GET", "/items"),
        "page": ("GET", "/tasks"),
    }
    costs: dict[str, Any] = {}
    for name, (method, path) in requests.items():
        for number in range(8):
            counter.taken()
            await call(app, method, path, task if path == "/tasks" else {"name": f"Lamp {number}"})
        costs[name] = counter.taken()
    return costs


async def main(url: str) -> dict[str, Any]:
    counter = Counter(url)
    app = create_app(Settings(database_url=SecretStr(counter.url)))
    costs = await requests_of(app, counter)
    if sys.argv[1] == "async" and counter.proxy is None:
        costs["ways of a read"] = await ways_of_a_read(app)
        counter.taken()
    sent = inserts()
    await insert_many(app)
    many = counter.taken()
    return costs | {
        "INSERTs": len(sent),
        "insert_many": many if isinstance(many, int) else many.count("BEGIN"),
    }


if __name__ == "__main__":
    for url in sys.argv[2:]:
        upgrade(Settings(database_url=SecretStr(url)))
    print(json.dumps([asyncio.run(main(url)) for url in sys.argv[2:]]))
