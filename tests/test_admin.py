"""The admin page in a real browser: nobody in without the password, and no secret shown."""

from __future__ import annotations

import csv
import io
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browser import browser, fill, find, log_in, save
from projects import Project, ask, postgres_database
from pwdlib import PasswordHash
from rendering import EVERYTHING, LATER, SESSIONS, Renderer
from selenium.webdriver.support.select import Select

ADMIN: dict[str, Any] = EVERYTHING | {"extras": ["admin"]}
PASSWORD = "correct horse battery"
VARIABLES = {
    "ADMIN_PASSWORD_HASH": PasswordHash.recommended().hash(PASSWORD),
    "ADMIN_SESSION_SECRET": "0123456789abcdef0123456789abcdef",
}


@SESSIONS
def test_whoever_knows_the_password_sees_and_changes_rows_but_no_secret(
    renderer: Renderer, tmp_path: Path, sessions: str
) -> None:
    answers = ADMIN | {"sessions": sessions}
    url = f"sqlite:///{tmp_path}/shop.db"
    project = Project(renderer.render(answers), answers, url)
    project.run_each("shop migrate", "shop seed --rows=3")
    with project.serve(**VARIABLES) as address, browser(tmp_path / "profile") as driver:
        log_in(driver, address, "wrong")
        assert "Invalid credentials" in driver.page_source
        driver.get(f"{address}/admin/user/list")
        assert driver.current_url == f"{address}/admin/login"

        log_in(driver, address, PASSWORD)
        assert driver.current_url == f"{address}/admin/"
        pages = []
        for path in ("user/list", "user/details/{}", "user/edit/{}", "file/list", "task/list"):
            driver.get(f"{address}/admin/{path.format('00000000-0000-7000-8000-000000000002')}")
            pages.append(driver.page_source)
        assert "user2@example.com" in pages[0]
        assert "user2@example.com" in pages[1]
        for page in pages:
            assert "argon2" not in page
            assert "hashed_password" not in page
        driver.get(f"{address}/admin/user/list")
        assert "/admin/user/create" not in driver.page_source

        driver.get(f"{address}/admin/user/edit/00000000-0000-7000-8000-000000000002")
        role = Select(find(driver, "[name=role]"))
        assert role.first_selected_option.text == "viewer"
        fill(driver, full_name="Ann Other")
        role.select_by_visible_text("editor")
        save(driver)
        driver.get(f"{address}/admin/item/create")
        fill(driver, name="from the page", owner_id="00000000-0000-7000-8000-000000000002")
        save(driver)
        driver.get(f"{address}/admin/logout")
        driver.get(f"{address}/admin/user/list")
        assert driver.current_url == f"{address}/admin/login"

    assert rows(tmp_path, "SELECT full_name, role FROM users WHERE email LIKE 'user2%'") == [
        ("Ann Other", "editor")
    ]
    stored = rows(
        tmp_path, "SELECT i.name, u.full_name FROM items i JOIN users u ON owner_id = u.id"
    )
    assert ("from the page", "Ann Other") in stored


def rows(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        return connection.execute(statement).fetchall()


def test_the_page_is_guarded_whatever_is_sent(renderer: Renderer, postgres_url: str) -> None:
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(ADMIN), ADMIN, url)
        project.run_each("shop migrate", "shop seed --rows=3")
        with project.serve() as address:
            assert ask(f"{address}/admin/login")[0] == 404
        # SQLAdmin logs what it refuses with a traceback, which the end of `serve` would not take.
        with project.serve_process(ENVIRONMENT="production", **VARIABLES) as served:
            address = served.address
            client = Client(address)
            assert client.get("user/export/csv").url.endswith("/admin/login")
            client.cookies = "admin=" + "forged"
            assert client.get("user/list").url.endswith("/admin/login")
            entered = client.log_in(PASSWORD)
            for mark in ("HttpOnly", "path=/admin", "samesite=strict", "secure"):
                assert mark.lower() in entered.lower(), entered

            exported = list(csv.DictReader(io.StringIO(client.get("user/export/csv").text)))
            assert len(exported) == 3
            assert "email" in exported[0]
            assert "hashed_password" not in exported[0]
            assert "argon2" not in client.get("user/export/json").text
            assert client.get("user/list?sortBy=hashed_password").status == 400
            # What is taken is said in our words, not in the database's.
            form = {"email": "user1@example.com", "full_name": "x", "role": "viewer"}
            taken = client.post("user/edit/00000000-0000-7000-8000-000000000002", form)
            assert taken.status == 400
            assert "A value that must be unique is taken" in taken.text
            assert "asyncpg" not in taken.text

            orphan = client.post("item/create", {"name": "x", "owner_id": f"{9:032x}"})
            assert orphan.status == 400
            assert "A row that must exist does not" in orphan.text
            assert "asyncpg" not in orphan.text

            other = Client(address)
            statuses = [other.get_in("a guess") for _ in range(11)]
            assert statuses == [400] * 10 + [429]
            # Who is in already stays in.
            assert client.get("user/list").url.endswith("/admin/user/list")
            assert other.get_in(PASSWORD) == 429


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_saving_a_form_changes_no_value_that_was_left_alone(
    renderer: Renderer, tmp_path: Path, sessions: str
) -> None:
    answers = ADMIN | {"sessions": sessions}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/shop.db")
    project.run_each("shop migrate", "shop seed --rows=7")
    columns = "id, status, priority, configuration, result, error, tags, active, started_at, type"
    before = rows(tmp_path, f"SELECT {columns} FROM tasks ORDER BY id")
    with project.serve(**VARIABLES) as address, browser(tmp_path / "profile") as driver:
        log_in(driver, address, PASSWORD)
        for number in range(1, 8):
            driver.get(f"{address}/admin/task/edit/00000000-0000-7000-8000-{number:012}")
            save(driver)
            assert driver.current_url == f"{address}/admin/task/list", find(driver, "form").text

    assert rows(tmp_path, f"SELECT {columns} FROM tasks ORDER BY id") == before


class Client:
    """Asks for pages of the admin, with the cookie that it has got."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = ""

    def get(self, path: str) -> Page:
        return self._open(path, None)

    def post(self, path: str, form: dict[str, str]) -> Page:
        return self._open(path, form)

    def get_in(self, password: str) -> int:
        """Try a password, and return the status."""
        return self.post("login", {"username": "admin", "password": password}).status

    def log_in(self, password: str) -> str:
        """Log in, and return the cookie with what it says about itself."""
        opener = urllib.request.build_opener(Stay)
        form = urllib.parse.urlencode({"username": "admin", "password": password}).encode()
        try:
            opener.open(f"{self.address}/admin/login", form)
        except urllib.error.HTTPError as redirect:
            cookie = str(redirect.headers["set-cookie"])
        self.cookies = cookie.partition(";")[0]
        return cookie

    def _open(self, path: str, form: dict[str, str] | None) -> Page:
        request = urllib.request.Request(f"{self.address}/admin/{path}")
        request.add_header("Cookie", self.cookies)
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with urllib.request.urlopen(request, data, timeout=20) as response:
                return Page(response.status, response.url, response.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.code, error.url or "", error.read().decode())


class Page(NamedTuple):
    status: int
    url: str
    text: str


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, so that its cookie can be read."""

    def redirect_request(self, *_: Any) -> None:
        return None
