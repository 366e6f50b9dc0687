"""The commands in the documents, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "reg_yolo/losses/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip

# Blocks of code: fenced ones of a shell or of no language, and indented ones.
_FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SHELLS = ("", "sh", "bash", "console")
_INDENTED = re.compile(r"(?:^ {4}\S.*\n)+", re.MULTILINE)


def command_lines(text: str) -> Iterator[str]:
    """Yield each line of a page that calls `reg-yolo` or one of our scripts, its comment with it."""
    blocks = [body for language, body in _FENCE.findall(text) if language in _SHELLS]
    blocks += _INDENTED.findall(_FENCE.sub("", text))
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if re.match(r"(reg-yolo|python scripts/\S+) ", line):
                yield line


def words_of(line: str) -> list[str]:
    """Return the words of a command as a shell hands them over, its comment and output redirection left out."""
    words = shlex.split(line, comments=True)
    cut = [index for index, word in enumerate(words) if word in (">", "|", "&&", ";")]
    return words[: cut[0]] if cut else words
