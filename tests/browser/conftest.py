"""Chromium without a window, and a page that is served for it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from Departments.web.application import House, make_application
from tests.web.conftest import Hands, hands, house, planned

__all__ = ["hands", "house", "planned"]  # fixtures that these tests share

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = "DEPARTMENTS_BROWSER"
MISSING = f"Chromium and chromedriver are not installed here: apt-get install them, or {BROWSER}=required"
SERIOUS = {"serious", "critical"}


def read_console(driver: webdriver.Chrome) -> list[dict[str, str]]:
    """Return what the console has said since it was last read."""
    return list(driver.get_log("browser"))  # type: ignore[no-untyped-call]


class Browser:
    """A browser with what these tests ask of a page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def look(self, url: str, *, width: int = 1000, dark: bool = False) -> None:
        """Open a page in a window of some width."""
        self.driver.set_window_size(width, 900)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(url)

    def run(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def complaints(self) -> list[str]:
        """Return what the console says."""
        return [row["message"] for row in read_console(self.driver)]

    def faults(self) -> list[str]:
        """Return the serious faults that axe finds."""
        self.driver.execute_script(AXE)
        found = self.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        rows = (row for row in found["violations"] if row["impact"] in SERIOUS)
        return [f"{row['id']}: {node['html'][:120]}" for row in rows for node in row["nodes"][:3]]

    def count_shades(self) -> int:
        """Return how many different bytes a picture of the window has: a blank one has few."""
        png, at, data = self.driver.get_screenshot_as_png(), 8, b""
        while at < len(png):
            length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
            data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
            at += length + 12
        return len(set(zlib.decompress(data)))

    def wait_for(self, words: str) -> None:
        """Wait until the page says some words, at most ten seconds."""
        for _ in range(200):
            if words in self.text:
                return
            time.sleep(0.05)  # the browser works by itself
        raise AssertionError(f"{words!r} is not on the page: {self.text[:500]}")


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    chromedriver = shutil.which("chromedriver")
    is_here = program is not None and chromedriver is not None
    if not is_here and os.environ.get(BROWSER) != "required":
        pytest.skip(MISSING)
    options = Options()
    if program is not None and is_here:  # else Selenium fetches both, or fails
        options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(chromedriver if is_here else None))
    yield started
    started.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Iterator[Browser]:
    read_console(driver)
    yield Browser(driver)
    first, *others = driver.window_handles
    for each in others:
        driver.switch_to.window(each)
        driver.close()
    driver.switch_to.window(first)
    driver.delete_all_cookies()
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@dataclass
class Served:
    """A page that is served, and the clock of its links."""

    address: str
    house: House
    hands: Hands


@pytest.fixture
def served(house: House, hands: Hands) -> Iterator[Served]:
    """Serve the page on a free port until the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            make_application(house), log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", house, hands)
        server.should_exit = True
        thread.join(timeout=10)
