"""val, predict, export and report of a network that gives each pixel a class, and what they refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from reg_yolo.errors import ConfigError, DataError, WeightsError
from reg_yolo.yolo.commands.export import export
from reg_yolo.yolo.commands.predict import predict
from reg_yolo.yolo.commands.predict_pixels import gives_pixels, predict_pixels
from reg_yolo.yolo.commands.report import report
from reg_yolo.yolo.commands.val_pixels import val_pixels
from reg_yolo.yolo.training.trainers import RegSemanticTrainer
from tests.conftest import HEIGHT, WIDTH, MakeVideo
from tests.yolo.runs import FAST


@pytest.fixture(scope="module")
def run(polygons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run that has learned what is bright; copy weights before you write beside them."""
    folder = tmp_path_factory.mktemp("pixels") / "run"
    settings = {**FAST, "model": "yolov8n-sem.yaml", "data": str(polygons), "save_dir": str(folder), "batch": 4}
    trainer = RegSemanticTrainer.with_settings("stock")
    trainer(overrides={**settings, "epochs": 4, "nbs": 4, "lr0": 0.005, "warmup_epochs": 0, "mosaic": 0.0}).train()
    return folder


@pytest.fixture
def weights(run: Path) -> Path:
    return run / "weights/best.pt"


def test_val_reports_what_the_maps_of_predict_say(weights: Path, polygons: Path, tmp_path: Path) -> None:
    measured = val_pixels(weights, polygons, out=tmp_path / "val", plots=False, imgsz=128)
    images = sorted((polygons.parent / "images/val").glob("*.png"))
    found = predict_pixels(weights, polygons.parent / "images/val", out=tmp_path / "maps", imgsz=128)
    assert found.frames == len(images) == measured.report.images
    truth = {"intersection": np.zeros(4), "union": np.zeros(4), "pixels": np.zeros(4)}
    for path in images:
        labelled = truth_of(path)
        predicted = np.array(Image.open(tmp_path / "maps/classes" / f"{path.stem}.png"))
        for index in range(4):
            truth["intersection"][index] += ((labelled == index) & (predicted == index)).sum()
            truth["union"][index] += ((labelled == index) | (predicted == index)).sum()
            truth["pixels"][index] += (labelled == index).sum()
    for index, result in enumerate(measured.report.classes):
        assert result.pixels == truth["pixels"][index]
        if result.pixels:
            assert result.iou == pytest.approx(truth["intersection"][index] / truth["union"][index], abs=0.02)
    assert measured.metrics["metrics/mIoU"] == pytest.approx(measured.report.mean.iou)
    assert json.loads((tmp_path / "val/per_class.json").read_text())["schema"] == "reg_yolo.per_pixel/1"


def truth_of(image: Path) -> np.ndarray:
    """The class of each pixel of a data set of rectangles, the smaller ones over the larger; 3 is background."""
    labels = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
    drawn = []
    for row in labels.read_text().splitlines():
        name, *values = row.split()
        points = (np.array(values, dtype=np.float32).reshape(-1, 2) * np.float32([WIDTH, HEIGHT])).astype(np.int32)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(mask, [points], (1,))
        drawn.append((int(mask.sum()), int(name), mask > 0))
    classes = np.full((HEIGHT, WIDTH), 3)
    for _, name, mask in sorted(drawn, key=lambda each: -each[0]):
        classes[mask] = name
    return classes


