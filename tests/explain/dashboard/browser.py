"""Chromium without a window, and a running optuna-dashboard to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import TypeVar
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait


T = TypeVar("T")

SECONDS = 30
# It needs no network: what it would fetch by itself is switched off.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing() -> str | None:
    """What a browser test lacks on this machine; `None` if nothing."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} not installed" if lacking else None


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """A browser that begins with nothing."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for flag in (*_FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def until(driver: webdriver.Chrome, seen: Callable[[], T]) -> T:
    """Wait until something is seen that is not false, and return it."""
    found: T = WebDriverWait(driver, SECONDS, poll_frequency=0.2).until(lambda _: seen())
    return found


@contextmanager
def dashboard(storage: str) -> Iterator[str]:
    """A running optuna-dashboard; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("optuna-dashboard")),
        *("--host", "127.0.0.1", "--port", str(port), storage),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/dashboard"
    try:
        for _ in range(SECONDS * 10):
            if server.poll() is not None:
                raise RuntimeError(f"optuna-dashboard ended with {server.returncode}")
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                try:
                    server.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        yield address
    finally:
        server.terminate()
        server.wait()


def screenshot(driver: webdriver.Chrome, path: Path) -> None:
    """Keep what the browser shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert driver.save_screenshot(str(path))
