"""The commands of the tutorials run as they stand, in their order; those marked long are parsed elsewhere."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from reg_yolo.config.plan import load_plan
from tests.docs.commands import ROOT, words_of

TUTORIALS = ROOT / "docs/tutorials"
LONG = re.compile(r"# long: \S")


def lines_of(page: str) -> list[str]:
    """The lines of a tutorial's shell blocks."""
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line of a tutorial in this process, as a shell would in one of its own."""
    words = words_of(line)
    if words[0] == "printf":
        Path(line.rsplit("> ", 1)[1]).write_text(words[1].replace("\\n", "\n"), encoding="utf-8")
    elif words[0] == "python":
        monkeypatch.setattr(sys, "argv", [*words[1:], "--workers", "1"])
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")
    else:
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        assert ended.value.code in (0, None), line


@pytest.mark.slow
def test_the_agency_gets_its_inventory(
    monkeypatch: pytest.MonkeyPatch, working_directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of("agency.md")
    assert sum(bool(LONG.search(line)) for line in lines) == 2 and len(lines) > 9
    for line in lines:
        if not LONG.search(line):
            run(line, monkeypatch)
    assert (working_directory / "roads/data_split.yaml").is_file()
    assert (working_directory / "inventory/report.html").is_file()
    said = capfd.readouterr().out
    # Which engine `auto` takes depends on the machine, and a few detections with it.
    recall = re.search(r"recall (\d\.\d+)", said)
    assert recall is not None and float(recall[1]) > 0.1, said[-3000:]
    assert re.search(r"focal \d{3} px", said), said[-3000:]


@pytest.mark.slow
def test_the_researcher_gets_to_the_trainings(monkeypatch: pytest.MonkeyPatch, working_directory: Path) -> None:
    lines = lines_of("researcher.md")
    assert sum(bool(LONG.search(line)) for line in lines) == 3 and len(lines) > 7
    for line in lines:
        if not LONG.search(line):
            run(line, monkeypatch)
    plan = re.search(r"```yaml\n(.*?)```", (TUTORIALS / "researcher.md").read_text(encoding="utf-8"), re.DOTALL)
    assert plan is not None
    (working_directory / "plan.yaml").write_text(plan[1], encoding="utf-8")
    read = load_plan(working_directory / "plan.yaml")
    assert list(read.settings.arms) == ["stock", "reg"] and read.settings.reference == "stock"
