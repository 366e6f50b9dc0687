"""Errors of the library name its parameters; the dashes belong to the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "reg_yolo"
ROOMS = ("data", "scenes", "detections", "drawing")
FILES = sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))
# A whole command to paste into a shell may have options.
COMMAND = re.compile(r"reg-yolo \w+[^`]*|^ --")
OPTION = re.compile(r"(^|[\s\"'(`])--[a-z]")


def options_in(source: str) -> list[str]:
    """Every text of a module that writes an option with its dashes outside of a whole command."""
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and OPTION.search(node.value)
        and not COMMAND.search(node.value)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_of_the_library_writes_dashes(path: Path) -> None:
    assert options_in(path.read_text(encoding="utf-8")) == []


def test_dashes_are_found() -> None:
    assert options_in("raise E(f'--near-bits: got {x}')") == ["--near-bits: got "]
    assert options_in("raise E('name it with --out')") == ["name it with --out"]
    assert options_in("x = 'run `reg-yolo data split A --by drive`'") == []
