"""How long `transfer` takes from SQLite to PostgreSQL, beside the driver's own COPY of the rows.

    .venv/bin/python bench/transfer.py [--rows=1000000] [--rounds=5]

Both run in turn in one process, on a private server. COPY has its rows in memory, as the driver
wants them, and commits, into the same table with its indexes; `transfer` is the whole of it, from
the first connection to the last row that it has read back. What counts is the ratio of each round,
because a machine has moods.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import load_server  # noqa: E402
from rendering import Renderer, snapshot  # noqa: E402

# Runs inside a rendered project. For sync sessions, the words async and await are taken out.
ROUNDS = """
import gc, statistics, sys, time
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from sqlalchemy import insert, text
from uuid_utils.compat import uuid7

from shop.db.engine import create_engine
from shop.db.migrations import upgrade
from shop.db.runtime import run
from shop.db.transfer import transfer
from shop.features.items.models import Item
from shop.settings import Settings

NAMES = ["id", "name", "description", "created_at", "updated_at"]
count, rounds, source_url, target_url = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
source = Settings(database_url=SecretStr(source_url))
target = Settings(database_url=SecretStr(target_url))
for settings in (source, target):
    upgrade(settings)
noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

def row(number):
    moment = noon + timedelta(microseconds=number)
    description = "what there is to say about it" if number % 3 else None
    return uuid7(), f"Item {number * 7919 % count}", description, moment, moment

rows = [row(number) for number in range(count)]

async def fill():
    engine = create_engine(source)
    async with engine.begin() as connection:
        for start in range(0, count, 100_000):
            batch = [dict(zip(NAMES, values)) for values in rows[start : start + 100_000]]
            await connection.execute(insert(Item.__table__), batch)
    await engine.dispose()

async def empty():
    engine = create_engine(target)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("TRUNCATE items CASCADE", "VACUUM", "CHECKPOINT"):
            await connection.execute(text(statement))
    await engine.dispose()

async def timed(function, *arguments):
    await empty()
    gc.collect()
    begun = time.perf_counter()
    await function(*arguments)
    return time.perf_counter() - begun

async def main():
    await fill()
    gc.freeze()
    ratios = []
    for number in range(rounds):
        seconds = {}
        both = [(copy, ()), (transfer, (source, target))]
        for function, arguments in both[:: 1 - number % 2 * 2]:
            seconds[function] = await timed(function, *arguments)
        ratio = seconds[transfer] / seconds[copy]
        ratios.append(ratio)
        times = f"COPY {seconds[copy]:.2f} s, transfer {seconds[transfer]:.2f} s"
        print(f"{times}: {ratio:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")
"""
COPY = {
    "async": """
import asyncpg

async def copy():
    driver = await asyncpg.connect(target_url)
    async with driver.transaction():
        await driver.copy_records_to_table("items", records=rows, columns=NAMES)
    await driver.close()
""",
    "sync": """
import psycopg

def copy():
    with psycopg.connect(target_url) as driver, driver.cursor() as cursor:
        into = f"COPY items ({', '.join(NAMES)}) FROM STDIN (FORMAT BINARY)"
        with cursor.copy(into) as stream:
            stream.set_types(["uuid", "varchar", "text", "timestamptz", "timestamptz"])
            for values in rows:
                stream.write_row(values)
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, load_server("postgres").start() as server:
        shared = Path(name)
        (shared / "template").mkdir()
        snapshot(shared / "template")
        for sessions, copy in COPY.items():
            print(f"{sessions}, {options.rows} rows", flush=True)
            measure(Renderer(shared), sessions, copy, options, server.url)


def measure(
    renderer: Renderer, sessions: str, copy: str, options: argparse.Namespace, server: str
) -> None:
    answers = {"package_name": "shop", "sessions": sessions, "web": "none", "examples": ["items"]}
    project = renderer.render(answers)
    script = f"{ROUNDS}\n{copy}\nrun(main)"
    if sessions == "sync":
        script = script.replace("async ", "").replace("await ", "")
    source = f"sqlite:///{renderer.shared}/{sessions}.db"
    subprocess.run(
        [sys.executable, "-c", script, str(options.rows), str(options.rounds), source, server],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        check=True,
    )


if __name__ == "__main__":
    main()
