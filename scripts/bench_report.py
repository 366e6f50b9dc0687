"""Measure how long report pages of an inventory take to write, and to open in headless Chromium.

    python -m scripts.bench_report ASSETS --out FOLDER [--chromium /usr/bin/chromium]

Assets are synthetic: every 5 m along roads of 100 km, of four classes. For the first page with assets, and for the
index where there are several: seconds from the address to the page having drawn all it shows, how many of them its
thread was at work (which other programs on the machine do not lengthen much), and seconds to a filter's result.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.report.page import write_report

CLASSES = ("pole", "warning_sign", "information_sign", "bus_stop")
SPACE_M, ROAD_M = 5.0, 100_000.0


def synthetic(count: int) -> Inventory:
    """Return an inventory of so many assets."""
    rng = np.random.default_rng(0)
    assets = []
    for k in range(count):
        road, along = divmod(k * SPACE_M, ROAD_M)
        values = {
            "route": f"{int(road) + 1:04d}-0101", "chainage_m": along, "track_m": along, "side": "left",
            "chainage": f"{int(along // 1000)}+{int(along % 1000):03d}", "height_m": 2.0, "width_m": 1.0,
            "source": "drive.mp4", "best_frame": k, "observations": 5, "passes": 1, "class_votes": "pole 3.0",
            "sigma_along_m": 1.0, "sigma_across_m": 1.0,
        }  # fmt: skip
        place = np.array([[along, 3.0 * road + rng.normal()]])
        asset = Asset(CLASSES[k % 4], "point", place, np.eye(2), float(rng.uniform(0.4, 1)), values)
        asset.asset_id = f"a-{k:08d}"
        assets.append(asset)
    return Inventory(LocalProjection(100.0, 14.0), assets, [[np.array([[0.0, 0.0], [ROAD_M, 0.0]])]], ["synthetic"])


def opened(page: Page, path: Path) -> tuple[float, float, float | None]:
    """Return the seconds that a page takes to open, those of its own thread, and to apply a filter where it has one."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready='1']", timeout=120_000)
    ready = time.perf_counter() - start
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    filters = page.locator("#filters input")
    if not filters.count():
        return ready, metrics["TaskDuration"], None
    start = time.perf_counter()
    filters.first.uncheck()
    page.inner_text("#total")
    return ready, metrics["TaskDuration"], time.perf_counter() - start


def main() -> None:
    """Write the pages, open them, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=int)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    inventory = synthetic(options.assets)
    start = time.process_time()
    pages = write_report(options.out / "report.html", inventory)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.assets} assets: written in {time.process_time() - start:.1f} s of processor time, {memory:.0f} MB")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=options.chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for path in [options.out / "report.html", *pages[:1]]:
            ready, own, filtered = opened(browser.new_page(), path)
            size = path.stat().st_size / 1e6
            more = "" if filtered is None else f", a filter in {filtered:.2f} s"
            print(f"{path.name}: {size:.2f} MB, opens in {ready:.2f} s ({own:.2f} s of its thread){more}")
        browser.close()


if __name__ == "__main__":
    main()
