"""Pages made from the code: every command, every key with default and range; equations and notebooks as pages."""

from __future__ import annotations

import base64
import json
import re

import pytest

from reg_yolo.cli.app import command_line
from reg_yolo.config.presets import PRESETS
from reg_yolo.config.problems import schema_keys
from reg_yolo.config.schema import RunConfig
from tests.docs.commands import ROOT
from tests.docs.scripts import script

REFERENCE, CONTENT = script("docs_reference"), script("docs_content")
KEYS = REFERENCE.settings_keys()
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `([a-z_.]+)` \| (.*?) ?\| (.+?) \| (.+) \|$", KEYS, re.MULTILINE)}


def test_every_key_of_the_schema_has_a_row() -> None:
    expected = {key for key in schema_keys(RunConfig.model_json_schema()) if not key.startswith("data.")}
    assert expected <= set(ROWS)
    assert all(meaning.strip() for _, _, meaning in ROWS.values())


@pytest.mark.parametrize(
    ("key", "default", "values"),
    [
        ("reg.focal.gamma", "`0.0`", "a number from 0 to 10"),
        ("reg.alpha.dual.momentum", "`0.9`", "a number at least 0 and below 1"),
        ("reg.spatial.enabled", "`false`", "true or false"),
        ("model", "required", "text"),
        ("threads", "`auto`", "one of auto, upstream or a whole number from 1 to 1024"),
        ("sampling.copy_paste.max_objects", "`2`", "a whole number from 1 to 20"),
    ],
)
def test_default_and_range_are_those_of_the_schema(key: str, default: str, values: str) -> None:
    assert ROWS[key][:2] == (default, values)


def test_each_preset_lists_what_it_sets() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", KEYS, re.MULTILINE))
    assert set(PRESETS) <= set(rows)
    assert (
        "`focal.gamma: 1.5`" in rows["reg_v1"] and "`alpha.temper: 0.5`" in rows["reg"] and rows["stock"] == "nothing"
    )


def test_the_command_line_page_has_every_command_with_every_option() -> None:
    page = REFERENCE.command_line()
    found = list(REFERENCE.commands(command_line()))
    assert len(found) > 15
    for words, command in found:
        section = page.split(f"\n## reg-yolo {' '.join(words)}\n")[1].split("\n## ")[0]
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        assert not [option for option in options if option not in section and not _hidden(command, option)]


def _hidden(command: object, option: str) -> bool:
    return any(option in each.opts and getattr(each, "hidden", False) for each in command.params)  # type: ignore[attr-defined]


def test_equations_become_mathml() -> None:
    pytest.importorskip("latex2mathml")
    shown = CONTENT.with_equations("a\n\n```math\n\\frac{1}{S}\n```\n\n```yaml\nx: 1\n```\n")
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mi>S</mi></mrow></mfrac>" in shown and "```yaml" in shown
    page = (ROOT / "docs/losses_explained.md").read_text(encoding="utf-8")
    drawn = re.findall(r'<div class="equation">(.*?)</div>', CONTENT.with_equations(page))
    assert len(drawn) == page.count("```math") > 15
    # What the converter does not know, it leaves as it was typed.
    assert not [equation for equation in drawn if "\\" in equation]


def test_a_notebook_becomes_a_page() -> None:
    code = base64.b64encode(b"not drawn here").decode()
    outputs = [
        {"output_type": "stream", "text": ["one\n", "two\n"]},
        {"output_type": "display_data", "data": {"image/png": code + "\n", "text/plain": ["<Figure>"]}},
        {"output_type": "execute_result", "data": {"text/plain": ["42"], "text/html": ["<b>42</b>"]}},
        {"output_type": "display_data", "data": {"application/x": "left out"}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": ["print(1)"], "outputs": outputs},
    ]
    page = CONTENT.notebook_page(json.dumps({"cells": cells}))
    assert page.split("\n\n") == [
        "# Title\ntext", "```python\nprint(1)\n```", "```text\none\ntwo\n```",
        f'<img alt="Output of the cell above" src="data:image/png;base64,{code}">', "```text\n42\n```\n",
    ]  # fmt: skip
