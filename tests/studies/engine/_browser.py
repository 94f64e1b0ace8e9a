"""`lcfs ui` as a process, and a headless Chromium that looks at its pages."""

import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


def call_lcfs(*arguments: str) -> list[str]:
    """The command as this interpreter's."""
    return [sys.executable, "-c", "from lcfs.cli import main; main()", *arguments]


@contextmanager
def pages(*arguments: str) -> Iterator[str]:
    """`lcfs ui ARGUMENTS` until the end of the block; the address that it printed."""
    with subprocess.Popen(call_lcfs("ui", *arguments), stdout=subprocess.PIPE, text=True) as ui:
        try:
            assert ui.stdout is not None
            address = re.search(r"http\S+", ui.stdout.readline())
            assert address, "lcfs ui prints an address first"
            wait_for(lambda: answers(address[0].split("/#")[0]), ui)
            yield address[0]
        finally:
            ui.terminate()
            ui.communicate()


def answers(address: str) -> bool:
    """Whether MLflow is ready there."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[Any] | None" = None, seconds: float = 240) -> Any:
    """What the condition gives once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        assert process is None or process.poll() is None, "the server ended"
        time.sleep(0.2)
    raise AssertionError(f"nothing came in {seconds:g} s")


class Browser:
    """A headless Chromium with a profile of its own."""

    def __init__(self, profile: Path, width: int = 1600, height: int = 1200) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
        for flag in (*flags, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def open(self, address: str, *words: str) -> str:
        """Go to a page and wait until all words are on it; its text."""
        self.driver.get("about:blank")  # an address that differs after # alone is no new page
        self.driver.get(address)
        return self.read(*words)

    def read(self, *words: str) -> str:
        """The text of the page once all words are on it."""

        found = ""

        def text() -> str:
            nonlocal found
            found = self.driver.find_element("css selector", "body").text
            return found if all(word in found for word in words) else ""

        try:
            return wait_for(text)
        except AssertionError as error:
            missing = [word for word in words if word not in found]
            raise AssertionError(f"{missing} did not come on a page that says:\n{found}") from error

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector or, with //, an XPath finds."""
        by = "xpath" if selector.startswith("//") else "css selector"
        element = wait_for(lambda: self.driver.find_elements(by, selector))[0]
        self.driver.execute_script("arguments[0].click()", element)

    def close_assistant(self) -> None:
        """Close MLflow's assistant, which opens by itself at the first visit and takes a quarter of the window."""
        for button in self.driver.find_elements(
            "css selector", "[data-component-id='mlflow.assistant.chat_panel.close']"
        ):
            self.driver.execute_script("arguments[0].click()", button)

    def quit(self) -> None:
        """End the browser."""
        self.driver.quit()
