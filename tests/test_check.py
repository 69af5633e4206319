"""What `check` tells of a service: each of its codes, where it belongs and where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from projects import (
    End,
    Project,
    ask_mysql,
    mysql_database,
    postgres_database,
    project_at,
)
from rendering import SESSIONS, Renderer

ANSWERS = {"package_name": "shop", "database": "postgresql", "other_databases": ["mysql"]}
REPLICAS = {"package_name": "shop", "database": "postgresql", "extras": ["replicas"]}
PRODUCTION = {"ENVIRONMENT": "production"}
LINE = re.compile(r"([SDM]\d{3}) (ok|skipped|warning|error): .+\.")
# Never reached: what only the settings tell is told without a server.
AWAY = "postgresql://ann:s3cret@db.invalid/shop"


def told(end: End) -> dict[str, str]:
    """Return the level of each code; what wants a hint is among the errors, and has one."""
    found = {}
    for line in (end.stdout + end.stderr).splitlines():
        if match := LINE.fullmatch(line):
            code, level = match.groups()
            found[code] = level
            assert (level in ("warning", "error")) == (line in end.stderr) == (" Hint: " in line)
    return found


def bad(end: End) -> set[str]:
    return {code for code, level in told(end).items() if level in ("warning", "error")}


@pytest.fixture
def project(renderer: Renderer) -> Project:
    return Project(renderer.render(ANSWERS), ANSWERS, "")


def test_dangerous_settings_are_told_in_production_only(renderer: Renderer, tmp_path: Path) -> None:
    # A file in the project's folder is one of them.
    project = project_at(renderer, tmp_path, "", ANSWERS)
    careless = {"DATABASE_URL": "sqlite:///shop.db", "DATABASE_ECHO": "true"}
    careful = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"}
    _, *ends = project.try_each(
        ("shop migrate", careful),
        ("shop check", careful | PRODUCTION),
        ("shop check --strict", careful | PRODUCTION),
        ("shop migrate", careless),
        ("shop check --strict", careless),
        ("shop check", careless | PRODUCTION),
        ("shop check --strict", careless | PRODUCTION),
        ("shop check", {"DATABASE_URL": "sqlite:///file:shop.db?uri=true"} | PRODUCTION),
        ("shop check", {"DATABASE_URL": f"sqlite:///file:{tmp_path}/a.db?uri=true"} | PRODUCTION),
    )

    right = dict.fromkeys(("S001", "M001", "D001", "M002", "M004"), "ok")
    assert told(ends[0]) == told(ends[1]) == told(ends[3]) == right
    assert told(ends[4]) == told(ends[5]) == right | {"S002": "warning", "S006": "warning"}
    # The second file has no schema, and a place of its own.
    assert "S006" in bad(ends[6])
    assert bad(ends[7]) == {"M002"}
    assert [end.code for end in ends] == [0, 0, 0, 0, 0, 1, 0, 1]


def test_a_server_that_is_away_is_to_be_reached_encrypted(project: Project) -> None:
    several = "postgresql://ann:s3cret@127.0.0.1:1,db.invalid:1/shop"
    mysql = "mysql://ann:s3cret@db.invalid/shop"
    certain, uncertain = {"PGSSLMODE": "require"}, {"PGSSLMODE": "prefer"}
    told_of = [
        {"DATABASE_URL": AWAY},
        {"DATABASE_URL": AWAY} | uncertain,
        {"DATABASE_URL": f"{AWAY}?ssl=allow"} | certain,
        {"DATABASE_URL": several},
        {"DATABASE_URL": f"{AWAY}?ssl=require", "DATABASE_DIRECT_URL": AWAY},
        {"DATABASE_URL": mysql},
    ]
    not_told_of = [
        {"DATABASE_URL": AWAY} | certain,
        {"DATABASE_URL": f"{AWAY}?ssl=verify-full"},
        {"DATABASE_URL": "postgresql://ann:s3cret@127.0.0.1:1/shop"},
        {"DATABASE_URL": "postgresql:///shop?host=/no/such/folder"},
        {"DATABASE_URL": f"{mysql}?ssl_ca=/etc/ssl/certs/ca-certificates.crt"},
        {"DATABASE_URL": "mysql://ann:s3cret@127.0.0.1:1/shop"},
    ]
    ends = project.try_each(
        *(("shop check", one | PRODUCTION) for one in (*told_of, *not_told_of)),
        ("shop check", told_of[0]),
    )

    for end in ends[: len(told_of)]:
        assert "S003 warning: nothing encrypts the way to db.invalid" in end.stderr, end
    for end in ends[len(told_of) :]:
        assert "S003" not in end.stdout + end.stderr, end
    for end in ends:
        # The rest is looked at all the same, and nobody says that the schema is right.
        assert told(end)["D001"] == "error"
        assert (told(end)["M001"], told(end)["M002"], "M004" in told(end)) == (
            "ok",
            "skipped",
            False,
        )
        assert end.code == 1
        assert "s3cret" not in end.stdout + end.stderr


def account(url: str) -> tuple[str, str]:
    """Return a name that no account has yet, and the URL with it."""
    name, there = f"service_{uuid4().hex[:12]}", urlsplit(url)
    address = there.netloc.rpartition("@")[2]
    return name, there._replace(netloc=f"{name}:secret@{address}").geturl()


@contextmanager
def patient_role(url: str) -> Iterator[str]:
    """Make a role that only reads one database, and never waits forever; yield the URL with it."""
    name, own = account(url)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (
            f"CREATE ROLE {name} LOGIN PASSWORD 'secret'",
            f"ALTER ROLE {name} SET statement_timeout = '30s'",
            f"ALTER ROLE {name} SET lock_timeout = '5s'",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
        ):
            connection.execute(statement.encode())
        try:
            yield own
        finally:
            connection.execute(f"DROP OWNED BY {name}".encode())
            connection.execute(f"DROP ROLE {name}".encode())


@SESSIONS
def test_a_role_of_postgresql_that_may_do_too_much_or_wait_too_long_is_told(
    renderer: Renderer, sessions: str, postgres_url: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(answers), answers, url)
        pooled = {"DATABASE_POOLER": "pgbouncer"} | PRODUCTION
        project.run("shop", "migrate")
        ends = project.try_each(
            ("shop check", PRODUCTION), ("shop check", pooled), "shop check --strict"
        )
        assert [bad(end) for end in ends] == [{"S004"}, {"S004", "S005"}, set()]
        assert [end.code for end in ends] == [0, 0, 0]
        # What a pooler refuses from the service, its role has.
        with patient_role(url) as own:
            (end,) = project.try_each(("shop check --strict", pooled | {"DATABASE_URL": own}))
    assert (bad(end), end.code) == (set(), 0)


@SESSIONS
def test_an_account_of_mysql_that_may_do_too_much_is_told(
    renderer: Renderer, sessions: str, mysql_url: str
) -> None:
    answers = ANSWERS | {"sessions": sessions}
    with mysql_database(mysql_url) as url:
        project = Project(renderer.render(answers), answers, url)
        name, own = account(url)
        ask_mysql(mysql_url, f"CREATE USER {name} IDENTIFIED BY 'secret'")
        ask_mysql(mysql_url, f"GRANT ALL ON {urlsplit(url).path[1:]}.* TO {name}")
        try:
            _, all_powerful, harmless = project.try_each(
                "shop migrate",
                ("shop check", PRODUCTION),
                ("shop check --strict", PRODUCTION | {"DATABASE_URL": own}),
            )
        finally:
            ask_mysql(mysql_url, f"DROP USER {name}")

    assert (bad(all_powerful), all_powerful.code) == ({"S004"}, 0)
    assert (bad(harmless), harmless.code) == (set(), 0)


def test_what_is_wrong_with_the_migrations_is_told(renderer: Renderer, tmp_path: Path) -> None:
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/shop.db", ANSWERS)
    behind, _, right = project.try_each("shop check", "shop migrate", "shop check")
    versions = project.folder / "migrations" / "versions"
    (first,) = versions.glob("*.py")
    branch = re.sub(r"(?m)^revision.*", 'revision = "other"', first.read_text())
    (versions / "other.py").write_text(branch)
    (several,) = project.try_each("shop check")

    assert told(behind) == {
        "S001": "ok",
        "M001": "ok",
        "D001": "ok",
        "M002": "error",
        "M004": "skipped",
    }
    assert (
        "M002 error: the schema is at no revision, behind 0001. Hint: run migrate." in behind.stderr
    )
    assert (bad(right), right.code) == (set(), 0)
    # A database at one of two has not all that the code needs.
    assert bad(several) == {"M001", "M002"}
    assert (
        "M001 error: the migrations have several ends: 0001, other. Hint: put one" in several.stderr
    )
    assert (behind.code, several.code) == (1, 1)


@SESSIONS
def test_each_replica_is_looked_at(renderer: Renderer, sessions: str, postgres_url: str) -> None:
    answers = REPLICAS | {"sessions": sessions}
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(answers), answers, url)
        # A port that only root may take.
        gone = "postgresql://ann:s3cret@127.0.0.1:1/shop"
        project.run("shop", "migrate")
        alone, both, lost, away = project.try_each(
            "shop check --strict",
            ("shop check --strict", {"DATABASE_REPLICA_URL": url}),
            ("shop check", {"DATABASE_REPLICA_URL": f"{url}, {gone}", "WEB_CONCURRENCY": "40"}),
            ("shop check", {"DATABASE_REPLICA_URL": AWAY} | PRODUCTION),
        )

    assert "D003" not in told(alone)
    assert ("may open 1 x 15" in alone.stdout, "may open 2 x 15" in alone.stdout) == (True, False)
    # It may have to stand in for the replica.
    assert re.search("^D002 ok: postgresql takes .* may open 2 x 15", both.stdout, re.MULTILINE)
    assert re.search("^D002 ok: the replica .* may open 1 x 15", both.stdout, re.MULTILINE)
    assert (told(both)["D003"], bad(both), both.code) == ("ok", set(), 0)
    assert both.stdout.count("D002 ok") == 2
    assert lost.code == 0
    assert lost.stderr.count("D002 warning") == 2
    assert "D003 warning: The database cannot be reached (127.0.0.1:1/shop)." in lost.stderr
    assert bad(away) == {"S003", "S004", "D003"}
