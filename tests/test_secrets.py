"""A password in the URL works whatever it holds, and is shown nowhere."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from projects import Project, ask
from rendering import SESSIONS, Renderer
from servers import FragileServer, fragile_server

PASSWORD = "p@ss%w:rd/#?"
ENCODED = quote(PASSWORD, safe="")
# Any part of it that nothing else has: as it is, encoded, or encoded again.
SHOWN = re.compile(r"p(@|%(25)*40)ss|ss%(25)*w|w(:|%(25)*3A)rd", re.IGNORECASE)
# In the place for it, and in the query, where drivers take it too.
FORMS = [
    "postgresql://app:{password}@{server}/{database}",
    "postgresql://app@{server}/{database}?password={password}",
]
RULES = """
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""

# Says everything that can be said about a database, with every logger on.
# Its arguments are two URLs that work, and some that do not.
TELL_ALL = """
import json, logging, os, sys, traceback
from alembic.config import main as alembic
from pydantic import SecretStr
from shop.__main__ import app
from shop.db.engine import Database
from shop.db.health import read_heads
from shop.db.runtime import run
from shop.settings import Settings

logging.basicConfig(level=logging.DEBUG)
os.environ["DATABASE_ECHO"] = "true"
for url in sys.argv[1:3]:
    os.environ["DATABASE_URL"] = url
    for command in ("migrate", "check", "seed --rows=2"):
        app(command.split(), standalone_mode=False)
    for command in ("upgrade head", "current --verbose", "check", "upgrade head --sql"):
        alembic(command.split())
for number, url in enumerate(sys.argv[1:]):
    settings = Settings(database_url=SecretStr(url))
    engine = Database(settings).engine
    print(settings, repr(settings), vars(settings), settings.model_dump(), settings.address)
    print(settings.model_dump_json(), json.dumps(settings.model_dump(mode="json")))
    print(settings.url, repr(settings.url), engine, vars(getattr(engine, "sync_engine", engine)))
    try:
        run(read_heads, settings)
        print("REACHED", number)
    except Exception as error:
        logging.exception("FAILED %s", number)
        while error:
            print(repr(error), error, error.args)
            error = error.__cause__ or error.__context__
"""


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[FragileServer]:
    """A server that asks everyone but its owner for a password."""
    with fragile_server() as started:
        started.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        (started.data / "pg_hba.conf").write_text(RULES)
        started.execute("SELECT pg_reload_conf()")
        yield started


@pytest.fixture
def database(server: FragileServer) -> Iterator[str]:
    """Make an empty database with a name that a URL must encode; return it encoded."""
    server.execute('CREATE DATABASE "a?b" OWNER app')
    yield "a%3Fb"
    server.execute('DROP DATABASE "a?b" WITH (FORCE)')


@SESSIONS
def test_the_password_works_and_is_shown_nowhere(
    renderer: Renderer, server: FragileServer, database: str, sessions: str
) -> None:
    def urls(name: str, host: str = server.address, password: str = ENCODED) -> list[str]:
        return [form.format(server=host, database=name, password=password) for form in FORMS]

    for url in urls(database, password="wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url)
    usable = urls(database)
    unusable = [
        *(url.replace("app", "nobody") for url in usable),
        *urls("missing"),
        *urls(database, "127.0.0.1:1"),
        *urls(database, "no.such.host.invalid"),
    ]
    answers = {"package_name": "shop", "sessions": sessions}
    project = Project(renderer.render(answers), answers, usable[1])

    told = project.run_code(TELL_ALL, *usable, *unusable)
    for said in ("INSERT INTO items", "No new upgrade operations", "CREATE TABLE items"):
        assert said in told
    assert re.findall(r"(REACHED|FAILED) (\d)", told) == [
        *(("REACHED", str(number)) for number in range(2)),
        *(("FAILED", str(number)) for number in range(2, 2 + len(unusable))),
    ]
    assert told.count("Traceback") > len(unusable)
    assert shown_in(told) == []

    with project.serve_process(DATABASE_ECHO="true") as served:
        address = served.address
        answers_given = [ask(f"{address}/{path}") for path in ("health/ready", "items")]
        assert [status for status, _ in answers_given] == [200, 200]
        assert len(answers_given[1][1]["items"]) == 2
        with server.killed():
            answers_given += [ask(f"{address}/{path}") for path in ("health/ready", "items")]
        assert [status for status, _ in answers_given] == [200, 200, 503, 503]
        served.process.send_signal(signal.SIGTERM)
        output = served.end()
    assert "FROM items" in output
    assert shown_in(f"{output}{answers_given}") == []


def shown_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if SHOWN.search(line)]


def test_every_spelling_of_the_password_would_be_noticed() -> None:
    for spelling in (PASSWORD, ENCODED, quote(ENCODED), PASSWORD[:4], "ss%w:rd/#?@host"):
        assert SHOWN.search(f"postgresql://app:{spelling}@host")
    assert not SHOWN.search("postgresql://app:***@127.0.0.1/a?b password=*** passed swords")
