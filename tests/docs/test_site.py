"""The site is built without a warning, and a browser needs no network to show it."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import reg_yolo
from reg_yolo import data, detections, losses, nms, scenes
from tests.docs.commands import ROOT

pytest.importorskip("mkdocs")
pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a page loads, what it links to, and the places that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.places.add(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(str(given["href"]))
        elif given.get("src"):
            self.loads.append(str(given["src"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    assert len(pages) > 35
    for name, page in pages.items():
        for target in page.loads:
            assert not re.match(r"(https?:)?//", target), f"{name} loads {target}"
            if not target.startswith(("data:", "/")):
                assert (site / name).parent.joinpath(target.partition("?")[0]).is_file(), f"{name} loads {target}"
    for style in (site / "assets").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?://|@import", style.read_text(encoding="utf-8")), style.name


def test_every_link_leads_to_a_place(site: Path, pages: dict[str, Page]) -> None:
    checked = 0
    for name, page in pages.items():
        if name == "404.html":
            # Its links start at the root of a server.
            continue
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (site / name).parent.joinpath(target).resolve() if target else site.resolve() / name
            path = path / "index.html" if path.is_dir() else path
            assert path.is_file(), f"{name} links to {link}"
            found = pages.get(path.relative_to(site.resolve()).as_posix())
            assert not anchor or found is None or anchor in found.places, f"{name} links to {link}"
            checked += 1
    assert checked > 2000


def test_the_pages_made_from_code_are_there(site: Path) -> None:
    shown = (site / "losses_explained.html").read_text(encoding="utf-8")
    assert shown.count('<div class="equation"><math') > 15 and "```" not in shown
    assert "reg.focal.gamma" in (site / "settings_keys.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in (site / "tutorials/notebook.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("face", [reg_yolo, data, detections, scenes, losses, nms], ids=lambda face: face.__name__)
def test_every_public_name_is_described(pages: dict[str, Page], face: object) -> None:
    name = str(face.__name__)  # type: ignore[attr-defined]
    names = set(face.__all__) - {"losses"}  # type: ignore[attr-defined]
    constants = {each for each in names if each.isupper()}
    places = pages["python.html"].places
    # A function that is named as its file is found under both names.
    missing = {each for each in names - constants if not {f"{name}.{each}", f"{name}.{each}.{each}"} & places}
    assert not missing
    if face is losses:
        assert f"{name}.far_probability.far_probability" in places
