"""A page in the system's Chromium that must load nothing from a network and raise no error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = "no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
ARGUMENTS = ["--headless", *(f"--{option}" for option in OPTIONS.split())]
needs_chromium = pytest.mark.skipif(not CHROMIUM.is_file(), reason="no Chromium on this machine")


@contextmanager
def page_of(file: Path) -> Iterator[Any]:
    """Open a report and wait until its script has run; errors and requests that it made fail at the end."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
        show(page, file)
        yield page
        browser.close()
    assert wrong == []


def show(page: Any, file: Path) -> None:
    """Go to another report in the same page."""
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready='1']")
