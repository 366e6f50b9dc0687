"""A diagnosis of detections that are stored already."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from reg_yolo.detections import DetectionsHeader, DetectionsWriter, FrameDetections
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.diagnosis.stored import diagnose_detections
from reg_yolo.errors import DataError
from tests.diagnosis.samples import NAMES, write_split


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Diagnosis]:
    """A detections file, and the diagnosis of the same results in memory."""
    results = write_split(tmp_path)
    header = DetectionsHeader(
        "images/val",
        NAMES,
        "best.pt",
        "0" * 64,
        "pytorch",
        "f32",
        (160, 160),
        "cpu",
        dict.fromkeys(NAMES, 0.3),
        "0.2.0",
    )
    file = tmp_path / "detections.jsonl"
    with DetectionsWriter(file, header) as writer:
        for result in [*results, None]:
            if result is None:
                writer.write(FrameDetections(str(tmp_path / "elsewhere.png"), 0, None, 160, 120))
                continue
            found = {"boxes_xyxy": result.boxes, "confidences": result.confidences, "class_ids": result.classes}
            writer.write(FrameDetections.from_arrays(str(result.path), 0, None, 160, 120, **found, class_names=NAMES))
    return file, Diagnosis.of(results, NAMES, title="best.pt", data="data.yaml", split="val")


def test_a_file_gives_what_the_network_gave(stored: tuple[Path, Diagnosis]) -> None:
    file, direct = stored
    found = diagnose_detections(file, file.parent / "data.yaml")
    assert found.analysis.counts() == direct.analysis.counts()
    assert found.analysis.costs() == pytest.approx(direct.analysis.costs())
    assert [(h.kind, h.image, h.label) for h in found.hints] == [(h.kind, h.image, h.label) for h in direct.hints]
    assert found.lines == direct.lines
    confidence, foreign = found.notes
    assert "from a confidence of 0.3 on" in confidence and "1 images of the file are not in the split" in foreign


def test_images_that_the_file_lacks_are_counted(
    stored: tuple[Path, Diagnosis], capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = stored
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "5.png" not in line), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["diagnose", str(file), "--data", str(file.parent / "data.yaml"), "--out", str(file.parent / "out")])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "Note: 1 images of the split are not in the file, and left out." in said and "5 images, 10 objects" in said
    assert (file.parent / "out/diagnosis.html").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--data: name the data set"),
        (["imgsz=320", "--data", "data.yaml"], "imgsz: belongs to a network"),
        (["--data", "data.yaml", "--split", "test"], "names no 'test:' split"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    stored: tuple[Path, Diagnosis], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = stored
    named = [str(file.parent / word) if word == "data.yaml" else word for word in words]
    with pytest.raises(SystemExit) as left:
        main(["diagnose", str(file), *named])
    said = capsys.readouterr().err
    assert left.value.code == 2 and message in said and said.count("\n") == 1
    assert not (file.parent / "diagnosis").exists()


def test_other_classes_other_images_and_bad_labels_are_refused(stored: tuple[Path, Diagnosis]) -> None:
    file, _ = stored
    data = file.parent / "data.yaml"
    label = file.parent / "labels/val/3.txt"
    label.write_text("0 0.5 0.5 0.1\n")
    with pytest.raises(DataError, match=r"3\.txt:1: "):
        diagnose_detections(file, data)
    data.write_text("val: images/val\nnames: [sign, wall]\n")
    with pytest.raises(DataError, match="must be the same list"):
        diagnose_detections(file, data)
    write_split(file.parent / "other", 1)
    with pytest.raises(DataError, match="has no image of the 'val' split"):
        diagnose_detections(file, file.parent / "other/data.yaml")
