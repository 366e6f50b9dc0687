"""scripts/bench_nms.py: the table, and the one limit that holds on every machine: against torchvision's greedy NMS."""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torchvision.ops import nms

from reg_yolo.nms import balanced_nms

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The script as a module, on one thread as it runs by itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("bench_nms")
    torch.set_num_threads(threads)
    sys.path.remove(str(SCRIPTS))
    del sys.modules["bench_nms"]


def test_the_table_has_a_row_for_each_case(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "CASES", ((40, 4), (80, 5)))
    monkeypatch.setattr(bench, "SOFT_CASE", (60, 4))
    monkeypatch.setattr(sys, "argv", ["bench_nms.py", "--repeats", "2"])
    bench.main()
    said = capsys.readouterr().out
    assert [line.split(" | ")[:2] for line in said.splitlines()[2:4]] == [["| 40", "4"], ["| 80", "5"]]
    for case in ("gaussian", "linear", "gaussian on strips"):
        assert f"{case} " in said.splitlines()[-1]


@pytest.mark.parametrize("classes", [1, 7])
def test_thirty_thousand_boxes_take_at_most_three_times_greedy_nms(bench: ModuleType, classes: int) -> None:
    boxes, scores, labels = bench.make_scene(30_000, 200, classes)
    apart = boxes + (labels * 7680.0).unsqueeze(1)
    calls = {"greedy": lambda: nms(apart, scores, 0.7), "balanced": lambda: balanced_nms(boxes, scores, labels, 0.7)}
    times = bench.interleaved(calls, 5)
    assert statistics.median(times["balanced"]) < 3.0 * statistics.median(times["greedy"])
    # Nobody is slow together: a second would be a loop over boxes.
    assert statistics.median(times["balanced"]) < 1000.0


def test_strips_nearly_all_overlap_a_little(bench: ModuleType) -> None:
    boxes, *_ = bench.make_strips(100)
    low, high = torch.maximum(boxes[:50, None, :2], boxes[50:, :2]), torch.minimum(boxes[:50, None, 2:], boxes[50:, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    assert (shared > 0).all() and (shared < 0.05 * 640 * 30).all()
