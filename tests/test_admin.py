"""The admin page in a real browser: nobody in without the password, and no secret shown."""

from __future__ import annotations

import csv
import io
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import browser, fill, find, log_in
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
        find(driver, "[name=save][value=Save]").click()
        find(driver, "table")
        driver.get(f"{address}/admin/item/create")
        fill(driver, name="from the page", owner_id="00000000-0000-7000-8000-000000000002")
        find(driver, "[name=save][value=Save]").click()
        find(driver, "table")
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
