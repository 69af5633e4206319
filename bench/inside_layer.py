"""Run inside a project: the data layer alone, beside what it stands on, round by round.

Written for async sessions; without the words async and await it is for sync ones.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastest_async import insert_fastest
from pydantic import SecretStr
from shop.db.engine import Database
from shop.db.migrations import upgrade
from shop.db.runtime import run
from shop.db.types import utc_now
from shop.features.items.models import Item
from shop.features.items.repository import ItemRepository
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings
from sqlalchemy import func, insert, select
from uuid_utils.compat import uuid7

try:
    from peer_async import PeerRepository, peer_list, peer_list_and_count
except ImportError:
    PeerRepository = None

order = json.loads(sys.argv[1])
settings = Settings(database_url=SecretStr(order["url"]))
ROUNDS, BULK, ROWS, REPEAT = order["rounds"], order["bulk"], order["rows"], order["repeat"]
TABLE = Item.__table__


def rows_of(count: int) -> list[dict[str, object]]:
    """Return new rows, complete, so that no side has to make up values."""
    now = utc_now()
    same = {"description": "It gives light.", "created_at": now, "updated_at": now}
    return [{"id": uuid7(), "name": f"Lamp {number}", **same} for number in range(count)]


def memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class Sides:
    """What is done by each side, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.uow = UnitOfWork(database)
        self.grown = 0.0

    async def prepare(self) -> None:
        async with self.uow as uow:
            await uow.items.insert_many(rows_of(ROWS))
        async with self.uow.read_only() as uow:
            self.id = (await uow.items.page(limit=1)).items[0].id
            deep = select(Item.id).order_by(Item.id).offset(ROWS - 200).limit(1)
            last = (await uow.execute(deep)).scalar_one()
            self.deep = (await uow.items.page(Item.id >= last, limit=1)).next

    # --- a repository over a plain session, both with one transaction for each operation

    async def get_plain(self) -> None:
        async with self.database.sessions.begin() as session:
            await session.get(Item, self.id)

    async def get_ours(self) -> None:
        async with self.database.sessions.begin() as session:
            await ItemRepository(session).get(self.id)

    async def get_peer(self) -> None:
        async with self.database.sessions.begin() as session:
            await PeerRepository(session=session).get(self.id)

    async def list_plain(self) -> None:
        async with self.database.sessions.begin() as session:
            (await session.scalars(select(Item).order_by(Item.id).limit(100))).all()

    async def list_ours(self) -> None:
        async with self.database.sessions.begin() as session:
            await ItemRepository(session).list(limit=100)

    async def list_peer(self) -> None:
        async with self.database.sessions.begin() as session:
            await peer_list(PeerRepository(session=session))

    async def count_plain(self) -> None:
        async with self.database.sessions.begin() as session:
            (await session.scalars(select(Item).order_by(Item.id).limit(100))).all()
            await session.scalar(select(func.count()).select_from(Item))

    async def count_ours(self) -> None:
        async with self.database.sessions.begin() as session:
            await ItemRepository(session).list(limit=100)
            await ItemRepository(session).count()

    async def count_peer(self) -> None:
        async with self.database.sessions.begin() as session:
            await peer_list_and_count(PeerRepository(session=session))

    async def insert_plain(self) -> None:
        async with self.database.sessions.begin() as session:
            session.add(Item(name="Lamp", description="It gives light."))

    async def insert_ours(self) -> None:
        async with self.database.sessions.begin() as session:
            ItemRepository(session).add(Item(name="Lamp", description="It gives light."))

    async def insert_peer(self) -> None:
        async with self.database.sessions.begin() as session:
            await PeerRepository(session=session).add(Item(name="Lamp", description="x"))

    # --- rows for reading, over Core

    async def row_core(self) -> None:
        async with self.reading_engine().connect() as connection:
            (await connection.execute(select(TABLE).where(TABLE.c.id == self.id))).one()

    async def row_ours(self) -> None:
        async with self.uow.read_only() as uow:
            await uow.items.read_one(self.id)

    async def page_first(self) -> None:
        async with self.uow.read_only() as uow:
            await uow.items.page(limit=50)

    async def page_deep(self) -> None:
        async with self.uow.read_only() as uow:
            await uow.items.page(after=self.deep, limit=50)

    # --- many rows

    async def many_core(self) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(insert(TABLE), self.batch.pop())

    async def many_ours(self) -> None:
        async with self.uow as uow:
            await uow.items.insert_many(self.batch.pop())

    async def many_fastest(self) -> None:
        await insert_fastest(self.database.engine, self.batch.pop())

    async def stream_core(self) -> None:
        async with self.database.engine.connect() as connection:
            chosen = select(TABLE).order_by(TABLE.c.id).execution_options(yield_per=1000)
            async with connection.stream(chosen) as result:
                async for _ in result:
                    pass

    async def stream_ours(self) -> None:
        before, most, seen = memory(), self.grown, 0
        async with self.uow.read_only() as uow:
            async for _ in uow.items.stream():
                seen += 1
                if seen % 10_000 == 0:
                    most = max(most, memory() - before)
        self.grown = most

    def reading_engine(self) -> Any:
        options = {} if order["url"].startswith("sqlite") else {"isolation_level": "AUTOCOMMIT"}
        return self.database.engine.execution_options(**options)

    async def timed(self, name: str, times: int, clock: Callable[[], float]) -> float:
        function: Callable[[], Awaitable[None]] = getattr(self, name)
        self.batch = [rows_of(BULK)] if name.startswith("many") else []
        begun = clock()
        for _ in range(times):
            await function()
        return (clock() - begun) / times


