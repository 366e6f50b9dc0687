"""Every page of the documentation is in the index that readers see, and in that of the site."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
# Pages of the site alone: made when it is built, or of no use without it.
SITE_ONLY = {"python.md"}


def places(nav: object) -> set[str]:
    """The pages in a part of the site's index."""
    if isinstance(nav, str):
        return {nav}
    parts = nav.values() if isinstance(nav, dict) else nav
    assert isinstance(parts, (list, type({}.values())))
    return set().union(*map(places, parts))


def site_values() -> dict[str, ast.expr]:
    """What the site's hooks name, by name; the module itself needs mkdocs."""
    tree = ast.parse((ROOT / "scripts/docs_site.py").read_text(encoding="utf-8"))
    return {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and hasattr(n.targets[0], "id")}


def brought_in() -> dict[str, str]:
    """Documents that lie elsewhere, by their place in the site."""
    return ast.literal_eval(site_values()["PAGES"])


def made() -> set[str]:
    """Pages made from the code, and notebooks."""
    values = site_values()
    pages, notebooks = values["MADE"], ast.literal_eval(values["NOTEBOOKS"])
    assert isinstance(pages, ast.Dict)
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.ipynb")} == set(notebooks)
    return {ast.literal_eval(key) for key in pages.keys if key} | {n.replace(".ipynb", ".md") for n in notebooks}


def test_the_site_has_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert places(site["nav"]) == DOCS | set(brought_in()) | made()
    assert all((ROOT / original).is_file() for original in brought_in().values())
    assert site["strict"] is True


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#]+\.(?:md|ipynb))(?:#[^)]*)?\)", index))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.ipynb")} <= linked
    assert DOCS - {"index.md"} - SITE_ONLY <= linked
