"""Whether a server has room for the pools of a service is told before the service needs it."""

from __future__ import annotations

from pathlib import Path

from projects import Project, mysql_database, postgres_database
from rendering import Renderer

ANSWERS = {"package_name": "shop", "database": "postgresql", "other_databases": ["mysql"]}


def test_check_compares_the_pools_of_all_workers_with_what_the_server_takes(
    renderer: Renderer, tmp_path: Path, postgres_url: str, mysql_url: str
) -> None:
    with postgres_database(postgres_url) as url, mysql_database(mysql_url) as other:
        project = Project(renderer.render(ANSWERS), ANSWERS, url)
        on_mysql = {"DATABASE_URL": other}
        on_sqlite = {"DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"}
        few, many = (
            {"DATABASE_POOL_SIZE": "4"},
            {"WEB_CONCURRENCY": "40", "DATABASE_POOL_SIZE": "4"},
        )
        ends = project.try_each(
            ("shop check", few),
            ("shop check", many),
            ("shop check", many | {"DATABASE_POOLER": "pgbouncer"}),
            ("shop check --workers=2", few | on_mysql),
            ("shop check --workers=40", few | on_mysql),
            ("shop check --workers=40", on_sqlite),
        )

    lower = "lower DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW, or serve with fewer processes"
    room = [
        [line for line in (end.stdout + end.stderr).splitlines() if line.startswith("D002")]
        for end in ends
    ]
    pools = "connections, and the pools may open"
    assert room == [
        [f"D002 ok: postgresql takes 197 {pools} 1 x 14."],
        [f"D002 warning: postgresql takes 197 {pools} 40 x 14. Hint: {lower}."],
        [],
        [f"D002 ok: mysql takes 200 {pools} 2 x 14."],
        [f"D002 warning: mysql takes 200 {pools} 40 x 14. Hint: {lower}."],
        [],
    ]
    assert all("D001 ok: " in end.stdout for end in ends)