# Where both send the same statements, what this process computes is all that can differ, and other
# work on the machine changes that least.
CPU, WALL = time.process_time, time.perf_counter
COMPARED = [
    # what, how often, by which clock, and the sides
    ("get", REPEAT, CPU, ["get_plain", "get_ours", "get_peer"]),
    ("list 100", max(REPEAT // 4, 3), CPU, ["list_plain", "list_ours", "list_peer"]),
    ("list 100 and count", 3, WALL, ["count_plain", "count_ours", "count_peer"]),
    ("insert", REPEAT, CPU, ["insert_plain", "insert_ours", "insert_peer"]),
    ("read a row", REPEAT, CPU, ["row_core", "row_ours"]),
    ("page at depth", REPEAT, WALL, ["page_first", "page_deep"]),
    ("insert many", 1, WALL, ["many_fastest", "many_ours", "many_core"]),
    ("stream", 1, WALL, ["stream_core", "stream_ours"]),
]


async def compare(
    sides: Sides, times: int, clock: Callable[[], float], names: list[str], rounds: int
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in names}
    for name in names if times > 1 else ():
        await sides.timed(name, 3, clock)
    for number in range(rounds):
        first = number % len(names)
        gc.collect()
        for name in names[first:] + names[:first]:
            taken[name].append(await sides.timed(name, times, clock))
    return taken


async def main() -> None:
    # As a process that serves does.
    gc.collect()
    gc.freeze()
    database = Database(settings)
    sides = Sides(database)
    # In a process of its own, because memory that was used before would hide what it takes.
    is_stream = order["what"] == "stream"
    if not is_stream:
        await sides.prepare()
    found = []
    for what, times, clock, names in COMPARED:
        if (what == "stream") != is_stream:
            continue
        chosen = [name for name in names if PeerRepository or not name.endswith("_peer")]
        rounds = ROUNDS if times > 1 else max(ROUNDS // 3, 2)
        taken = await compare(sides, times, clock, chosen, rounds)
        base = taken[names[0]]
        for name in chosen[1:]:
            pairs = zip(taken[name], base, strict=True)
            ratio = statistics.median(mine / its for mine, its in pairs)
            found.append({"what": what, "side": name, "of": names[0], "ratio": ratio})
    if is_stream:
        found.append({"what": "stream", "side": "memory", "of": "MB", "ratio": sides.grown})
    async with sides.uow.read_only() as uow:
        rows = await uow.items.count()
    print(json.dumps({"rows": rows, "found": found}))
    await database.dispose()


upgrade(settings)
run(main)
