"""Whole sets of still images: labels, mix, splits, reproducibility."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.scenes import CLASS_NAMES, DEFAULT_MIX, MASK_CLASSES, write_stills
from reg_yolo.scenes.stills.class_mix import class_totals, plan_counts
from reg_yolo.scenes.stills.still import IMAGES_PER_PLACE, StillOptions, plan_stills
from reg_yolo.scenes.stills.writing import STILLS_SCHEMA, StillsSummary

StillSet = tuple[Path, StillsSummary]


def digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows_of(root: Path) -> list[tuple[Path, list[list[str]]]]:
    files = sorted((root / "labels").rglob("*.txt"))
    return [(f, [line.split() for line in f.read_text(encoding="utf-8").splitlines()]) for f in files]


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    for name, seed, workers in (("one", 4, 1), ("two", 4, 2), ("other", 5, 1)):
        write_stills(tmp_path / name, 6, (320, 192), seed=seed, workers=workers, masks=True)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    other = digests(tmp_path / "other")
    assert not {one[k] for k in one if k.endswith(".jpg")} & {other[k] for k in other if k.endswith(".jpg")}


def test_a_picture_does_not_depend_on_how_many_others_there_are_beyond_its_plan() -> None:
    jobs = plan_stills(10, 4, StillOptions())
    again = plan_stills(10, 4, StillOptions())
    assert jobs == again


def test_data_yaml_names_the_classes_and_folders(still_set: StillSet) -> None:
    out, summary = still_set
    data = yaml.safe_load(summary.data_yaml.read_text(encoding="utf-8"))
    assert [data["names"][k] for k in range(7)] == list(CLASS_NAMES)
    for split in ("train", "val"):
        images = sorted((out / data[split]).glob("*.jpg"))
        assert len(images) == summary.images[split] > 0
        labels = sorted((out / data[split].replace("images", "labels")).glob("*.txt"))
        assert [p.stem for p in images] == [p.stem for p in labels]
    picture = cv2.imread(str(images[0]))
    assert picture.shape == (384, 640, 3)


def test_rows_are_valid_polygons_for_mask_classes_and_boxes_for_the_others(still_set: StillSet) -> None:
    seen: dict[int, int] = dict.fromkeys(range(7), 0)
    for path, rows in rows_of(still_set[0]):
        for row in rows:
            class_id, values = int(row[0]), np.array(row[1:], float)
            seen[class_id] += 1
            assert (values >= 0).all() and (values <= 1).all(), path
            if class_id in MASK_CLASSES:
                assert len(values) >= 6 and len(values) % 2 == 0
            else:
                assert len(values) == 4
                x, y, w, h = values
                assert w > 0 and h > 0 and x - w / 2 >= -1e-6 and x + w / 2 <= 1 + 1e-6 and y - h / 2 >= -1e-6
    assert min(seen.values()) > 0, "every class occurs"


def test_polygons_and_boxes_equal_the_masks(still_set: StillSet) -> None:
    """The mask image is the rendered number buffer: polygons cover the same pixels, boxes touch their borders."""
    overlaps = []
    for path, rows in rows_of(still_set[0]):
        mask = cv2.imread(str(path).replace("/labels/", "/masks/").replace(".txt", ".png"), cv2.IMREAD_UNCHANGED)
        assert mask.max() == len(rows)
        for number, row in enumerate(rows, 1):
            own = (mask == number).astype(np.uint8)
            values = np.array(row[1:], float)
            if len(values) == 4:
                x, y, w, h = values * [640, 384, 640, 384]
                assert cv2.boundingRect(own) == pytest.approx((x - w / 2, y - h / 2, w, h), abs=1e-2)
                continue
            corners = values.reshape(-1, 2) * [640, 384]
            again = np.zeros_like(own)
            cv2.fillPoly(again, [corners.astype(np.int32)], 1)
            overlaps.append((own & again).sum() / (own | again).sum())
    assert np.mean(overlaps) > 0.985
    assert np.min(overlaps) > 0.7


def test_records_agree_with_the_masks(still_set: StillSet) -> None:
    out, _ = still_set
    index = json.loads((out / "scenes.json").read_text(encoding="utf-8"))
    assert index["schema"] == STILLS_SCHEMA
    for record in index["images"][:12]:
        mask = cv2.imread(
            str(out / record["image"].replace("images/", "masks/").replace(".jpg", ".png")), cv2.IMREAD_UNCHANGED
        )
        for number, item in enumerate(record["objects"], 1):
            x, y, w, h = cv2.boundingRect((mask == number).astype(np.uint8))
            assert item["box_xyxy"] == [x, y, x + w, y + h]
            assert item["visible_pixels"] == int((mask == number).sum())
            rule = index["rule"]
            assert max(w, h) >= rule["long_side_px"] and min(w, h) >= rule["short_side_px"]


def test_places_of_the_splits_do_not_overlap(still_set: StillSet) -> None:
    index = json.loads((still_set[0] / "scenes.json").read_text(encoding="utf-8"))
    places = {split: {r["place"] for r in index["images"] if r["split"] == split} for split in ("train", "val")}
    assert not places["train"] & places["val"]
    assert len(places["val"]) == 4
    assert len(index["images"]) == 40 == IMAGES_PER_PLACE * len(places["train"] | places["val"])


def test_the_plan_of_a_thousand_pictures_has_the_papers_mix_in_both_splits() -> None:
    jobs = plan_stills(1000, 0, StillOptions())
    for split, images in (("train", 800), ("val", 200)):
        counts = np.array([job.wanted for job in jobs if job.split == split])
        assert len(counts) == images
        expected = images * 8 * np.array(DEFAULT_MIX) / sum(DEFAULT_MIX)
        assert np.abs(counts.sum(axis=0) - expected).max() <= 1.0
    counts = np.array([job.wanted for job in jobs])
    assert 0.03 < (counts.sum(axis=1) == 0).mean() < 0.1, "some images show no asset"
    assert counts.sum(axis=1).max() > 9


def test_what_is_labelled_has_the_papers_mix(still_set: StillSet) -> None:
    """Labelled counts against the mix: chi-squared with 6 degrees of freedom exceeds 22.5 once in a thousand."""
    counts = np.zeros(7)
    for _, rows in rows_of(still_set[0]):
        for row in rows:
            counts[int(row[0])] += 1
    expected = counts.sum() * np.array(DEFAULT_MIX) / sum(DEFAULT_MIX)
    assert ((counts - expected) ** 2 / expected).sum() < 22.5
    assert counts.sum() > 0.94 * 320, "nearly all that was planned is seen"


def test_no_picture_shows_more_than_it_was_dealt(still_set: StillSet) -> None:
    index = json.loads((still_set[0] / "scenes.json").read_text(encoding="utf-8"))
    short = 0
    for job, record in zip(plan_stills(40, 3, StillOptions(masks=True)), index["images"], strict=True):
        counts = [sum(o["class"] == name for o in record["objects"]) for name in CLASS_NAMES]
        assert all(seen <= dealt for seen, dealt in zip(counts, job.wanted, strict=True)), record["image"]
        short += counts != list(job.wanted)
    assert short < 10


def test_summary_counts_what_is_in_the_files(still_set: StillSet) -> None:
    out, summary = still_set
    for split in ("train", "val"):
        counts = dict.fromkeys(CLASS_NAMES, 0)
        for path, rows in rows_of(out):
            if path.parent.name == split:
                for row in rows:
                    counts[CLASS_NAMES[int(row[0])]] += 1
        assert counts == summary.objects[split]
        assert sum(summary.planned[split].values()) == pytest.approx(8 * summary.images[split], abs=1)


def test_boxes_only_and_right_hand_traffic(tmp_path: Path) -> None:
    write_stills(tmp_path / "a", 4, (320, 192), seed=1, boxes_only=True, traffic_side="right", val_fraction=0.0)
    rows = [row for _, rows in rows_of(tmp_path / "a") for row in rows]
    assert rows
    assert all(len(row) == 5 for row in rows)
    assert not (tmp_path / "a" / "images" / "val").exists()


def test_weather_and_time_can_be_pinned(tmp_path: Path) -> None:
    write_stills(tmp_path / "a", 2, (320, 192), seed=1, time="night", weather="rain")
    index = json.loads((tmp_path / "a" / "scenes.json").read_text(encoding="utf-8"))
    assert {(r["time"], r["weather"]) for r in index["images"]} == {("night", "rain")}


def test_conditions_vary_and_show_in_the_pictures(still_set: StillSet) -> None:
    out, _ = still_set
    index = json.loads((out / "scenes.json").read_text(encoding="utf-8"))
    brightness: dict[str, list[float]] = {}
    for record in index["images"]:
        brightness.setdefault(record["time"], []).append(float(cv2.imread(str(out / record["image"])).mean()))
    assert np.mean(brightness["night"]) < 60 < np.mean(brightness["day"])
    assert len({r["weather"] for r in index["images"]}) >= 3


@pytest.mark.parametrize("total", [0, 1, 7, 300, 3650])
def test_class_totals_add_up(total: int) -> None:
    counts = class_totals(total, DEFAULT_MIX)
    assert counts.sum() == total
    assert np.abs(counts - total * np.array(DEFAULT_MIX) / 3650).max() < 1


def test_plan_columns_add_up(rng: np.random.Generator) -> None:
    totals = np.array([3, 0, 70, 10, 1, 2, 0])
    assert (plan_counts(rng, 20, totals).sum(axis=0) == totals).all()


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    for arguments, word in (
        ({"images": 0}, "images"),
        ({"size": (10, 10)}, "size"),
        ({"val_fraction": 1.0}, "validation"),
        ({"traffic_side": "middle"}, "traffic side"),
        ({"mix": (1, 2)}, "mix"),
        ({"time": "noon"}, "time"),
    ):
        with pytest.raises(ConfigError, match=word):
            write_stills(tmp_path / "x", **arguments)  # type: ignore[arg-type]
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="already holds"):
        write_stills(tmp_path, 1)
