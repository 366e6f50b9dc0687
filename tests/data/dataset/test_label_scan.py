"""Label scan: every bad row is named, what Ultralytics accepts is accepted and counted as it trains on it."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.data.dataset.label_scan import LabelScan, scan_labels
from reg_yolo.errors import DataError
from tests.real_data import REAL_DATA

CLASSES = {0: "pole", 1: "sign", 2: "wall"}
BOX = "0 0.5 0.5 0.2 0.2"
POLYGON = "1 0.1 0.1 0.4 0.1 0.4 0.4"


def scan_texts(folder: Path, *texts: str | bytes | None, **options: Any) -> LabelScan:
    """Scan a split with one image for each label text; None stands for an image without a label file."""
    images = folder / "images"
    labels = folder / "labels"
    images.mkdir()
    labels.mkdir()
    for index, text in enumerate(texts):
        (images / f"{index:05d}.jpg").write_bytes(b"x")
        if text is not None:
            (labels / f"{index:05d}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    description = DatasetDescription(folder / "data.yaml", folder, CLASSES, {"train": [images]})
    return scan_labels(description, "train", **options)


def faults(scan: LabelScan) -> list[tuple[str, int | None, str]]:
    return [(problem.path.name, problem.line, problem.message) for problem in scan.problems]


def test_counts_by_class_backgrounds_and_duplicates(tmp_path: Path) -> None:
    scan = scan_texts(
        tmp_path,
        f"{BOX}\n\n{BOX}\r\n1 0.5 0.5 0.1 0.1\n",
        POLYGON,
        "",
        None,
        "\ufeff0.0 0.3 0.3 0.1 0.1",
    )
    assert scan.problems == []
    assert scan.box_counts == [2, 1, 0]
    assert scan.polygon_counts == [0, 1, 0]
    assert scan.instance_counts == [2, 2, 0]
    assert scan.image_counts == [2, 2, 0]
    assert (scan.images, scan.label_files, scan.background_images, scan.duplicates) == (5, 4, 2, 1)
    assert scan.absent_classes == ["wall"]
    scan.raise_for_problems()
    scan.raise_if_unlabelled()


def test_distinct_polygons_with_one_box_are_no_duplicates(tmp_path: Path) -> None:
    scan = scan_texts(tmp_path, f"{POLYGON}\n1 0.1 0.1 0.4 0.4 0.1 0.4\n{POLYGON}")
    assert scan.polygon_counts == [0, 2, 0]
    assert scan.duplicates == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3 0.5 0.5 0.2 0.2", "class id 3 is out of range, expected 0 to 2"),
        ("-1 0.5 0.5 0.2 0.2", "class id -1 is out of range"),
        ("0.5 0.5 0.5 0.2 0.2", "class id 0.5 is not an integer"),
        ("0 nan 0.5 0.2 0.2", "column 2 is not finite: 'nan'"),
        ("0 0.5 0.5 inf 0.2", "column 4 is not finite: 'inf'"),
        ("nan 0.5 0.5 0.2 0.2", "column 1 is not finite"),
        ("0 1e308 1e308 0.2 0.2", "x_center 1e308 is outside [0, 1]"),
        ("0 0.5 1.02 0.2 0.2", "y_center 1.02 is outside [0, 1] by more than 1 %"),
        ("0 -0.02 0.5 0.2 0.2", "x_center -0.02 is outside"),
        ("0 0.5 0.5 -0.005 0.2", "width -0.005 is outside"),
        ("0 320 240 20 20", "x_center 320 is outside [0, 1] by more than 1 %; are these pixels?"),
        ("0 0.5 0.5 0.2", "4 columns, expected 5 (class x_center y_center width height) or 7, 9, 11"),
        ("0", "1 column, expected 5"),
        ("0 0.5 0.5 0.2 0.2 0.9", "6 columns, expected 5 (class x_center y_center width height) or 7, 9, 11"),
        ("0 0.1 0.1 0.4 0.1 0.4 0.4 0.5", "8 columns, expected"),
        ("0 0.5 0.5 0.2 wide", "column 5 is not a number: 'wide'"),
        ("pole 0.5 0.5 0.2 0.2", "column 1 is not a number: 'pole'"),
        ("0 0,5 0.5 0.2 0.2", "column 2 is not a number: '0,5'; write a decimal point"),
        ("0 0.1 0.1 0.4 0.1 1.3 0.4", "column 6 1.3 is outside [0, 1]"),
        ("0 -0.01 0.1 1.01 0.1 0.4 0.4", "the polygon is larger than the image"),
    ],
)
def test_each_fault_is_named_with_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    polygon = len(row.split()) > 6
    good = POLYGON if polygon else BOX
    scan = scan_texts(tmp_path, BOX, f"{good}\n\n{row}\n{good}")
    assert len(scan.problems) == 1
    assert (scan.problems[0].path.name, scan.problems[0].line) == ("00001.txt", 3)
    assert message in scan.problems[0].message


@pytest.mark.parametrize("row", ["0 1.01 -0.01 1.01 0", "2.0 0 0 0 0", "0 1.00999999 1e-9 1 1", "+1 .5 .5 1. 1."])
def test_the_tolerance_is_upstreams(tmp_path: Path, row: str) -> None:
    assert scan_texts(tmp_path, row).problems == []


def test_all_bad_rows_are_counted_and_five_are_shown(tmp_path: Path) -> None:
    bad = "\n".join(f"{index} 0.5 0.5 0.2 0.2" for index in range(3, 10))
    scan = scan_texts(tmp_path, f"{BOX}\n{bad}", "0 0.5 0.5 0.2", BOX, "0 7 7 7 7")
    assert len(scan.problems) == 9
    assert scan.instance_counts == [2, 0, 0]
    with pytest.raises(DataError) as caught:
        scan.raise_for_problems()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("9 bad label rows in 3 files of the 'train' split")
    assert len(lines) == 7
    assert f"{tmp_path / 'labels' / '00000.txt'}:2: class id 3 is out of range" in lines[1]
    assert lines[-1].strip() == "... and 4 more"


def test_mixed_files_are_one_fault_each_unless_allowed(tmp_path: Path) -> None:
    mixed = f"{BOX}\n{POLYGON}\n{BOX}\n2 0.5 0.5 0.1 0.1\n{POLYGON}"
    for name in ("detect", "joint", "bad"):
        (tmp_path / name).mkdir()
    scan = scan_texts(tmp_path / "detect", mixed, POLYGON, BOX)
    assert faults(scan) == [
        ("00000.txt", 2, "a polygon row in a file whose line 1 is a box row; the task needs one kind")
    ]
    joint = scan_texts(tmp_path / "joint", mixed, allow_mixed=True)
    assert joint.problems == []
    assert (joint.box_counts, joint.polygon_counts, joint.duplicates) == ([1, 0, 1], [0, 1, 0], 2)
    # A mixed file's other faults are still found.
    assert len(scan_texts(tmp_path / "bad", f"{mixed}\n9 0.5 0.5 0.1 0.1").problems) == 2


def test_task_without_boxes_or_without_polygons(tmp_path: Path) -> None:
    (tmp_path / "segment").mkdir()
    (tmp_path / "boxes").mkdir()
    segment = scan_texts(tmp_path / "segment", BOX, POLYGON, "0 1 2", allow_boxes=False)
    assert [fault[2] for fault in faults(segment)] == [
        "a box row (5 columns) where every object needs a polygon",
        "3 columns, expected 7, 9, 11 ... (class and the points of a polygon)",
    ]
    boxes = scan_texts(tmp_path / "boxes", BOX, POLYGON, allow_polygons=False)
    assert faults(boxes) == [("00001.txt", 1, "a polygon row (7 columns) where every object needs a box (5 columns)")]


@pytest.mark.parametrize(
    ("content", "message"),
    [(BOX.encode("utf-16"), "is UTF-16 text; save it as UTF-8"), (b"0 0.5 \xe9", "is not UTF-8 text")],
)
def test_other_encodings(tmp_path: Path, content: bytes, message: str) -> None:
    scan = scan_texts(tmp_path, content)
    assert faults(scan) == [("00000.txt", None, message)]
    with pytest.raises(DataError, match=r"1 bad label row in 1 file .*\n.*00000\.txt: is "):
        scan.raise_for_problems()


def test_split_without_any_label_names_the_place_it_looked(tmp_path: Path) -> None:
    scan = scan_texts(tmp_path, None, None)
    assert scan.background_images == 2
    with pytest.raises(DataError, match=r"2 images but no labelled object: it has no label file.*labels/00000\.txt"):
        scan.raise_if_unlabelled()


def upstream_verdict(folder: Path, text: bytes) -> tuple[bool, list[int], list[int]]:
    """Let Ultralytics verify one label file; return (accepted, objects by class, of these with a polygon)."""
    from ultralytics.data.utils import verify_image_label

    image, label = folder / "upstream.png", folder / "upstream.txt"
    if not image.exists():
        import cv2

        cv2.imwrite(str(image), np.zeros((16, 16, 3), np.uint8))
    label.write_bytes(text)
    result = verify_image_label((str(image), str(label), "", False, len(CLASSES), 0, 0, False))
    if result[0] is None:
        return False, [], []
    counts = np.bincount(result[1][:, 0].astype(int), minlength=len(CLASSES)).tolist()
    return True, counts, counts if result[3] else [0] * len(CLASSES)


COORDINATE = st.sampled_from(["0", "0.25", "0.5", "1", "1.01", "-0.01", "1.0100001", "-0.0100001", "1.02", "-1", "nan"])
USUAL = st.sampled_from(["0.25", "0.5", "0.75", "0.125"])
CLASS = st.sampled_from(["0", "1", "2", "2.0", "3", "-1", "0.5", "x"])
USUAL_CLASS = st.sampled_from(["0", "1", "2"])
ROW = st.one_of(
    st.tuples(USUAL_CLASS, USUAL, USUAL, USUAL, USUAL),
    st.tuples(CLASS, COORDINATE, COORDINATE, COORDINATE, COORDINATE),
    st.tuples(USUAL_CLASS, *[USUAL] * 6),
    st.tuples(USUAL_CLASS, *[st.one_of(USUAL, st.sampled_from(["1.01", "-0.01", "0", "1"]))] * 8),
    st.tuples(USUAL_CLASS, *[USUAL] * 5),
).map(" ".join)
LABEL_TEXT = st.tuples(st.lists(ROW, max_size=4), st.sampled_from(["\n", "\r\n", "\n\n", "\n  "])).map(
    lambda parts: parts[1].join(parts[0])
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=LABEL_TEXT)
def test_verdict_and_counts_equal_ultralytics(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("parity")
    scan = scan_texts(folder, text)
    accepted, counts, polygons = upstream_verdict(folder, text.encode())
    assert (not scan.problems) == accepted, faults(scan)
    if accepted:
        assert scan.instance_counts == counts
        assert scan.polygon_counts == polygons


def test_ten_thousand_files_take_a_few_seconds(tmp_path: Path) -> None:
    generator = random.Random(3)
    rows = [f"{generator.randrange(3)} 0.{generator.randrange(10**6):06d} 0.5 0.2 0.2" for _ in range(1000)]
    texts = ["\n".join(generator.sample(rows, 6)) for _ in range(10_000)]
    (tmp_path / "many").mkdir()
    start = time.perf_counter()
    scan = scan_texts(tmp_path / "many", *texts)
    assert sum(scan.instance_counts) + scan.duplicates == 60_000
    # Measured 0.4 s for the scan on one core; writing the files is the longer part.
    assert time.perf_counter() - start < 20


@pytest.fixture
def real_data() -> Path:
    folder = REAL_DATA
    if not folder.is_dir():
        pytest.skip("the published road data sets are not here")
    return folder


def test_published_road_data(real_data: Path) -> None:
    signs = read_dataset_yaml(real_data / "roadsign4" / "data.yaml")
    scan = scan_labels(signs, "train")
    assert (scan.images, scan.box_counts, scan.problems) == (700, [625, 158, 136, 73], [])
    streets = read_dataset_yaml(real_data / "camvid4_seg" / "data.yaml")
    polygons = scan_labels(streets, "train", allow_boxes=False)
    assert (polygons.images, polygons.polygon_counts, polygons.problems) == (367, [3315, 2446, 485, 1593], [])
