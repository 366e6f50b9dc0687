"""Task semantic on the command line: from a configuration to overlays, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Refused, Run

FAST = ("imgsz=64", "epochs=1", "batch=8", "workers=0", "device=cpu", "plots=false", "albumentations=none")


def test_train_val_and_predict_in_a_row(run_cli: Run, polygons: Path, tmp_path: Path) -> None:
    trained = run_cli("train", "semantic/yolov8n", f"data={polygons}", *FAST, f"project={tmp_path}", "name=run")
    assert trained.code == 0, trained.err
    weights = tmp_path / "run/weights/best.pt"
    measured = run_cli("val", weights, "plots=false", "--out", tmp_path / "val")
    assert measured.code == 0, measured.err
    assert "Boundary F1" in measured.out
    found = run_cli("predict", weights, polygons.parent / "images/val/000.png", "--out", tmp_path / "found")
    assert found.code == 0, found.err
    assert "Class maps: 1 PNGs" in found.out
    assert (tmp_path / "found/classes/000.png").is_file()
    for words, part in (
        (("val", weights, "--min-precision", "0.9"), "--min-precision: "),
        (("val", weights, "--suppression", "soft"), "most probable class, without boxes"),
        (("predict", weights, tmp_path, "--sigma"), "--sigma: has no meaning for"),
        (("predict", weights, tmp_path, "--track"), "--track: has no meaning for"),
        (("predict", weights, tmp_path, "--shard", "1/2"), "is for networks that find objects"),
    ):
        outcome = run_cli(*words)
        assert outcome.code == 2
        assert part in outcome.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("train", "semantic/yolov8n", "model=yolov8n.yaml"), "does not fit task semantic; expected yolov8n-sem.yaml"),
        (("train", "semantic/yolov8n", "reg=reg_u"), "reg.uncertainty.mode: logit_normal works on a sigmoid"),
        (("train", "semantic/yolov8n", "reg.semantic.dise=true"), "Did you mean reg.semantic.dice?"),
        (("scenes", "out", "--semantic", "--boxes"), "--semantic: writes still images"),
        (("data", "stats", "{set}", "--task", "pose"), "--task: got 'pose', expected detect, segment, joint"),
    ],
)
def test_refused_in_one_line(refused: Refused, own_rectangles: Path, words: tuple[str, ...], part: str) -> None:
    assert part in refused(*(word.replace("{set}", str(own_rectangles)) for word in words))


def test_statistics_of_pixels_are_asked_for_by_task(run_cli: Run, polygons: Path, tmp_path: Path) -> None:
    outcome = run_cli(
        "data", "stats", polygons, "--task", "semantic", "--png", tmp_path / "a.png", "--json", tmp_path / "a.json"
    )
    assert outcome.code == 0, outcome.err
    assert "Class weights (alpha) from the training pixels" in outcome.out
    assert (tmp_path / "a.png").is_file()
    assert (tmp_path / "a.json").is_file()
