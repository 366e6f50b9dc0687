"""Measure the review of an inventory: how it opens for a month's assets, and a keyboard run at a reviewer's pace.

    python scripts/review_inventory.py month --assets 150000 [--work FOLDER]
    python scripts/review_inventory.py keyboard --assets 300 --pace 5 [--work FOLDER]

Both write a synthetic inventory (GeoJSON, observations, GeoPackage), start `reg-yolo inventory review` on it, and drive
its page in the system's Chromium through playwright.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.outputs.layers import Layer
from reg_yolo.inventory.outputs.observed import SCHEMA
from reg_yolo.inventory.outputs.vector import new_geopackage, write_layer
from reg_yolo.inventory.review.index import write_index

CHROMIUM = "/usr/bin/chromium"
NAMES = ("เสาไฟ", "warning_sign", "guide_sign", "pavilion", "bus_stop")
METRES_PER_DEGREE = 111_320.0
KM_A_FILE = 100
SPACING_M = 26.7
"""150,000 assets along 4,000 km."""


def write_synthetic(folder: Path, assets: int, seed: int = 0, boxes: int = 20, spacing_m: float = SPACING_M) -> None:
    """Write an inventory of points along a road, each seen in some twenty frames; nothing of it was ever built."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    along = (np.arange(assets) + rng.random(assets)) * spacing_m
    places = np.stack([100 + along / METRES_PER_DEGREE / math.cos(math.radians(14)) % 5, np.full(assets, 14.0)], axis=1)
    places[:, 1] += rng.choice([-1, 1], assets) * 8 / METRES_PER_DEGREE + np.floor(along / 500_000) * 0.1
    probability, sigma = rng.beta(6, 1, assets), rng.gamma(4, 0.7, assets)
    classes = rng.integers(0, len(NAMES), assets)
    counts = np.maximum(rng.poisson(boxes, assets), 1)
    rows, shapes = [], []
    geojson = (folder / "inventory.geojson").open("w", encoding="utf-8")
    observed = (folder / "observations.jsonl").open("w", encoding="utf-8")
    with geojson, observed:
        geojson.write('{"type": "FeatureCollection", "features": [')
        observed.write(_line({"record": "header", "schema": SCHEMA, "assets": assets, "chapters": {}}))
        for n in range(assets):
            name, source = NAMES[classes[n]], f"/card/drive_{int(along[n] / 1000 / KM_A_FILE):02d}.mp4"
            row = _row(n, name, source, float(probability[n]), float(sigma[n]), int(counts[n]), float(along[n]))
            place = [round(float(places[n, 0]), 7), round(float(places[n, 1]), 7)]
            feature = {"type": "Feature", "id": row["asset_id"], "geometry": {"type": "Point", "coordinates": place}}
            geojson.write((", " if n else "") + json.dumps({**feature, "properties": row}, ensure_ascii=False))
            observed.write(_line(_observed(row, name, source)))
            rows.append(row)
            shapes.append(shapely.Point(place))
        geojson.write("]}\n")
    with new_geopackage(folder / "inventory.gpkg") as part:
        write_layer(part, Layer("points", "Point", COLUMNS, shapes, rows), "EPSG:32647", "GPKG")
        pieces = [
            shapely.LineString([[100 + x / METRES_PER_DEGREE / math.cos(math.radians(14)) % 5, 14.0] for x in piece])
            for piece in np.array_split(np.arange(0, along[-1] + 10, 5.0), max(1, int(along[-1] / 1000 / KM_A_FILE)))
            if len(piece) > 1
        ]
        ways = Layer("drive", "LineString", ("drive",), pieces, [{"drive": n} for n in range(len(pieces))])
        write_layer(part, ways, "EPSG:32647", "GPKG", append=True)
    write_index(folder)


def _row(
    n: int, name: str, source: str, probability: float, sigma: float, count: int, track_m: float
) -> dict[str, Any]:
    known = {
        "asset_id": f"{name}-{n:08x}", "class": name, "geometry_kind": "point", "probability": round(probability, 4),
        "sigma_along_m": round(sigma, 2), "sigma_across_m": round(sigma * 0.8, 2), "observations": count, "passes": 1,
        "first_seen": "2024-05-01T03:00:00.000Z", "last_seen": "2024-05-01T03:00:02.000Z", "height_m": 2.5,
        "width_m": 0.6, "lower_edge_m": 2.0, "track_m": round(track_m, 1), "source": source, "best_frame": n * 3 + 2,
        "method": "rays", "class_votes": f"{name} {count * 0.8:.1f}, {NAMES[n % len(NAMES)]} {n % 7 / 10:.1f}",
        "weights_digest": "0" * 12, "settings_digest": "0" * 12,
    }  # fmt: skip
    return {column: known.get(column) for column in COLUMNS}


