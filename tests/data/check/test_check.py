"""The check of a whole data set: every fault once, with its file and line; nothing said of a clean set."""

import csv
import io
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reg_yolo.data.check.run import CheckReport, check_dataset, write_check
from reg_yolo.data.dataset.findings import CODES, Finding
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.scenes import write_stills
from tests.data.sets import HEIGHT, NAMES, ROWS, WIDTH, picture, write_clean_set, write_labels, write_picture
from tests.real_data import REAL_DATA

FIRST = "images/train/ภาพ_00.jpg"
FIRST_LABELS = "labels/train/ภาพ_00.txt"
CLEAN = "".join(f"{row}\n" for row in ROWS)


def check(yaml: Path, **options: object) -> CheckReport:
    return check_dataset(yaml, **{"min_objects": 1, "workers": 1, **options})  # type: ignore[arg-type]


def places(report: CheckReport) -> list[tuple[str, str]]:
    return [(finding.code, finding.place(report.description.root)) for finding in report.findings]


def only(report: CheckReport) -> Finding:
    assert len(report.findings) == 1, report.as_text()
    return report.findings[0]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_clean_set(tmp_path / "clean")


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Every fault exactly once, but for those that need a set of their own."""
    root = tmp_path / "faulty"
    yaml = write_clean_set(root, ("train", "test"))
    yaml.write_text(yaml.read_text(encoding="utf-8") + "  3: มีน้อย\n  4: ไม่มี\n", encoding="utf-8")
    images, labels = root / "images/train", root / "labels/train"
    seeds = iter(range(5000, 6000))

    def add(name: str, rows: str | bytes | None, split: str = "train") -> None:
        write_picture(root / f"images/{split}/{name}.jpg", picture(next(seeds)))
        if rows is not None:
            write_labels(root / f"labels/{split}/{name}.txt", rows)

    (images / "empty.jpg").write_bytes(b"")
    write_labels(labels / "empty.txt", ROWS[0])
    add("latin1", "ป้าย".encode("cp874"))
    add("malformed", f"{ROWS[0]}\n\n1 0.5 0.5 0.1\n{ROWS[1]}")
    add("class", f"\ufeff{ROWS[0]}\r\n7 0.5 0.5 0.1 0.1\r\n")
    add("range", f"{ROWS[0]}\n1 120 80 20 20\n")
    add("mixed", f"{ROWS[0]}\n{ROWS[1]}\n2 0.1 0.8 0.3 0.8 0.3 0.95\n")
    add("repeated", f"{ROWS[0]}\n{ROWS[1]}\n{ROWS[0]}\n")
    add("doubled", f"{ROWS[0]}\n0 0.202 0.301 0.2 0.2\n")
    add("two_classes", f"{ROWS[0]}\n1 0.2005 0.3 0.2 0.2\n")
    add("tiny", f"{ROWS[0]}\n1 0.5 0.5 0.0013 0.1\n")
    add("bow_tie", "0 0.1 0.1 0.4 0.4 0.4 0.1 0.1 0.4\n")
    add("line", "0 0.1 0.1 0.3 0.3 0.5 0.5\n")
    add("rare", f"3 0.5 0.5 0.2 0.2\n{ROWS[0]}\n")
    add("rare", f"3 0.5 0.5 0.2 0.2\n{ROWS[0]}\n", "test")
    add("unlabelled", None)
    write_labels(root / "labels/test/orphan.txt", ROWS[0])
    # The same file, the same bytes, nearly the same image in both splits; the same bytes twice in one.
    (root / "images/test/link.jpg").symlink_to(images / "ภาพ_00.jpg")
    write_labels(root / "labels/test/link.txt", CLEAN)
    (root / "images/test/copy.jpg").write_bytes((images / "ภาพ_01.jpg").read_bytes())
    write_labels(root / "labels/test/copy.txt", CLEAN)
    brighter = np.clip(picture(2).astype(int) + 6, 0, 255).astype(np.uint8)
    write_picture(root / "images/test/near.jpg", brighter)
    write_labels(root / "labels/test/near.txt", CLEAN)
    (images / "twice.jpg").write_bytes((images / "range.jpg").read_bytes())
    write_labels(labels / "twice.txt", CLEAN)
    turned = Image.fromarray(picture(next(seeds))[..., ::-1])
    exif = Image.Exif()
    exif[274] = 6
    turned.save(images / "turned.jpg", exif=exif.tobytes())
    write_labels(labels / "turned.txt", CLEAN)
    return yaml


def test_every_fault_is_found_once_with_its_place(faulty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-python": "4.10.0.84", "opencv-python-headless": "4.11.0.86"}

    def version(package: str) -> str:
        if package not in versions:
            raise metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(metadata, "version", version)
    report = check(faulty, min_objects=2)
    assert places(report) == [
        ("split-missing", "data.yaml"),
        ("image-unreadable", "images/train/empty.jpg"),
        ("image-two-splits", "images/test/link.jpg"),
        ("image-copied", "images/test/copy.jpg"),
        ("label-unreadable", "labels/train/latin1.txt"),
        ("row-malformed", "labels/train/malformed.txt:3"),
        ("row-class", "labels/train/class.txt:2"),
        ("row-range", "labels/train/range.txt:2"),
        ("row-kind", "labels/train/mixed.txt:3"),
        ("row-repeated", "labels/train/repeated.txt:3"),
        ("box-near-duplicate", "labels/train/doubled.txt:2"),
        ("box-two-classes", "labels/train/two_classes.txt:2"),
        ("box-subpixel", "labels/train/tiny.txt:2"),
        ("polygon-crossing", "labels/train/bow_tie.txt:1"),
        ("polygon-no-area", "labels/train/line.txt:1"),
        ("image-near-identical", "images/test/near.jpg"),
        ("image-repeated", "images/train/twice.jpg"),
        ("label-orphan", "labels/test/orphan.txt"),
        ("class-missing", "data.yaml:8"),
        ("class-rare", "data.yaml:7"),
        ("opencv-versions", sys.prefix),
        ("image-unlabelled", "data.yaml"),
        ("image-upright", "data.yaml"),
    ]
    assert (report.count("error"), report.count("warning"), report.count("note")) == (9, 12, 2)
    # The others have tests of their own.
    apart = {"split-unreadable", "split-overlap", "split-unlabelled", "image-turned"}
    apart |= {"image-dark", "keypoints-left-out", "path-elsewhere", "mask-missing", "mask-wrong"}
    assert {finding.code for finding in report.findings} == CODES.keys() - apart


def test_messages_say_what_is_wrong(faulty: Path) -> None:
    messages = {finding.code: finding.message for finding in check(faulty, min_objects=2).findings}
    assert f"reg-yolo data split {faulty} --by drive --val 0.2" in messages["split-missing"]
    assert messages["row-class"] == "class id 7 is out of range, expected 0 to 4"
    assert "are these pixels?" in messages["row-range"]
    assert "joint takes both" in messages["row-kind"]
    assert messages["row-repeated"] == "the same as line 1; it counts once"
    assert "IoU 0.97" in messages["box-near-duplicate"] and "line 1" in messages["box-near-duplicate"]
    assert "class 1 here, 0 there" in messages["box-two-classes"]
    assert messages["box-subpixel"] == "0.832 x 38.4 pixels once 320x192 is scaled to 640"
    assert "side 1 (points 1 and 2) and side 3" in messages["polygon-crossing"]
    assert "'ไม่มี' in train and test" in messages["class-missing"]
    assert "'มีน้อย' has 1 object in train" in messages["class-rare"]
    assert "1 of 20 images have no label file, the first is unlabelled.jpg" in messages["image-unlabelled"]


def test_csv_holds_every_finding_for_a_spreadsheet(faulty: Path, tmp_path: Path) -> None:
    report = check(faulty, min_objects=2)
    written = write_check(report, tmp_path / "out")
    raw = written[0].read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [(row["code"], row["severity"]) for row in rows] == [(f.code, f.severity) for f in report.findings]
    row = next(row for row in rows if row["code"] == "row-class")
    assert row["place"] == f"{faulty.parent}/labels/train/class.txt:2" == f"{row['file']}:{row['line']}"
    near = list(csv.DictReader(io.StringIO(written[1].read_text(encoding="utf-8-sig"))))
    assert [(row["group"], row["split"], Path(row["image"]).name) for row in near] == [
        ("1", "train", "ภาพ_02.jpg"),
        ("1", "test", "near.jpg"),
    ]


def test_clean_set_has_no_finding(clean: Path) -> None:
    report = check(clean)
    assert report.findings == []
    assert report.images == {"train": 4, "val": 4}
    assert report.objects == {"train": [4, 4, 4], "val": [4, 4, 4]}
    assert report.as_text().endswith("24 objects: 0 errors, 0 warnings, 0 notes")
    assert check(clean.parent).findings == []


def test_nothing_is_written_into_the_set(clean: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in clean.parent.rglob("*")}
    report = check(clean)
    for inside in ("images/train", "images/train/report", "labels/val/deep/er"):
        with pytest.raises(ConfigError, match="nothing is written into a data set"):
            write_check(report, clean.parent / inside)
    write_check(report, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in clean.parent.rglob("*")} == before


def test_scenes_of_the_embedded_highway_are_clean(tmp_path: Path) -> None:
    summary = write_stills(tmp_path / "scenes", 5, (320, 192), 0, workers=1, val_fraction=0.4)
    report = check(summary.data_yaml, task="joint")
    assert {finding.code for finding in report.findings} <= {"class-missing", "class-rare"}


def test_windows_line_ends_byte_order_mark_and_nested_folders(tmp_path: Path) -> None:
    yaml = write_clean_set(tmp_path)
    for seed, name, rows in ((40, "train/ถนน 7/เช้า/ก", CLEAN), (41, "val/a/b/ข", "\ufeff" + CLEAN)):
        write_picture(tmp_path / f"images/{name}.png", picture(seed))
        write_labels(tmp_path / f"labels/{name}.txt", rows.replace("\n", "\r\n"))
    yaml.write_bytes(b"\xef\xbb\xbf" + yaml.read_bytes().replace(b"\n", b"\r\n"))
    report = check(yaml)
    assert report.findings == []
    assert report.images == {"train": 5, "val": 5}


def test_splits_given_by_list_files(clean: Path) -> None:
    root = clean.parent
    (root / "train.txt").write_text("./images/train/ภาพ_00.jpg\nimages/train/ภาพ_01.jpg\n", encoding="utf-8")
    (root / "val.txt").write_text("images/val/ภาพ_00.jpg\nimages/train/ภาพ_01.jpg\nimages/val/absent.jpg\n", "utf-8")
    clean.write_text(
        clean.read_text(encoding="utf-8").replace("images/train", "train.txt").replace("images/val", "val.txt")
    )
    report = check(clean)
    # Labels of images that no list names are no orphans.
    assert places(report) == [
        ("image-unreadable", "images/val/absent.jpg"),
        ("image-two-splits", "images/train/ภาพ_01.jpg"),
        ("image-unlabelled", "data.yaml"),
    ]


def test_an_image_listed_twice_is_a_repeated_one(clean: Path) -> None:
    root = clean.parent
    (root / "train.txt").write_text("images/train/ภาพ_00.jpg\nimages/train/ภาพ_00.jpg\n", encoding="utf-8")
    clean.write_text(clean.read_text(encoding="utf-8").replace("images/train", "train.txt"), encoding="utf-8")
    finding = only(check(clean))
    assert (finding.code, finding.message) == ("image-repeated", "listed twice")


@pytest.mark.parametrize("other", ["images/train", "images"])
def test_overlapping_splits_are_one_finding(clean: Path, other: str) -> None:
    clean.write_text(clean.read_text(encoding="utf-8").replace("val: images/val", f"val: {other}"), encoding="utf-8")
    finding = only(check(clean))
    assert (finding.code, finding.split, finding.line) == ("split-overlap", "train+val", 2)


def test_split_that_is_not_there_leaves_the_others_checked(clean: Path) -> None:
    write_labels(clean.parent / FIRST_LABELS, "0 0.5 0.5 2 2")
    clean.write_text(clean.read_text(encoding="utf-8").replace("val: images/val", "val: images/gone"), encoding="utf-8")
    assert places(check(clean)) == [("split-unreadable", "data.yaml:2"), ("row-range", f"{FIRST_LABELS}:1")]


def test_split_without_an_object(clean: Path) -> None:
    for path in (clean.parent / "labels/val").glob("*.txt"):
        path.write_text("")
    finding = only(check(clean))
    assert (finding.code, finding.split, finding.line) == ("split-unlabelled", "val", 2)


@pytest.mark.parametrize(
    ("rows", "task", "codes"),
    [
        ("0 0.1 0.1 0.4 0.1 0.4 0.4", "detect", []),
        ("0 0.1 0.1 0.4 0.1 0.4 0.4", "segment", []),
        (ROWS[0], "segment", ["row-kind"]),
        (ROWS[0], "joint", []),
        (f"{ROWS[0]}\n1 0.1 0.1 0.4 0.1 0.4 0.4", "detect", ["row-kind"]),
        (f"{ROWS[0]}\n1 0.1 0.1 0.4 0.1 0.4 0.4", "segment", ["row-kind"]),
        (f"{ROWS[0]}\n1 0.1 0.1 0.4 0.1 0.4 0.4", "joint", []),
    ],
)
def test_rows_that_a_task_takes(clean: Path, rows: str, task: str, codes: list[str]) -> None:
    polygons = "".join(f"{c} 0.1 0.{c + 4} 0.4 0.{c + 4} 0.4 0.9\n" for c in range(3))
    for path in clean.parent.glob("labels/*/*.txt"):
        path.write_text(polygons if task == "segment" else CLEAN)
    write_labels(clean.parent / FIRST_LABELS, rows)
    assert [finding.code for finding in check(clean, task=task).findings] == codes


@pytest.mark.parametrize(
    ("points", "code"),
    [
        # A mask's outline with a one-pixel neck, and two parts joined by a bridge that is walked there and back.
        ("0.1 0.1 0.3 0.1 0.3 0.3 0.5 0.3 0.5 0.5 0.3 0.5 0.3 0.3 0.1 0.3", None),
        ("0.1 0.1 0.2 0.1 0.2 0.2 0.6 0.2 0.6 0.4 0.8 0.4 0.8 0.2 0.6 0.2 0.2 0.2 0.1 0.2", None),
        # The corner of a spike rounded to six digits lies a hair beyond the side that it touches.
        ("0.1 0.1 0.5 0.1 0.5 0.5 0.3 0.099999 0.1 0.5", None),
        ("0.1 0.1 0.5 0.5 0.5 0.1 0.1 0.5", "polygon-crossing"),
        ("0.1 0.1 0.9 0.1 0.9 0.9 0.2 0.9 0.2 0.05 0.1 0.05", "polygon-crossing"),
        ("0.1 0.1 0.3 0.1 0.3 0.4 0.3 0.1", "polygon-no-area"),
        ("0.5 0.5 0.5 0.5 0.5 0.5", "polygon-no-area"),
    ],
)
def test_outlines(clean: Path, points: str, code: str | None) -> None:
    write_labels(clean.parent / FIRST_LABELS, f"0 {points}\n")
    assert [finding.code for finding in check(clean).findings] == ([code] if code else [])


def test_polygons_are_doubles_by_area_and_not_by_their_boxes(clean: Path) -> None:
    above, below = "0 0.1 0.1 0.9 0.1 0.9 0.9", "0 0.1 0.1 0.1 0.9 0.9 0.9"
    again = "0 0.101 0.1 0.9 0.1 0.9 0.899"
    write_labels(clean.parent / FIRST_LABELS, f"{above}\n{below}\n{again}\n")
    finding = only(check(clean))
    assert (finding.code, finding.line) == ("box-near-duplicate", 3)
    assert "with line 1" in finding.message


@pytest.mark.parametrize(("iou", "found"), [(0.8, True), (0.83, False)])
def test_limit_of_near_duplicates(clean: Path, iou: float, found: bool) -> None:
    # Boxes 0.4 wide, 0.04 apart: IoU 0.36 / 0.44 = 0.818.
    write_labels(clean.parent / FIRST_LABELS, "0 0.40 0.5 0.4 0.4\n0 0.44 0.5 0.4 0.4\n")
    assert bool(check(clean, same_iou=iou).findings) is found


def test_size_is_judged_at_the_size_of_training(clean: Path) -> None:
    # 1.28 pixels at 640, 0.64 at 320.
    write_labels(clean.parent / FIRST_LABELS, "0 0.5 0.5 0.002 0.1\n")
    assert check(clean, imgsz=640).findings == []
    assert only(check(clean, imgsz=320)).code == "box-subpixel"


def test_turned_pictures_are_measured_upright_and_named_where_they_stay_turned(clean: Path) -> None:
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[274] = orientation
        pixels = picture(90 + orientation, 640, 64)
        path = clean.parent / f"images/train/turned_{orientation}.jpg"
        Image.fromarray(pixels[..., ::-1]).save(path, exif=exif.tobytes())
        # 0.64 pixels wide, if the longer side is upright, which it is of orientations 5 to 8; else 0.064.
        write_labels(clean.parent / f"labels/train/turned_{orientation}.txt", "0 0.5 0.5 0.01 0.1\n")
    report = check(clean)
    assert [finding.place(clean.parent) for finding in report.findings if finding.code == "box-subpixel"] == [
        f"labels/train/turned_{orientation}.txt:1" for orientation in range(5, 9)
    ]
    assert "7 of 11 images are stored turned" in report.findings[-1].message
    clean.write_text(clean.read_text(encoding="utf-8") + "channels: 4\n", encoding="utf-8")
    stay = [finding for finding in check(clean).findings if finding.code == "image-turned"]
    turned = cv2.imread(str(clean.parent / "images/train/turned_6.jpg"), cv2.IMREAD_UNCHANGED).shape[:2] == (64, 640)
    assert len(stay) == (7 if turned else 0)


def test_bursts_across_a_split_are_one_finding_each(clean: Path) -> None:
    for burst, seed in enumerate((70, 71)):
        for frame in range(6):
            pixels = np.roll(picture(seed), frame, axis=1)
            split = "val" if frame % 3 == 2 else "train"
            write_picture(clean.parent / f"images/{split}/burst{burst}_{frame}.jpg", pixels)
            write_labels(clean.parent / f"labels/{split}/burst{burst}_{frame}.txt", CLEAN)
    report = check(clean)
    assert [finding.code for finding in report.findings] == ["image-near-identical"] * 2
    assert "group 1 of 6 images (train 4, val 2)" in report.findings[0].message
    assert Counter(row[0] for row in report.near_rows) == {1: 6, 2: 6}
    assert all({"burst0": 1, "burst1": 2}[row[2].stem.split("_")[0]] == row[0] for row in report.near_rows)
    assert check(clean, near_bits=0).findings == []


def test_blank_pictures_are_not_taken_for_one_another(clean: Path) -> None:
    for split, grey in (("train", 0), ("val", 3)):
        write_picture(clean.parent / f"images/{split}/night.png", np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
        write_labels(clean.parent / f"labels/{split}/night.txt", CLEAN)
    assert check(clean).findings == []


def test_rubbish_does_not_flood_the_list(clean: Path) -> None:
    write_labels(clean.parent / FIRST_LABELS, "x\n" * 5000)
    findings = check(clean).findings
    assert len(findings) == 201
    assert any(finding.line is None and "4800 more" in finding.message for finding in findings)


def test_processes_find_what_one_does(faulty: Path) -> None:
    alone, seen = check(faulty), []
    many = check(faulty, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert many.findings == alone.findings
    assert many.samples == alone.samples
    assert many.near_rows == alone.near_rows
    assert seen[-1][0] == seen[-1][1] == len(seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "segmnt"}, "`task`: got 'segmnt', expected detect, segment, joint, semantic. Did you mean segment?"),
        ({"imgsz": 0}, "`imgsz`: got 0"),
        ({"same_iou": 0.0}, "`same_iou`: got 0.0"),
        ({"other_iou": 1.5}, "`other_iou`: got 1.5"),
        ({"near_bits": 200}, "`near_bits`: got 200, expected 0 to 80"),
    ],
)
def test_arguments_out_of_range(clean: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(clean, **options)
    assert str(caught.value).startswith(message)


def test_absent_extra_is_one_line(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import reg_yolo.data.check.run as module

    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(DataError) as caught:
        check(clean)
    assert str(caught.value) == 'Checking a data set needs imagehash and shapely: pip install "reg-yolo[data]".'


def test_real_sets(road_data: Path) -> None:
    signs = check_dataset(road_data / "roadsign4/data.yaml")
    # Two true ones: the publisher's set holds two images twice.
    assert places(signs) == [
        ("image-repeated", "images/train/road48.jpg"),
        ("image-repeated", "images/val/road147.jpg"),
    ]
    assert check_dataset(road_data / "camvid4_seg/data.yaml", task="segment").findings == []


@pytest.fixture
def road_data() -> Path:
    folder = REAL_DATA
    if not (folder / "roadsign4").is_dir():
        pytest.skip("the real road data is not here")
    return folder


def test_class_sheets_show_the_objects(clean: Path, tmp_path: Path) -> None:
    report = check(clean)
    written = write_check(report, tmp_path / "out")[1:]
    assert [path.name for path in written] == ["00_ป้ายจราจร.png", "01_pole.png", "02_wall.png"]
    first = written[1].read_bytes()
    sheet = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (56 + 2 * (220 + 22 + 8), 6 * 228 + 8, 3)
    write_check(report, tmp_path / "again")
    assert (tmp_path / "again/sheets/01_pole.png").read_bytes() == first
    # A class that is gone leaves no sheet behind.
    clean.write_text(clean.read_text(encoding="utf-8").replace("pole", "post"), encoding="utf-8")
    names = {path.name for path in write_check(check(clean), tmp_path / "out")}
    assert {path.name for path in (tmp_path / "out/sheets").iterdir()} == names - {"findings.csv"}
    assert len(NAMES) == 3 and "01_post.png" in names
