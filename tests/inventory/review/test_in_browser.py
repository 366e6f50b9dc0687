"""Reviews in headless Chromium: keys, a server that is killed, and report.html without one."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.resolving import resolve
from scripts.review_inventory import next_shown, serving
from tests.browser import ARGUMENTS, CHROMIUM, needs_chromium

pytestmark = needs_chromium


@contextmanager
def browser_in(profile: Path) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """Yield a browser and its process, which may be killed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    words = [str(CHROMIUM), *ARGUMENTS, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    assert process.stderr is not None
    try:
        address = next(found[0] for line in process.stderr if (found := re.search(r"ws://\S+", line)))
        with sync_api.sync_playwright() as play:
            yield play.chromium.connect_over_cdp(address), process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """Return a browser for all tests of this module; the last one kills it."""
    with browser_in(tmp_path_factory.mktemp("profile")) as opened_one:
        yield opened_one


def opened(browser: Any, address: str) -> tuple[Any, list[str]]:
    """Return a page once it shows an asset, and the errors that it will raise; pages of earlier tests are closed."""
    origin = address.rpartition("/")[0].rpartition("/")[0]
    page = browser.contexts[0].new_page()
    for old in browser.contexts[0].pages:
        if old != page and (address.startswith("file") or not old.url.startswith(origin)):
            old.close()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready='1']")
    return page, wrong


def press(page: Any, *keys: str) -> None:
    """Press keys, and wait until the page shows another asset."""
    following = next_shown(page)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_selector(following)


def shown(page: Any) -> str:
    """Return the id of the asset on the page."""
    return str(page.get_attribute("#review", "data-asset"))


def test_every_key_makes_its_decision_and_undo_takes_it_back(folder: Path, chromium: tuple[Any, Any]) -> None:
    browser, _ = chromium
    with serving(folder, "--reviewer", "สุดา", "--language", "th") as (process, address):
        page, wrong = opened(browser, address)
        asset = page.evaluate(
            f"fetch('{address}asset?id=' + encodeURIComponent('{shown(page)}')).then(one => one.json())"
        )
        first = shown(page)
        # A key on a Thai keyboard says another letter; one held down decides once.
        page.evaluate("dispatchEvent(new KeyboardEvent('keydown', {code: 'KeyR', key: 'พ', repeat: true}))")
        press(page, "Space")
        press(page, "ArrowLeft")
        assert shown(page) == first and page.inner_text(".rv-count") == "ตรวจแล้ว 0 จาก 60"
        page.keyboard.press("m")
        page.wait_for_selector(".rv-number-icon.rv-chosen")
        press(page, "ArrowUp", "ArrowUp", "Shift+ArrowRight", "Enter")
        renamed = shown(page)
        page.keyboard.press("c")
        page.wait_for_selector(".rv-panel li.rv-on")
        page.keyboard.type("หลักกม")
        page.wait_for_selector(".rv-panel li.rv-on >> text=หลักกม")
        press(page, "Enter")
        merged = shown(page)
        page.keyboard.press("g")
        page.wait_for_selector(".rv-panel")
        page.keyboard.press("1")
        page.wait_for_selector(".rv-card.rv-chosen")
        press(page, "Enter")
        page.keyboard.press("s")
        page.wait_for_selector(".rv-panel figure")
        divided = shown(page)
        press(page, "1", "Enter")
        page.keyboard.press("n")
        page.wait_for_selector(".rv-panel input")
        page.keyboard.type("กa เงา")
        page.keyboard.press("Enter")
        rejected = shown(page)
        page.evaluate("dispatchEvent(new KeyboardEvent('keydown', {code: 'KeyR', key: 'พ'}))")
        page.wait_for_selector(f"#review:not([data-asset='{rejected}'])")
        press(page, "u")
        assert shown(page) == rejected and wrong == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    decisions, torn = read_decisions([folder / "decisions_สุดา.jsonl"])
    assert [one.action for one in decisions] == ["move", "reclassify", "merge", "split", "reject", "undo"] and not torn
    move, rename, merge, split, reject, undo = decisions
    assert (move.asset_ids, rename.asset_ids, reject.asset_ids) == ((first,), (renamed,), (rejected,))
    assert move.place is not None
    latitude, longitude = asset["shape"][0]
    assert move.place.latitude_deg == pytest.approx(latitude + 1.0 / 111_320, abs=1e-7)
    assert move.place.longitude_deg == pytest.approx(longitude + 5.0 / 111_320 / 0.9703, abs=1e-7)
    assert (rename.class_name, reject.why, undo.undoes) == ("หลักกม", "กa เงา", reject.decision_id)
    assert merge.asset_ids[0] == merged and len(merge.asset_ids) == len(merge.parts) == 2
    assert split.asset_ids == (divided,) and len(split.parts) == 2 and len({one.who for one in decisions}) == 1