def test_predict_leaves_overlays_maps_and_shares(weights: Path, polygons: Path, tmp_path: Path) -> None:
    found = predict_pixels(weights, polygons.parent / "images/val", out=tmp_path / "out")
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert [path.name for path in found.overlays] == [f"{n:03d}.jpg" for n in range(8)]
    first = Image.open(found.class_maps[0])
    assert first.mode == "P"
    assert first.size == (WIDTH, HEIGHT)
    with (tmp_path / "out/pixels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    share = float(rows[0]["background"])
    assert share == pytest.approx((np.array(first) == 3).mean(), abs=1e-6)


def test_a_video_is_one_overlay_and_a_map_for_each_frame(weights: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    found = predict_pixels(weights, make_video(), out=tmp_path / "out", every=4)
    assert [path.name for path in found.overlays] == ["drive.mp4"]
    assert [path.name for path in found.class_maps] == ["000000.png", "000004.png", "000008.png"]
    assert found.class_maps[0].parent == tmp_path / "out/classes/drive"


def test_no_source_is_written_over(weights: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    cv2.imwrite(str(image), np.zeros((64, 64, 3), np.uint8))
    before = image.read_bytes()
    found = predict_pixels(weights, image, out=tmp_path)
    assert image.read_bytes() == before
    assert found.overlays == [tmp_path / "a-2.jpg"]


def test_classes_leave_the_others_out(weights: Path, polygons: Path, tmp_path: Path) -> None:
    source = polygons.parent / "images/val/000.png"
    found = predict_pixels(weights, source, out=tmp_path / "out", classes=[3], save=False)
    assert set(np.unique(np.array(Image.open(found.class_maps[0])))) <= {3, 255}
    assert not found.overlays


def test_an_export_gives_the_same_classes(weights: Path, polygons: Path, tmp_path: Path) -> None:
    exported = export(weights, format="onnx", out=tmp_path / "onnx", imgsz=128)
    source = polygons.parent / "images/val/000.png"
    ours = predict_pixels(weights, source, out=tmp_path / "a", imgsz=128, rect=False, save=False)
    theirs = predict_pixels(exported.path, source, out=tmp_path / "b", save=False)
    one, other = (np.array(Image.open(found.class_maps[0])) for found in (ours, theirs))
    assert (one == other).mean() > 0.98
    again = val_pixels(exported.path, polygons, out=tmp_path / "val", plots=False)
    assert again.report.classes[3].pixels == sum((truth_of(p) == 3).sum() for p in images_of(polygons))


def images_of(data: Path) -> list[Path]:
    return sorted((data.parent / "images/val").glob("*.png"))


def test_a_report_has_tables_and_a_panel(run: Path, tmp_path: Path) -> None:
    result = report([run], out=tmp_path / "report", hardest=2)
    assert [table.name for table in result.tables] == ["table4_semantic", "table5_semantic_iou"]
    panel = cv2.imread(str(result.panel))
    # Input, truth and prediction of two images.
    assert panel.shape[1] == 3 * 420
    assert len(result.images) == 2
    assert "Table 5" in result.page.read_text()


def test_runs_of_pixels_and_of_objects_are_reported_apart(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "reg.yaml").write_text("task: detect\nmodel: yolov8n.yaml\ndata: x.yaml\n")
    with pytest.raises(ConfigError, match="report them apart"):
        report([run, other], out=tmp_path / "report")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"conf": 0.4}, "conf"),
        ({"suppression": "soft"}, "suppression"),
        ({"calibrated": True}, "calibrated"),
        ({"track": True}, "track"),
        ({"tiles": 320}, "tiles"),
        ({"roi": (0, 0, 1, 0.5)}, "roi"),
    ],
)
def test_options_of_objects_are_refused_by_name(weights: Path, tmp_path: Path, options: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=f"`{named}`: has no meaning for .*most probable class"):
        predict_pixels(weights, tmp_path, **options)


def test_commands_for_objects_say_what_the_weights_are(weights: Path, detector: Path, tmp_path: Path) -> None:
    assert gives_pixels(weights)
    assert not gives_pixels(detector)
    with pytest.raises(WeightsError, match="gives each pixel a class and finds no objects"):
        predict(weights, tmp_path)
    with pytest.raises(ConfigError, match="finds objects; use `predict`"):
        predict_pixels(detector, tmp_path)
    with pytest.raises(ConfigError, match="int8: what it costs is measured in mAP"):
        export(weights, int8=True)


def test_a_set_with_other_classes_is_refused(weights: Path, own_rectangles: Path) -> None:
    own_rectangles.write_text("train: images/train\nval: images/val\nnames: [red, green]\n")
    with pytest.raises(DataError, match=r"has 4 classes, .* names 3"):
        val_pixels(weights, own_rectangles)


def test_faces_are_blurred_before_an_overlay_is_stored(
    weights: Path, detector: Path, polygons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.prediction import pixels

    monkeypatch.setattr(pixels, "find_all", lambda _finders, _picture: [(0.0, 0.0, float(WIDTH), float(HEIGHT))])
    source = polygons.parent / "images/val/000.png"
    blurred = predict_pixels(weights, source, out=tmp_path / "a", blur=[detector])
    monkeypatch.undo()
    plain = predict_pixels(weights, source, out=tmp_path / "b")
    one, other = (cv2.imread(str(found.overlays[0])).astype(int) for found in (blurred, plain))
    assert np.abs(np.diff(one, axis=1)).mean() < 0.3 * np.abs(np.diff(other, axis=1)).mean()
    assert torch.equal(*(torch.from_numpy(np.array(Image.open(f.class_maps[0]))) for f in (blurred, plain)))
