"""`diagnose` with a network: its figures are those of `val`, for every task that has boxes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import reg_yolo
from reg_yolo.cli.app import main
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.error_kinds import ErrorAnalysis
from tests.conftest import NAMES
from tests.detector import write_detector

FAST: dict[str, Any] = {"device": "cpu", "workers": 0}
IMAGES = 40


@pytest.fixture(scope="module")
def diagnosed(detector: Path, even_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Weights, what `val --coco` measures, and the diagnosis."""
    folder = tmp_path_factory.mktemp("diagnosed")
    weights = Path(shutil.copy(detector, folder / "best.pt"))
    measured = reg_yolo.val(weights, even_rectangles, coco=True, out=folder / "val", split="train", **FAST)
    left = weights.with_name("best.thresholds.json").read_bytes()
    found = reg_yolo.diagnose(weights, even_rectangles, out=folder / "out", split="train", hints=5, worst=2, **FAST)
    # Thresholds next to the weights are left to `val`.
    assert weights.with_name("best.thresholds.json").read_bytes() == left
    return measured, found


def test_a_diagnosis_is_of_what_val_measures(diagnosed: Any, even_rectangles: Path) -> None:
    measured, found = diagnosed
    diagnosis, analysis = found.diagnosis, found.diagnosis.analysis
    assert len(analysis.results) == IMAGES and len(analysis.object_class) == measured.report.mean.instances
    assert analysis.map50 == pytest.approx(100 * measured.metrics["metrics/mAP50(B)"], abs=2.0)
    labels = [
        [int(row.split()[0]) for row in (even_rectangles.parent / f"labels/train/{n:03d}.txt").read_text().splitlines()]
        for n in range(IMAGES)
    ]
    assert [result.truth_classes.tolist() for result in analysis.results] == labels
    # Every object has its line in the label file.
    assert list(diagnosis.lines) == [tuple(range(1, len(rows) + 1)) for rows in labels]
    assert found.page == found.folder / "diagnosis.html" and found.page.is_file()
    assert (found.folder / "worst_images.jpg").is_file()
    assert len((found.folder / "label_hints.jsonl").read_text().splitlines()) == 5
    assert not list(found.folder.glob("*curve*.png"))


def test_cocos_figures_stand_next_to_upstreams(diagnosed: Any) -> None:
    measured, _ = diagnosed
    coco, upstream = measured.coco.mean, measured.metrics
    assert coco["AP50"] == pytest.approx(upstream["metrics/mAP50(B)"], abs=0.02)
    assert coco["AP"] == pytest.approx(upstream["metrics/mAP50-95(B)"], abs=0.03)
    assert coco["AP50"] != upstream["metrics/mAP50(B)"]
    rows = list(csv.DictReader((measured.folder / "metrics.csv").read_text().splitlines()))
    values = {(row["source"], row["class"], row["metric"]): row["value"] for row in rows}
    assert float(values["coco", "all", "AP"]) == coco["AP"]
    assert float(values["ultralytics", "all", "ap50"]) == pytest.approx(upstream["metrics/mAP50(B)"])
    assert "APs" in (measured.folder / "coco.txt").read_text()
    content = json.loads((measured.folder / "metrics.json").read_text())
    assert (content["weights"], content["split"], len(content["metrics"])) == ("best.pt", "train", len(rows))


def test_val_draws_curves_and_counts_confusions_at_its_thresholds(diagnosed: Any) -> None:
    measured, found = diagnosed
    assert {"precision_recall.png", "confusion.png"} <= {path.name for path in measured.folder.iterdir()}
    rows = list(csv.DictReader((measured.folder / "confusion.csv").read_text().splitlines()))
    assert [row["labelled"] for row in rows] == [*NAMES, "(nothing)"]
    results = found.diagnosis.analysis.results
    for number, name in enumerate(NAMES):
        assert sum(int(value) for key, value in rows[number].items() if key != "labelled") == sum(
            int((result.truth_classes == number).sum()) for result in results
        )
        shown = sum(
            int((result.confidences[result.classes == number] >= measured.thresholds.values[name]).sum())
            for result in results
        )
        assert sum(int(row[name]) for row in rows) == shown


@pytest.mark.parametrize("task", ["segment", "joint"])
def test_tasks_with_masks(
    task: str, mixed_rectangles: Path, polygons: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    metadata = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}
    images = sorted((even_rectangles.parent / "images/train").glob("*.png"))[:24]
    weights = write_detector(tmp_path / "best.pt", NAMES, images, 4.0, metadata if task == "joint" else None)
    data = mixed_rectangles if task == "joint" else polygons
    labels = data.parent
    if task == "segment":
        # A set that is only measured names no training images.
        lines = data.read_text().replace("./", str(data.parent)).splitlines(keepends=True)
        data = tmp_path / "only_val.yaml"
        data.write_text("".join(line for line in lines if not line.startswith("train")))
    found = reg_yolo.diagnose(weights, data, out=tmp_path / "out", worst=0, **FAST).diagnosis
    assert isinstance(found.analysis, ErrorAnalysis) and found.analysis.map50 > 5
    rows = sum(len(path.read_text().splitlines()) for path in (labels / "labels/val").glob("*.txt"))
    assert len(found.analysis.object_class) == rows and all(None not in lines for lines in found.lines)


def test_wrong_words_are_refused_in_one_line(detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="Did you mean split"):
        reg_yolo.diagnose(detector, spilt="val")
    with pytest.raises(SystemExit) as left:
        main(["diagnose", str(detector), "--data", "nowhere.yaml"])
    assert left.value.code == 2 and "nowhere.yaml" in capsys.readouterr().err
    assert not Path("runs").exists()
