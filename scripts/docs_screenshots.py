"""Take the screenshots of HTML reports that the documentation shows.

    python scripts/docs_screenshots.py inventory/report.html docs/images/inventory_report.jpg
    python scripts/docs_screenshots.py report/report.html docs/images/report_page.jpg --height 1400

Needs `pip install playwright` and Chromium, that of the system or playwright's own.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

LARGEST_BYTES = 200_000


def screenshot(page: Path, width: int, height: int) -> Image.Image:
    """Return what a browser shows of a page, from its top."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": width, "height": height})
        shown.goto(page.resolve().as_uri())
        shown.wait_for_timeout(1500)
        picture = Image.open(io.BytesIO(shown.screenshot()))
        browser.close()
    return picture.convert("RGB")


def main() -> None:
    """Take one screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=800)
    arguments = parser.parse_args()
    picture = screenshot(arguments.page, arguments.width, arguments.height)
    for quality in range(85, 20, -5):
        picture.save(arguments.out, quality=quality, optimize=True)
        if arguments.out.stat().st_size <= LARGEST_BYTES:
            break
    print(arguments.out, arguments.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
