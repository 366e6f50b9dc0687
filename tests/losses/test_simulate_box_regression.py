"""scripts/simulate_box_regression.py in its short form."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest
import reference
import torch

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_box_regression.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("simulate_box_regression", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def to_corners(x, y, w, h):
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def test_the_setups_have_the_papers_numbers_of_pairs(simulation):
    for number, pairs in ((1, 343_000), (2, 2_700)):
        setup = simulation.SETUPS[number]
        boxes, targets = simulation.make_pairs(setup)
        assert boxes.shape == targets.shape == (4, pairs)
        areas = {round(a, 3) for a in (boxes[2] * boxes[3]).tolist()}
        assert areas == {round(a, 3) for a in setup.areas}
        assert (targets[2] * targets[3]).tolist() == pytest.approx([100.0] * pairs)
        assert {round(r, 3) for r in (targets[2] / targets[3]).tolist()} == {round(r, 3) for r in setup.aspect_ratios}
        assert targets[:2].unique().tolist() == [10.0]
        assert (boxes[:2] - 10).abs().max() <= setup.side / 2
        assert len(torch.cat([boxes, targets]).t().unique(dim=0)) == pairs


@pytest.mark.parametrize("name", ["IoU", "GIoU", "EIoU"])
def test_one_iteration_descends_the_reference_loss(simulation, name):
    box, target = [8.0, 11.5, 12.0, 6.0], [10.0, 10.0, 8.0, 12.5]
    function = getattr(reference, f"{name.lower()}_loss")
    step, h = 0.1, 1e-5
    expected = []
    for k in range(4):
        up, down = ([v + s * h * (i == k) for i, v in enumerate(box)] for s in (1, -1))
        high, low = (function(to_corners(*x), to_corners(*target)) for x in (up, down))
        expected.append(box[k] - step * (high - low) / (2 * h))
    trace = simulation.regress(
        simulation.OBJECTIVES[name],
        torch.tensor(box, dtype=torch.float64).view(4, 1),
        torch.tensor(target, dtype=torch.float64).view(4, 1),
        iterations=1,
        step=step / simulation.scheduled_step(0, 1, 1.0),
    )
    errors = [sum(abs(a - b) for a, b in zip(x, target, strict=True)) for x in (box, expected)]
    assert trace.errors == pytest.approx(errors, rel=1e-7)
    assert 1.0 - trace.final_iou.item() == pytest.approx(
        reference.iou_loss(to_corners(*expected), to_corners(*target)), rel=1e-6
    )


def test_the_step_falls_twice(simulation):
    steps = [simulation.scheduled_step(i, 200, 0.1) for i in (0, 159, 160, 179, 180, 199)]
    assert steps == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_blocks_do_not_change_the_result(simulation, monkeypatch):
    boxes, targets = simulation.make_pairs(simulation.SETUPS[2], 5)
    before = boxes.clone()
    for name in ("EIoU", "Focal-EIoU"):
        whole = simulation.regress(simulation.OBJECTIVES[name], boxes, targets, 5)
        monkeypatch.setattr(simulation, "BLOCK", 32)
        parts = simulation.regress(simulation.OBJECTIVES[name], boxes, targets, 5)
        monkeypatch.undo()
        assert parts.errors == pytest.approx(whole.errors, rel=1e-6)
    assert torch.equal(boxes, before)


def test_the_observations_of_the_documentation_hold_on_few_points(simulation):
    boxes, targets = simulation.make_pairs(simulation.SETUPS[1], 3)
    everything = simulation.OBJECTIVES | simulation.VARIANTS
    error = {name: simulation.regress(objective, boxes, targets).errors for name, objective in everything.items()}
    start = error["IoU"][0]
    assert all(curve[0] == start for curve in error.values())
    assert error["EIoU"][-1] < error["GIoU"][-1] < error["CIoU"][-1] < error["IoU"][-1] < start
    assert error["Focal-EIoU"][-1] < error["Focal-EIoU, not normalised"][-1]
    assert error["Focal-EIoU, gradient through W"][-1] > start


def test_iou_leaves_disjoint_boxes_where_they_are(simulation):
    boxes = torch.tensor([[1.0], [1.0], [4.0], [3.0]])
    targets = torch.tensor([[10.0], [10.0], [5.0], [6.0]])
    for name, moves in (("IoU", False), ("Focal-EIoU", False), ("GIoU", True), ("CIoU", True), ("EIoU", True)):
        errors = simulation.regress(simulation.OBJECTIVES[name], boxes, targets, 10).errors
        assert (errors[-1] != errors[0]) == moves, name


def test_main_writes_tables_and_figures(simulation, tmp_path, capsys):
    out = tmp_path / "made" / "here"
    threads = torch.get_num_threads()
    try:
        simulation.main(["--setup", "both", "--points", "1", "--iterations", "4", "--out", str(out), "--variants"])
    finally:
        torch.set_num_threads(threads)
    names = {path.name for path in out.iterdir()}
    assert names == {f"setup{n}{end}" for n in (1, 2) for end in (".png", "_error.csv", "_final_iou.csv")}
    with (out / "setup1_error.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["iteration", *simulation.OBJECTIVES, *simulation.VARIANTS]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "3", "4"]
    with (out / "setup2_final_iou.csv").open() as file:
        summary = {row["loss"]: row for row in csv.DictReader(file)}
    assert 0 < float(summary["EIoU"]["p25"]) <= float(summary["EIoU"]["median"]) <= float(summary["EIoU"]["p75"]) <= 1
    assert (out / "setup1.png").read_bytes().startswith(b"\x89PNG")
    assert "setup 1: 343 pairs" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--points", "0"], ["--step", "-1"], ["--setup", "3"], ["--step", "nan"]])
def test_wrong_arguments_exit_with_two(simulation, arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        simulation.main([*arguments, "--out", str(tmp_path / "never")])
    assert stop.value.code == 2
    assert not (tmp_path / "never").exists()
    assert arguments[0] in capsys.readouterr().err