def _observed(row: dict[str, Any], name: str, source: str) -> dict[str, Any]:
    first, left = row["best_frame"] - 2, 100 + row["best_frame"] % 50
    seen = [
        {
            "source": source, "frame": first + k, "time_s": round((first + k) * 0.2, 3), "confidence": 0.71234,
            "class": name, "xyxy": [left + 9.5 * k, 100.25 + k, left + 40.5 + 9.5 * k, 180.75 + 2 * k],
        }
        for k in range(row["observations"])
    ]  # fmt: skip
    known = {"record": "asset", "asset_id": row["asset_id"], "class": name, "status": "listed"}
    return {**known, "best": {"source": source, "frame": first + min(2, len(seen) - 1)}, "observations": seen}


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `inventory review`, and yield its process and address; it is killed in the end where it still runs."""
    words = [sys.executable, "-m", "reg_yolo", "inventory", "review", str(folder), "--no-browser", "--port", "0", *more]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                yield process, found[0]
                break
        else:
            raise SystemExit("the review did not start")
    finally:
        process.kill()
        process.wait()


def _page(play: Any, address: str) -> Any:
    browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    page = browser.new_page(viewport={"width": 1400, "height": 800})
    page.goto(address)
    page.wait_for_selector("body[data-ready='1']")
    return page


def month(options: argparse.Namespace, folder: Path) -> None:
    """Print the seconds from the command to the first asset on the page, and the server's peak of memory."""
    from playwright.sync_api import sync_playwright

    if not (folder / "inventory.gpkg").exists():
        write_synthetic(folder, options.assets)
    sizes = ", ".join(f"{one.name} {one.stat().st_size / 1e6:.0f} MB" for one in sorted(folder.glob("[io]*.*")))
    print(f"{options.assets} assets: {sizes}", flush=True)
    with sync_playwright() as play:
        # The browser is there already, as on a reviewer's desk.
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 800})
        for _ in range(options.repeats):
            started = time.monotonic()
            with serving(folder, "--reviewer", "bench") as (process, address):
                listening = time.monotonic() - started
                page.goto(address)
                page.wait_for_selector("body[data-ready='1']")
                opened = time.monotonic() - started
                before = time.monotonic()
                for _ in range(20):
                    following = next_shown(page)
                    page.keyboard.press("a")
                    page.wait_for_selector(following)
                each = (time.monotonic() - before) / 20
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e6  # type: ignore[index]
                used = sum(os.sysconf("SC_CLK_TCK") and int(x) for x in _stat(process.pid)) / os.sysconf("SC_CLK_TCK")
            print(
                f"served after {listening:.1f} s, first asset after {opened:.1f} s ({used:.1f} s of processor time), "
                f"peak {peak:.2f} GB, {each * 1000:.0f} ms a decision; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        browser.close()


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]


def keyboard(options: argparse.Namespace, folder: Path) -> None:
    """Review assets with keys alone at a pace, and check that the file holds what was pressed."""
    from playwright.sync_api import sync_playwright

    write_synthetic(folder, options.assets, spacing_m=12.0)
    turns = ["a", "a", "a", "r", "a", "m", "c", "a", "g", "s", "u", "Space"]
    pressed: list[str] = []
    started = time.monotonic()
    with serving(folder, "--reviewer", "somchai") as (process, address), sync_playwright() as play:
        page = _page(play, address)
        late = 0.0
        while not page.locator(".rv-empty").count():
            due = started + (len(pressed) + 1) * options.pace
            time.sleep(max(0.0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            pressed.append(_turn(page, turns[len(pressed) % len(turns)]))
        told = page.inner_text(".rv-count"), page.inner_text(".rv-store")
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    took = time.monotonic() - started
    decisions, torn = read_decisions([folder / "decisions_somchai.jsonl"])
    kept = [one.action for one in decisions]
    wanted = [one for one in pressed if one]
    assert kept == wanted and not torn, (len(kept), len(wanted))
    counts = ", ".join(f"{kept.count(action)} {action}" for action in sorted(set(kept)))
    print(
        f"{told[0]}, {told[1]}; {len(kept)} decisions ({counts}) in {took / 60:.1f} min, "
        f"{took / max(options.assets, 1):.2f} s an asset, at most {late:.1f} s behind; exit code {code}"
    )


def next_shown(page: Any) -> str:
    """Return a selector that fits once the page shows another asset, or the same one once more."""
    return f"#review[data-shown='{int(page.get_attribute('#review', 'data-shown') or 0) + 1}']"


def _turn(page: Any, key: str) -> str:
    """Press what one decision takes, wait until the page shows the next asset; return the action."""
    following = next_shown(page)
    action = {
        "a": "accept",
        "r": "reject",
        "m": "move",
        "c": "reclassify",
        "g": "merge",
        "s": "split",
        "u": "undo",
    }.get(key, "")
    page.keyboard.press(key)
    if key == "m":
        page.wait_for_selector(".rv-panel")
        page.wait_for_selector(".rv-number-icon.rv-chosen")
        page.keyboard.press("ArrowUp")
    if key == "c":
        page.wait_for_selector(".rv-panel li.rv-on")
    if key == "s":
        page.wait_for_selector(".rv-panel figure")
        if not page.locator(".rv-panel button").count():
            page.keyboard.press("Escape")
            return _turn(page, "a")
        page.keyboard.press("1")
    if key == "g":
        if not page.locator(".rv-card:not(.rv-own)").count():
            return _turn(page, "a")
        page.wait_for_selector(".rv-panel")
        page.keyboard.press("1")
        page.wait_for_selector(".rv-card.rv-chosen")
    if key in "mcgs":
        page.keyboard.press("Enter")
    page.wait_for_selector(following)
    return action


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("month", "keyboard"))
    parser.add_argument("--assets", type=int, default=300)
    parser.add_argument("--pace", type=float, default=5.0, help="seconds a decision")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the synthetic inventory; a temporary one else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        {"month": month, "keyboard": keyboard}[options.what](options, options.work or Path(temporary))


if __name__ == "__main__":
    main()
