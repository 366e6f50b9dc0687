"""Hooks of mkdocs: pages that do not lie in docs/, and links to files that the site does not have.

Documents are written to be read in the repository; here their links are turned to where the site has the same page.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from docs_content import notebook_page, with_equations
from docs_reference import command_line, settings_keys
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Documents of the repository by their place in the site.
PAGES = {
    "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "losses.md": "reg_yolo/losses/README.md",
    "security_policy.md": "SECURITY.md",
}  # fmt: skip
# Pages that are made from the code.
MADE = {"command_line.md": command_line, "settings_keys.md": settings_keys}
NOTEBOOKS = ("tutorials/notebook.ipynb",)
LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#|mailto:|<)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the documents that lie elsewhere, the pages made from the code, and notebooks as pages."""
    for place, source in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    for place, write in MADE.items():
        files.append(File.generated(config, place, content=write()))
    for place in NOTEBOOKS:
        text = (ROOT / "docs" / place).read_text(encoding="utf-8")
        files.append(File.generated(config, place.replace(".ipynb", ".md"), content=notebook_page(text)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page to places of the site, and draw its equations."""
    place = page.file.src_uri
    return with_equations(turned(markdown, PAGES.get(place, f"docs/{place}")))


def turned(markdown: str, source: str) -> str:
    """Return a document with its links turned to places of the site; what is not there is named instead.

    Args:
        markdown: The document.
        source: Its place in the repository.

    Example:
        >>> turned("[a](../CONTRIBUTING.md#x) [b](../pyproject.toml) [c](data.md)", "docs/index.md")
        '[a](contributing.md#x) b (`pyproject.toml`) [c](data.md)'
        >>> turned("[a](../data.md) [b](../../CONTRIBUTING.md)", "docs/tutorials/agency.md")
        '[a](../data.md) [b](../contributing.md)'
    """
    places = {original: place for place, original in PAGES.items()} | {"README.md": "index.md"}
    folder = posixpath.dirname(places.get(source, source.removeprefix("docs/"))) or "."

    def turn(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        full = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = places.get(full) or (full.removeprefix("docs/") if full.startswith("docs/") else None)
        if place is not None:
            # A notebook is a page of the site.
            place = re.sub(r"\.ipynb$", ".md", place)
            return f"[{text}]({posixpath.relpath(place, folder)}{anchor})"
        return text if full in text else f"{text} (`{full}`)"

    return LINK.sub(turn, markdown)
