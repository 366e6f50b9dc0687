"""What docs/inventory.md says of decisions is what is read and written."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reg_yolo.inventory.decisions.decision import ACTIONS, SCHEMA, Decision
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.outputs import observed

PAGE = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_lines_of_the_page_are_decisions_of_every_action(tmp_path: Path) -> None:
    (tmp_path / "page.jsonl").write_text(block("jsonl"), encoding="utf-8")
    decisions, cut_off = read_decisions([tmp_path / "page.jsonl"])
    assert ([one.action for one in decisions], cut_off) == (list(ACTIONS), [])
    # Nothing stands in a line that is not written, too.
    assert [one.to_record() for one in decisions] == [json.loads(line) for line in block("jsonl").splitlines()]
    assert Decision.from_record(decisions[3].to_record()) == decisions[3]
    assert SCHEMA in PAGE and observed.SCHEMA in PAGE