def test_decisions_made_without_a_server_wait_in_the_browser(folder: Path, chromium: tuple[Any, Any]) -> None:
    browser, _ = chromium
    with serving(folder, "--reviewer", "somchai") as (process, address):
        page, _ = opened(browser, address)
        press(page, "a")
        process.kill()
        process.wait(20)
    page.keyboard.press("r")
    page.wait_for_selector(".rv-unsaved >> text=1 unsaved")
    assert "The server does not answer" in page.inner_text(".rv-error") and page.is_visible(".rv-download")
    port = address.split(":")[2].split("/")[0]
    with serving(folder, "--reviewer", "somchai", "--port", port) as (process, again):
        page.wait_for_selector(".rv-error >> text=The server was started again")
        other, _ = opened(browser, again)
        other.wait_for_selector(".rv-saved >> text=all saved")
    decisions, _ = read_decisions([folder / "decisions_somchai.jsonl"])
    assert [one.action for one in decisions] == ["accept", "reject"]


def test_the_report_reviews_from_a_file_and_gives_its_decisions_as_a_download(
    built: Path, tmp_path: Path, chromium: tuple[Any, Any]
) -> None:
    browser, _ = chromium
    page, wrong = opened(browser, (built / "report.html").as_uri())
    page.click("#openReview")
    page.wait_for_selector("#review[data-shown='1']")
    page.keyboard.press("a")
    page.wait_for_selector(".rv-error >> text=Write your name first")
    page.fill(".rv-who", "สมชาย")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    ids = []
    for key in ("a", "r", "a"):
        ids.append(shown(page))
        press(page, key)
    press(page, "u")
    assert page.inner_text(".rv-store") == "4 unsaved" and page.inner_text(".rv-count").startswith("2 of ")
    # Kept by the browser where the page is closed.
    page.close(run_before_unload=False)
    page, _ = opened(browser, (built / "report.html").as_uri())
    page.click("#openReview")
    page.wait_for_selector("#review[data-shown='1']")
    assert page.inner_text(".rv-store") == "4 unsaved" and shown(page) not in ids[:2]
    with page.expect_download() as download:
        page.click(".rv-download")
    assert download.value.suggested_filename == "decisions_สมชาย.jsonl"
    file = tmp_path / "downloaded.jsonl"
    download.value.save_as(file)
    assert page.inner_text(".rv-store") == "all saved" and wrong == []
    decisions, torn = read_decisions([file])
    assert [(one.action, one.who) for one in decisions] == [
        ("accept", "สมชาย"), ("reject", "สมชาย"), ("accept", "สมชาย"), ("undo", "สมชาย"),
    ]  # fmt: skip
    with Catalogue(built) as catalogue:
        # By their observations alone, as a build reads them.
        about, left = resolve(catalogue, [replace(one, asset_ids=()) for one in decisions], [file])
        assert [entry.asset_id for entry in catalogue.queue(0, 3)] == ids
    assert list(about.values()) == [[asset_id] for asset_id in ids] and (torn, left) == ([], [])


def test_fifty_decisions_outlive_a_killed_browser_and_a_killed_server(folder: Path, chromium: tuple[Any, Any]) -> None:
    browser, browser_process = chromium
    decided = []
    with serving(folder, "--reviewer", "somchai") as (process, address):
        page, wrong = opened(browser, address)
        for n in range(50):
            decided.append((shown(page), "reject" if n % 3 else "accept"))
            press(page, "r" if n % 3 else "a")
        assert page.inner_text(".rv-count") == "50 of 60 reviewed" and page.inner_text(".rv-store") == "all saved"
        assert wrong == []
        # At once, with no time to write anything more.
        process.kill()
        browser_process.kill()
        process.wait(20)
    decisions, torn = read_decisions([folder / "decisions_somchai.jsonl"])
    assert torn == [] and [(*one.asset_ids, one.action) for one in decisions] == decided
