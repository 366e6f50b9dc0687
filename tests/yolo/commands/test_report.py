"""`reg-yolo report`: tables, chart, panel and pages from run folders, and what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from reg_yolo.cli.app import main
from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.masks import encode_mask
from reg_yolo.drawing.annotate import class_colours
from reg_yolo.errors import ConfigError, DataError, MediaError
from reg_yolo.evaluation.run_results import read_run, read_runs
from reg_yolo.yolo.commands import report_panel
from reg_yolo.yolo.commands.report import report
from reg_yolo.yolo.commands.report_panel import draw_panel, find_images, predictions_on, score_on, validation_images
from tests.conftest import HEIGHT, NAMES, WIDTH
from tests.evaluation.runs import report_of, write_run


def run_on(
    folder: Path, data: Path, weights: Path | None = None, task: str = "detect", settings: dict[str, Any] | None = None
) -> Path:
    """Write a run that was validated on `data`, with weights if there are any."""
    masks = report_of(NAMES[:2], 0.4, "mask") if task != "detect" else None
    chosen = {"data": str(data), **({"mask_classes": list(NAMES[:2])} if task == "joint" else {}), **(settings or {})}
    described = {**yaml.safe_load(data.read_text()), "path": str(data.parent)}
    write_run(folder, task, report_of(NAMES), masks, settings=chosen, data=described)
    if weights is not None:
        (folder / "weights").mkdir()
        shutil.copy(weights, folder / "weights" / "best.pt")
    return folder


@pytest.fixture
def two(tmp_path: Path, even_rectangles: Path, detector: Path) -> list[Path]:
    """Two runs on the same data with the same weights."""
    return [run_on(tmp_path / name, even_rectangles, detector) for name in ("stock", "reg_v1")]


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], FrameDetections]], list[list[Path]]]:
    """Let a function predict in the place of a network; returns the images of each call."""

    def use(answer: Callable[[Path], FrameDetections]) -> list[list[Path]]:
        calls: list[list[Path]] = []

        def predict(_weights: Path, source: Path, *, on_frame: Callable, out: Path, **_others: Any) -> SimpleNamespace:
            assert not out.exists()
            calls.append([Path(line) for line in source.read_text().splitlines()])
            for path in calls[-1]:
                on_frame(answer(path))
            return SimpleNamespace(failed={})

        monkeypatch.setattr(report_panel, "predict", predict)
        return calls

    return use


def seen(path: Path, *detections: Detection) -> FrameDetections:
    return FrameDetections(str(path), 0, None, WIDTH, HEIGHT, detections)


def test_a_report_has_tables_chart_panel_and_pages(two: list[Path], tmp_path: Path) -> None:
    result = report(two, out=tmp_path / "out", hardest=3)
    names = {str(path.relative_to(result.folder)) for path in result.folder.rglob("*") if path.is_file()}
    assert names == {
        "report.md", "report.html", "metrics.png", "panel.png",
        "table1_detection.md", "table1_detection.tex", "table1_detection.csv",
        *(f"by_class/table1_detection_by_class_{n}.{suffix}" for n in (1, 2) for suffix in ("md", "tex", "csv")),
    }  # fmt: skip
    assert len(result.images) == 3
    page = result.page.read_text(encoding="utf-8")
    for name in re.findall(r"\]\((\S+)\)", page):
        assert (result.folder / name).is_file()
    assert "| stock | yolov8n | 3.01 | " in page and "## By class" in page and "3 hardest" in page
    html = (result.folder / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/") == 2 and "<td>3.01</td>" in html
    panel = cv2.imread(str(result.panel))
    # Input, truth and two runs at 480 pixels with gaps; three rows of 480 x 360.
    assert panel.shape[1] == 4 * 480 + 5 * 8 and panel.shape[0] > 3 * 360


def test_the_panel_shows_input_truth_and_predictions(two: list[Path], predicted: Callable) -> None:
    box = (40.0, 30.0, 80.0, 70.0)
    # Another index than in the data set: the name decides on the colour.
    predicted(lambda path: seen(path, Detection("blue", 0, 0.9, box)))
    runs = read_runs(two)
    images = validation_images(runs[0])[:1]
    panel = draw_panel(runs, images, [predictions_on(run, images) if run.weights.is_file() else {} for run in runs])
    top = panel.shape[0] - 8 - 360
    tiles = [panel[top : top + 360, left : left + 480] for left in range(8, 4 * 488, 488)]
    picture = cv2.resize(images[0].picture(), (480, 360), interpolation=cv2.INTER_CUBIC)
    assert (tiles[0] == picture).all()
    truth = images[0].truth(480, 360).detections
    for found in truth:
        left, _, right, below = (round(value) for value in found.box_xyxy)
        edge = tiles[1][min(below - 1, 359), left + 3 : right - 3]
        assert (edge == class_colours(3)[found.class_id]).all(axis=1).mean() > 0.5
    row, column = round(70 * 360 / HEIGHT) - 1, round(60 * 480 / WIDTH)
    assert (tiles[2][row, column] == class_colours(3)[2]).all()
    assert (tiles[3] == tiles[2]).all()


def test_polygon_rows_are_masks_in_the_truth_of_a_joint_run(tmp_path: Path, own_rectangles: Path) -> None:
    run = read_run(run_on(tmp_path / "joint", own_rectangles, task="joint"), "joint")
    image = validation_images(run)[0]
    label_path_for(image.path).write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.5 0.5 0.2 0.4\n2 0.6 0.6 0.9 0.6 0.9 0.9\n")
    first, second, third = image.truth(200, 100).detections
    assert first.box_xyxy == pytest.approx((20, 10, 100, 50))
    assert first.mask is not None and first.mask["polygons"] == [pytest.approx([20, 10, 100, 10, 100, 50])]
    assert second.mask is None and second.box_xyxy == pytest.approx((80, 30, 120, 70))
    # A polygon of a class without masks stands for its box.
    assert third.mask is None and third.box_xyxy == pytest.approx((120, 60, 180, 90))
    detection = read_run(run_on(tmp_path / "detect", own_rectangles), "detect")
    assert all(found.mask is None for found in validation_images(detection)[0].truth(200, 100).detections)


def test_predicted_masks_are_drawn(tmp_path: Path, own_rectangles: Path, detector: Path, predicted: Callable) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[30:70, 40:80] = True
    box = (30.0, 20.0, 90.0, 80.0)
    predicted(lambda path: seen(path, Detection("red", 0, 0.9, box, encode_mask(mask))))
    run = read_run(run_on(tmp_path / "joint", own_rectangles, detector, "joint"), "joint")
    images = validation_images(run)[:1]
    panel = draw_panel([run], images, [predictions_on(run, images)])
    tile = panel[-368:-8, -488:-8]
    picture = cv2.resize(images[0].picture(), (480, 360), interpolation=cv2.INTER_CUBIC)
    inner, rim = (slice(130, 240), slice(170, 280)), (slice(90, 105), slice(130, 300))
    expected = picture[inner] * 0.55 + np.array(class_colours(3)[0]) * 0.45
    assert np.abs(tile[inner] - expected).max() <= 1
    assert (tile[rim] == picture[rim]).all()


def test_the_hardest_images_are_those_that_both_runs_miss(
    two: list[Path], even_rectangles: Path, tmp_path: Path, predicted: Callable
) -> None:
    images = sorted((even_rectangles.parent / "images/val").glob("*.png"))
    hard = {images[5], images[2]}

    def answer(path: Path) -> FrameDetections:
        run = read_run(two[0], "a")
        (image,) = [image for image in validation_images(run) if image.path == path]
        return seen(path, *(() if path in hard else image.truth(WIDTH, HEIGHT).detections))

    calls = predicted(answer)
    result = report(two, out=tmp_path / "out", hardest=2)
    assert set(result.images) == hard
    assert [len(call) for call in calls] == [12, 12]


def test_classes_that_a_run_does_not_know_do_not_count_against_it(tmp_path: Path, own_rectangles: Path) -> None:
    run = read_run(run_on(tmp_path / "run", own_rectangles), "run")
    image = validation_images(run)[0]
    label_path_for(image.path).write_text("0 0.25 0.25 0.2 0.2\n2 0.75 0.75 0.2 0.2\n")
    truth = image.truth(WIDTH, HEIGHT).detections
    assert score_on(image, run, seen(image.path, *truth)).f1 == 1
    narrower = read_run(run_on(tmp_path / "narrow", own_rectangles), "narrow")
    object.__setattr__(narrower, "boxes", report_of(NAMES[:2]))
    score = score_on(image, narrower, seen(image.path, truth[0]))
    assert (score.found, score.missed, score.wrong) == (1, 0, 0)


def test_images_by_path_name_and_stem(two: list[Path], tmp_path: Path) -> None:
    among = validation_images(read_run(two[0], "a"))
    foreign = tmp_path / "foreign.png"
    shutil.copy(among[0].path, foreign)
    found = find_images(["003.png", "004", str(among[1].path), str(foreign)], among)
    assert [image.path for image in found] == [among[3].path, among[4].path, among[1].path, foreign]
    with pytest.raises(DataError, match=r"no file 03\.png.*did you mean 003\.png"):
        find_images(["03.png"], among)


def test_one_name_for_two_images_is_refused(tmp_path: Path, own_rectangles: Path) -> None:
    folder = own_rectangles.parent / "images" / "val"
    (folder / "more").mkdir()
    shutil.copy(folder / "000.png", folder / "more" / "000.png")
    among = validation_images(read_run(run_on(tmp_path / "run", own_rectangles), "run"))
    with pytest.raises(DataError, match=r"000 stands for 2 validation images"):
        find_images(["000"], among)


def test_two_data_sets_side_by_side(tmp_path: Path, own_rectangles: Path, even_rectangles: Path) -> None:
    pair = {"detect": str(own_rectangles), "segment": str(even_rectangles)}
    run = read_run(run_on(tmp_path / "run", own_rectangles, task="joint", settings={"data": pair}), "run")
    images = validation_images(run)
    assert len(images) == 3 + 12
    assert {image.mask_classes for image in images[:3]} == {()}
    assert {image.mask_classes for image in images[3:]} == {NAMES[:2]}


def test_the_images_are_those_of_the_last_validation(
    tmp_path: Path, own_rectangles: Path, even_rectangles: Path
) -> None:
    """`reg-yolo val --out RUN` on other data leaves the settings of the training as they are."""
    folder = run_on(tmp_path / "run", own_rectangles, settings={"data": str(even_rectangles)})
    assert len(validation_images(read_run(folder, "run"))) == 3
    (folder / "data.yaml").unlink()
    assert len(validation_images(read_run(folder, "run"))) == 12
    gone = run_on(tmp_path / "gone", own_rectangles, settings={"data": "/gone/data.yaml"})
    assert len(validation_images(read_run(gone, "gone"))) == 3
    (gone / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"data\.yaml does not exist"):
        validation_images(read_run(gone, "gone"))


def test_the_truth_is_that_of_the_richest_run(
    tmp_path: Path, own_rectangles: Path, even_rectangles: Path, detector: Path, predicted: Callable
) -> None:
    folders = [
        run_on(tmp_path / "detect", even_rectangles, detector),
        run_on(tmp_path / "joint", own_rectangles, detector, "joint"),
    ]
    calls = predicted(seen)
    result = report(folders, out=tmp_path / "out", hardest=9)
    assert [len(call) for call in calls] == [3, 3]
    assert {path.parent for path in result.images} == {own_rectangles.parent / "images" / "val"}


def test_groups_show_one_run_each(tmp_path: Path, even_rectangles: Path, detector: Path, predicted: Callable) -> None:
    folders = [
        run_on(tmp_path / f"reg-seed{n}", even_rectangles, detector, settings={"train": {"seed": n}}) for n in range(2)
    ]
    calls = predicted(seen)
    result = report(folders, out=tmp_path / "out", group=True, hardest=1)
    assert len(calls) == 1 and len(result.tables[0].rows) == 1
    assert cv2.imread(str(result.panel)).shape[1] == 3 * 480 + 4 * 8


def test_no_panel_needs_no_weights_and_no_data(tmp_path: Path, own_rectangles: Path) -> None:
    folder = run_on(tmp_path / "run", own_rectangles)
    result = report([folder], out=tmp_path / "out", hardest=0)
    assert result.panel is None and not (result.folder / "panel.png").exists()
    assert "Params" not in result.page.read_text()
    with pytest.raises(DataError, match=r"best\.pt is missing.*hardest=0"):
        report([folder], out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_images_that_do_not_decode_are_named(two: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"broken\.png"):
        report(two, images=[str(broken)], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line(two: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", *map(str, two), "--labels", "stock_loss,ป้าย", "--images", "001.png,002", "--out", "out"]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert "Table 1: detection, boxes" in printed and "stock_loss" in printed and "ป้าย" in printed
    assert cv2.imread("out/panel.png").shape[0] > 2 * 360
    assert "Chosen images." in Path("out/report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "gone: no such folder"),
        (["RUN", "--labels", "a,b"], "--labels: got 2 for 1 runs"),
        (["RUN", "--hardest", "-1"], "--hardest: got -1"),
        (["RUN", "--images", "nothing.jpg"], "no file nothing.jpg"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], message: str, two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["report", *(str(two[0]) if word == "RUN" else word for word in words)])
    assert left.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not Path("runs").exists()


def test_a_negative_number_of_images_is_refused(two: list[Path]) -> None:
    with pytest.raises(ConfigError, match="expected 0 or more"):
        report(two, hardest=-1)
