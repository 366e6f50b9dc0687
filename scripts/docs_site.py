"""Hooks of mkdocs: pages that do not lie in docs/, and links to files that the site does not have.

Documents are written to be read in the repository; here their links are turned to where the site has the same page.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Documents of the repository by their place in the site.
PAGES = {
    "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "losses.md": "reg_yolo/losses/README.md",
    "security_policy.md": "SECURITY.md",
}  # fmt: skip
COMMAND_LINE = "command_line.md"
LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#|mailto:|<)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the documents that lie elsewhere, and the help of every command."""
    for place, source in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMAND_LINE, content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page to places of the site."""
    place = page.file.src_uri
    return turned(markdown, PAGES.get(place, f"docs/{place}"))


def turned(markdown: str, source: str) -> str:
    """Return a document with its links turned to places of the site; what is not there is named instead.

    Args:
        markdown: The document.
        source: Its place in the repository.

    Example:
        >>> turned("[a](../CONTRIBUTING.md#x) [b](../pyproject.toml) [c](data.md)", "docs/index.md")
        '[a](contributing.md#x) b (`pyproject.toml`) [c](data.md)'
    """
    places = {original: place for place, original in PAGES.items()} | {"README.md": "index.md"}

    def turn(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        full = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if full in places:
            return f"[{text}]({places[full]}{anchor})"
        if full.startswith("docs/"):
            return f"[{text}]({full.removeprefix('docs/')}{anchor})"
        return text if full in text else f"{text} (`{full}`)"

    return LINK.sub(turn, markdown)


def command_line() -> str:
    """Return a page with the help of every command, as it prints it."""
    import typer

    from reg_yolo.cli.app import app

    lines = ["# The command line", "", "What `reg-yolo COMMAND -h` prints.", ""]
    os.environ["COLUMNS"] = "100"

    def walk(group: Any, words: list[str]) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, [*words, name])
                continue
            printed = io.StringIO()
            with redirect_stdout(printed):
                app(args=[*words, name, "-h"], prog_name="reg-yolo", standalone_mode=False)
            lines.extend(
                [f"## reg-yolo {' '.join([*words, name])}", "", "```text", printed.getvalue().strip(), "```", ""]
            )

    walk(typer.main.get_command(app), [])
    return "\n".join(lines)
