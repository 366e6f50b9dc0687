"""Scripts and styles of the review: what its own page and report.html have in common."""

from __future__ import annotations

from importlib import resources

_SCRIPTS = ("store.js", "parts.js", "review.js", "modes.js")


def review_script(*, embedded: bool = False) -> str:
    """Return the script; `embedded` adds what report.html needs."""
    return "\n".join(map(read_web, (*_SCRIPTS, "embedded.js") if embedded else _SCRIPTS))


def review_style() -> str:
    """Return the style."""
    return read_web("review.css")


def read_web(name: str) -> str:
    """Return a file that is sent to browsers."""
    return resources.files("reg_yolo.inventory.review.web").joinpath(name).read_text(encoding="utf-8")
