"""The page that shows rows on a map and in a table, in one file that needs no network."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from reg_yolo.files import replace_text
from reg_yolo.inventory.report.labels import labels
from reg_yolo.inventory.review.web import review_script, review_style


def write_page(path: Path, content: Mapping[str, object], language: str = "en") -> None:
    """Write a page.

    Args:
        path: The HTML file.
        content: `columns` and `rows` of the table; `by`, the column that colours and filters; `shapes`, for each row
            its places, latitude first. Optional: `title`, `ellipses` (one a row), `ways` and `stretches` (lines drawn
            below), `notes`, `tables` (each with a `title`, `columns` and `rows`), `tiles` (address of a tile server),
            their `attribution`, `column_labels`, `review` (what a review in the page needs; None for none). A column
            `page` holds names of pages in the same folder.
        language: `en` or `th`.
    """
    folder = resources.files("reg_yolo.inventory.report")
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    style = folder.joinpath("leaflet", "leaflet.css").read_text(encoding="utf-8")
    script = folder.joinpath("leaflet", "leaflet.js").read_text(encoding="utf-8")
    words = labels(language)
    title = str(content.get("title", words["title"]))
    empty: dict[str, object] = {
        "ellipses": [],
        "ways": [],
        "stretches": [],
        "notes": [],
        "tables": [],
        "tiles": None,
        "attribution": "",
        "column_labels": {},
        "review": None,
    }
    # "</" would end the element that holds the data, whatever the text means, and "<!--" could keep it open.
    data = json.dumps({**empty, **content, "labels": words}, ensure_ascii=False, allow_nan=False)
    data = data.replace("<", "\\u003c")
    page = page.replace("/*LANGUAGE*/", language).replace("/*TITLE*/", html.escape(title))
    reviewed = content.get("review") is not None
    page = page.replace("/*REVIEW_CSS*/", review_style() if reviewed else "")
    page = page.replace("/*REVIEW_JS*/", review_script(embedded=True) if reviewed else "")
    page = page.replace("/*LEAFLET_CSS*/", style).replace("/*LEAFLET_JS*/", script).replace("/*DATA*/", data)
    replace_text(path, page)
