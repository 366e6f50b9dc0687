"""scripts/gpu_check.py in its short form on the processor, and what it does where a section fails or takes too long."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    before = set(sys.modules)
    yield importlib.import_module("gpu_check")
    sys.path.remove(str(SCRIPTS))
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == SCRIPTS:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """The script silences Ultralytics for its own process."""
    from ultralytics.utils import LOGGER

    before = LOGGER.level
    yield
    LOGGER.setLevel(before)


@pytest.fixture
def rows(script: ModuleType) -> ModuleType:
    assert script.Row.__module__ == "gpu_check_rows"
    return sys.modules["gpu_check_rows"]


@pytest.mark.slow
def test_the_short_form_runs_every_section(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "check.json"

    assert script.main(["--short", "--device", "cpu", "--out", str(out)]) == 0

    written = json.loads(out.read_text())
    assert list(written["seconds"]) == list(script.SECTIONS)
    assert written["machine"]["torch"] == torch.__version__
    found = written["rows"]
    assert all(row["verdict"] in {"", "ok", "left out"} for row in found)
    parity = [row for row in found if row["check"] == "neutral parity" or row["case"].endswith("neutral")]
    assert len([row for row in parity if row["verdict"] == "ok" and row["ours"] == 0.0]) == 6
    amp = [row["case"] for row in found if row["check"] == "AMP" and row["verdict"] == "ok"]
    assert {f"{task}, preset {name}" for task in ("detect", "segment") for name in script.losses.PRESETS} == set(amp)
    assert all("loss nan" not in row["note"] for row in found)
    for check in ("criterion", "mask loss", "training step", "predict, PyTorch"):
        assert all(row["stock"] > 0 and row["ours"] > 0 for row in found if row["check"] == check)
        assert any(row["check"] == check for row in found)
    assert {row["case"] for row in found if row["check"] == "stages"} >= {"decode", "infer", "encode"}
    notes = {row["case"]: row["note"] for row in found if row["check"] in {"predict, engines", "waits for the card"}}
    assert set(notes) == {"ONNX Runtime", "TensorRT", "mask loss, criterion"}
    assert all(notes.values())
    printed = capsys.readouterr().out
    assert printed.count("| check | case |") == 1
    assert len([line for line in printed.splitlines() if line.startswith("|")]) == len(found) + 2


def test_a_section_that_fails_becomes_a_row_and_the_others_go_on(
    script: ModuleType, rows: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def broken(_setting: Any) -> Iterator[Any]:
        yield rows.Row("broken", "before", "ok")
        raise RuntimeError("no kernel image\nis available")

    def sound(_setting: Any) -> Iterator[Any]:
        yield rows.Row("sound", "whole", "ok")

    monkeypatch.setattr(script, "SECTIONS", {"broken": (broken, 5), "sound": (sound, 5)})

    assert script.main(["--short", "--device", "cpu", "--out", str(tmp_path / "check.json")]) == 1

    found = json.loads((tmp_path / "check.json").read_text())["rows"]
    assert [(row["check"], row["verdict"]) for row in found] == [
        ("broken", "ok"),
        ("broken", "failed"),
        ("sound", "ok"),
    ]
    assert found[1]["note"] == "failed: RuntimeError: no kernel image is available"
    assert "1 failed: broken: the rest of the section" in capsys.readouterr().out


def test_a_section_that_takes_too_long_keeps_its_rows(
    script: ModuleType, rows: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def endless(_setting: Any) -> Iterator[Any]:
        yield rows.Row("endless", "first", "ok")
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(script, "SECTIONS", {"endless": (endless, 0.2), "late": (endless, 60)})

    assert script.main(["--short", "--device", "cpu", "--minutes", "0.01"]) == 0

    printed = capsys.readouterr().out
    assert "| endless | first | ok |" in printed
    assert "stopped after 0 s" in printed
    assert "| late | the rest of the section | left out |" in printed


def test_the_alarm_of_somebody_else_is_kept(script: ModuleType) -> None:
    import signal

    before = signal.getsignal(signal.SIGALRM)
    left = signal.setitimer(signal.ITIMER_REAL, 500.0)[0]
    try:
        with script.time_limit(5):
            pass
        assert 490 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
        assert signal.getsignal(signal.SIGALRM) is before
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


def test_parity_fails_where_losses_differ(rows: ModuleType) -> None:
    values = (torch.tensor([1.0, -2.0]), torch.tensor([0.5]))

    def run(value: float) -> Any:
        return rows.parity_row("c", "x", lambda: values, lambda: (values[0], torch.tensor([value])))

    assert (run(0.5).verdict, run(0.5).ours) == ("ok", 0.0)
    assert run(0.5000001).verdict == "ok"
    assert run(0.501).verdict == "failed"
    assert run(0.501).ours == pytest.approx(0.002, rel=1e-3)
    assert run(float("nan")).verdict == "failed"


def test_a_goal_is_the_median_of_the_ratios(rows: ModuleType) -> None:
    assert rows.goal_verdict([1.0, 9.0, 4.0], [2.0, 10.0, 8.0], 0.5) == "goal met"
    assert rows.goal_verdict([1.0, 9.0, 6.0], [2.0, 10.0, 8.0], 0.5) == "goal missed"


def test_another_assignment_fails(script: ModuleType) -> None:
    index = torch.tensor([0, 1])
    expected = script.losses.Positives(index, index + 3, index, index, torch.tensor([0.5, 0.25]))

    def verdict(**changed: Any) -> str:
        return script.losses.agreement_row("x", expected, replace(expected, **changed), 100).verdict

    assert verdict() == "ok"
    assert verdict(anchor=torch.tensor([3, 5])) == "failed"
    assert verdict(object=torch.tensor([0, 0])) == "failed"
    assert verdict(score=torch.tensor([0.5, 0.26])) == "failed"


def test_gradients_that_are_no_numbers_fail(script: ModuleType) -> None:
    model = torch.nn.Linear(2, 1)

    def criterion(outputs: torch.Tensor, _labels: Any) -> tuple[torch.Tensor, None]:
        return outputs.float() * float("inf"), None

    _, halvings = script.losses.half_precision_step(model, criterion, torch.ones(1, 2), {})
    assert halvings > script.losses.MOST_HALVINGS
    row = script.losses.finite_row("c", "x", (torch.tensor([1.0]), torch.tensor([torch.nan])))
    assert row.verdict == "failed"


def test_indices_that_rounding_decides_may_differ(script: ModuleType) -> None:
    left = torch.arange(2000)
    assert script.prediction.same_boxes(left, left.flip(0))
    assert script.prediction.same_boxes(left, left[:-1])
    assert not script.prediction.same_boxes(left, left[:-10])
