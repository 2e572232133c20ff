"""A real browser without a network: Debian's chromium by its own driver."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER) and "CI" not in os.environ,
    reason="needs the packages chromium and chromium-driver",
)


@contextmanager
def opened(page: Path, scripts: bool = True) -> Iterator[Browser]:
    """Open a page from disk."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1400,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        driver.get(page.resolve().as_uri())
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What tests do to a page, and ask of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        """Elements that are there now."""
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Their texts, also of those out of view."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        found: list[str] = self.run(script, selector)
        return found

    def click(self, selector: str, number: int = 0) -> None:
        """Click one of them, where a reader would."""
        element = self.all(selector)[number]
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def write(self, selector: str, text: str) -> None:
        """Write into a field, in the place of what is in it."""
        field = self.all(selector)[0]
        field.clear()
        field.send_keys(text)

    def until(self, true: Callable[[], Any], seconds: float = 20) -> Any:
        """Wait until something is true; fail if it does not become it."""
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.05)
        return found

    def complaints(self) -> list[str]:
        """What the console has of errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> set[str]:
        """Schemes and addresses of all that was requested since the last call."""
        said = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {
            one["params"]["request"]["url"] for one in said if one["method"] == "Network.requestWillBeSent"
        }
        return {"data:" if url.startswith("data:") else url for url in urls}
