"""A served project goes on writing once a standby was promoted: it is not started again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from projects import Project, ask, wait_until
from rendering import LATER, LAYERS, Renderer, answers_of
from replication import Cluster, cluster

ANSWERS: dict[str, Any] = {"package_name": "shop", "database": "postgresql", "examples": ["items"]}
SETTINGS = {
    "DATABASE_POOL_SIZE": "4",
    "DATABASE_MAX_OVERFLOW": "0",
    "DATABASE_CONNECT_TIMEOUT": "1",
    "DATABASE_STATEMENT_TIMEOUT": "1",
}
# How long writes may be gone after the promotion.
SOON = 9


@pytest.fixture
def pair() -> Iterator[Cluster]:
    with cluster() as started:
        started.primary.execute("CREATE DATABASE shop")
        yield started


def write(address: str, names: list[str], clients: int = 4) -> list[int]:
    """Store an item from each of some clients at once, and keep the names of those stored."""

    def store(client: int) -> int:
        name = f"{len(names)} {client}"
        status, item = ask(f"{address}/items", {"name": name})
        if status == 201:
            names.append(item["name"])
        return status

    with ThreadPoolExecutor(clients) as executor:
        return list(executor.map(store, range(clients)))


def seconds_until_all_are_stored(address: str, names: list[str]) -> float:
    began = time.monotonic()
    wait_until(lambda: write(address, names) == [201] * 4, 30)
    return time.monotonic() - began


@LAYERS
def test_writes_resume_after_each_promotion_and_nothing_is_lost(
    renderer: Renderer, pair: Cluster, layer: str
) -> None:
    answers = ANSWERS | answers_of(layer)
    project = Project(renderer.render(answers), answers, pair.url("shop"))
    names: list[str] = []
    project.run("shop", "migrate")
    with project.serve(**SETTINGS) as address:
        assert write(address, names) == [201] * 4

        # The first of the URL goes on accepting connections, and must not be waited for.
        pair.primary.freeze()
        lost = pair.fail_over()
        assert seconds_until_all_are_stored(address, names) < SOON
        # Also what reads comes from the new one.
        assert len(ask(f"{address}/items?limit=200")[1]["items"]) >= len(names)
        pair.rejoin(lost)

        pair.primary.kill()
        assert set(write(address, names)) == {503}
        pair.fail_over()
        assert seconds_until_all_are_stored(address, names) < SOON
    stored = {name for (name,) in pair.primary.execute("SELECT name FROM items", database="shop")}
    assert set(names) <= stored


@LATER
@pytest.mark.parametrize("layer", ["async", "sync", "pydal"])
def test_a_write_on_a_standby_is_a_503_until_it_is_promoted(
    renderer: Renderer, pair: Cluster, layer: str
) -> None:
    answers = ANSWERS | answers_of(layer)
    standby = pair.standby
    project = Project(renderer.render(answers), answers, standby.url("shop"))
    project.run("shop", "migrate", DATABASE_URL=pair.url("shop"))
    ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'shop'"
    with project.serve(**SETTINGS) as address:
        assert ask(f"{address}/items")[0] == 200
        assert len(standby.execute(ours)) == 1
        status, problem = ask(f"{address}/items", {"name": "Lamp"})
        assert (status, problem["detail"]) == (
            503,
            "The database that is reached accepts no writes.",
        )
        # Whoever is reached at this address the next time may be the primary.
        wait_until(lambda: standby.execute(ours) == [])

        pair.primary.kill()
        pair.fail_over()
        assert ask(f"{address}/items", {"name": "Lamp"})[0] == 201
