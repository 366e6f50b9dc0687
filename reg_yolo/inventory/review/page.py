"""The page that the review's server gives."""

from __future__ import annotations

import html
import json
from importlib import resources
from typing import Any

from reg_yolo.inventory.report.labels import column_labels
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.web import read_web, review_script, review_style
from reg_yolo.inventory.review.words import words


def review_page(catalogue: Catalogue, who: str, build: str, language: str = "en") -> str:
    """Return the page that the server gives.

    Args:
        catalogue: The inventory.
        who: The reviewer.
        build: What the inventory is known by.
        language: `en` or `th`.
    """
    leaflet = resources.files("reg_yolo.inventory.report").joinpath("leaflet")
    data: dict[str, Any] = {
        "who": who,
        "build": build,
        "classes": catalogue.classes(),
        "words": words(language),
        "column_labels": column_labels(language),
    }
    page = read_web("review.html").replace("/*LANGUAGE*/", language)
    page = page.replace("/*TITLE*/", html.escape(f"{words(language)['title']}: {catalogue.folder.resolve().name}"))
    page = page.replace("/*LEAFLET_CSS*/", leaflet.joinpath("leaflet.css").read_text(encoding="utf-8"))
    page = page.replace("/*LEAFLET_JS*/", leaflet.joinpath("leaflet.js").read_text(encoding="utf-8"))
    page = page.replace("/*REVIEW_CSS*/", review_style()).replace("/*REVIEW_JS*/", review_script())
    # "</" would end the element that holds the data.
    return page.replace("/*DATA*/", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))
