"""The commands of docs/audit.md run as they stand, from an inventory to the page to sign."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from reg_yolo.inventory.audit.sizes import LARGEST, drawn_for, sample_size
from tests.docs.commands import ROOT, words_of
from tests.inventory.audit.test_planning import route_file
from tests.inventory.audit.worlds import POLE, write_truth, write_world

PAGE = (ROOT / "docs/audit.md").read_text(encoding="utf-8")


def test_the_walk(working_directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write_world(working_directory / "inventory")
    (working_directory / "drive").mkdir()
    route_file(working_directory / "drive/route.geojson")
    write_truth(working_directory / "drive/assets.geojson", more=[(POLE, 615.0, -12.0), (POLE, 1260.0, 9.0)])
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert len(lines) == 4
    for line in lines:
        words = words_of(line)
        if words[0] == "python":
            monkeypatch.setattr(sys, "argv", words[1:])
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        else:
            with pytest.raises(SystemExit) as ended:
                main(words[1:])
            assert ended.value.code in (0, None), line
    said = capfd.readouterr().out
    assert re.search(r"^recall: \w+.*, asked 0\.9; \d+ listed", said, re.MULTILINE), said
    assert re.search(r"^Verdict: (pass|fail|not enough)$", said, re.MULTILINE), said
    assert {path.name for path in Path("audit").glob("report.*")} == {
        f"report.{one}" for one in ("md", "csv", "json", "pdf")
    }
    assert "สมชาย" in Path("audit/report.md").read_text(encoding="utf-8")


def test_sizes_in_the_page_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+)(, of ([\d,]+) assets)? \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for limit, expected, _, population, checked, allowed in rows:
        found = sample_size(
            float(limit), float(expected), population=int(population.replace(",", "")) if population else None
        )
        assert (found.checked, found.allowed) == (int(checked), int(allowed))
    drawn = re.findall(r"^\| (\d+) \| ([\d.]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(drawn) == 3
    assert [drawn_for(int(right), float(share)) for right, share, _ in drawn] == [int(count) for *_, count in drawn]
    assert f"More than {LARGEST:,} checks are not planned" in PAGE
