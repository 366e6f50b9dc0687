"""The commands and options in docs/diagnose.md are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from reg_yolo.cli.app import app
from reg_yolo.evaluation.error_kinds import KINDS
from reg_yolo.evaluation.label_hints import AGREES, HINT_KINDS

TEXT = (Path(__file__).parents[2] / "docs/diagnose.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    reg-yolo (.+)$", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_line_takes_it(line: str) -> None:
    name, *words = line.split()
    group: Any = typer.main.get_command(app)
    context = group.commands[name].make_context(name, words)
    assert (
        context.params["weights"].name in {"best.pt", "detections.jsonl"}
        and context.params["data"] == "roads/data.yaml"
    )


def test_options_kinds_and_files_are_named() -> None:
    assert len(COMMANDS) == 4
    group: Any = typer.main.get_command(app)
    options = {option for one in group.commands["diagnose"].params for option in one.opts if option.startswith("--")}
    named = set(re.findall(r"`(--[a-z]+)", TEXT)) | {"--trust", "--json", "--quiet"}
    assert options <= named | {"--split"} and "`--data`, `--split`" in TEXT
    for name in (*KINDS, *HINT_KINDS, AGREES):
        assert f"| {name} |" in TEXT or f"`{name}`" in TEXT
