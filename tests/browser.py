"""A real browser: Chromium without a window, as Debian's packages install it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

BROWSERS = ("chromium", "google-chrome")
HOW_TO_GET = "Chromium and its driver are not installed: make services"
SECONDS = 60


def program() -> str | None:
    """Return the path of the browser, if it and its driver are installed."""
    found = filter(None, map(shutil.which, BROWSERS))
    return next(found, None) if shutil.which("chromedriver") else None


@contextmanager
def browser(profile: Path) -> Iterator[Chrome]:
    """Give a browser that knows nothing of others, and ends with the block."""
    if (path := program()) is None:
        pytest.fail(HOW_TO_GET) if "CI" in os.environ else pytest.skip(HOW_TO_GET)
    options = ChromeOptions()
    options.binary_location = str(path)
    # A container has neither the namespaces of its sandbox nor much shared memory.
    for name in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{name}")
    options.add_argument("--window-size=1100,640")
    options.add_argument(f"--user-data-dir={profile}")
    driver = Chrome(options, Service(str(shutil.which("chromedriver"))))
    driver.implicitly_wait(SECONDS)
    driver.set_page_load_timeout(SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


def find(driver: Chrome, selector: str) -> WebElement:
    """Return what a CSS selector names, once it is there."""
    return driver.find_element(By.CSS_SELECTOR, selector)


def fill(driver: Chrome, **texts: str) -> None:
    """Type texts into fields."""
    for name, text in texts.items():
        field = find(driver, f"[name={name}]")
        field.clear()
        field.send_keys(text)


def save(driver: Chrome) -> None:
    """Send the form by the keyboard, wherever its button is."""
    button = find(driver, "[name=save][value=Save]")
    follow(driver, lambda: button.send_keys(Keys.ENTER))


def log_in(driver: Chrome, address: str, password: str) -> None:
    driver.get(f"{address}/admin/login")
    fill(driver, username="admin", password=password)
    follow(driver, find(driver, "button[type=submit]").click)


def follow(driver: Chrome, act: Callable[[], None]) -> None:
    """Do what leads to another page, and wait until that is there."""
    driver.execute_script("document.isLeft = true")
    act()
    # Between two pages, the driver may have none to ask.
    waiting = WebDriverWait(driver, SECONDS, ignored_exceptions=[WebDriverException])
    there = "return !document.isLeft && document.readyState === 'complete'"
    waiting.until(lambda _: driver.execute_script(there))
