"""Identities of an inventory against those of the truth's frames."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.score.identities import IdentityScore, score_identities

Boxes = dict[str, list[float]]

A, B = [0.0, 0.0, 20.0, 20.0], [100.0, 0.0, 120.0, 20.0]


def write_truth(root: Path, frames: list[Boxes], direction: str = "forward", schema: int = 1) -> Path:
    """Write frames.jsonl of a drive with chapters of four frames; return the path that assets.geojson would have."""
    lines: list[dict[str, Any]] = [{"schema": f"reg-yolo/scenes-frames/{schema}"}]
    for n, boxes in enumerate(frames):
        objects = [{"asset_id": name, "class": name.split("-")[0], "xyxy": box} for name, box in boxes.items()]
        for one in objects:
            if str(one["asset_id"]).startswith("sign-lorry"):
                one["on_vehicle"] = True
        file = f"chapter_{n // 4:03d}.mp4"
        lines.append({"frame": n, "file": file, "chapter_frame": n % 4, "objects": objects})
    (root / direction).mkdir(exist_ok=True)
    (root / direction / "frames.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root / "assets.geojson"


def write_built(
    root: Path, assets: dict[str, list[tuple[str, int, list[float]]]], chapters: dict[str, int] | None = None
) -> Path:
    """Write observations.jsonl; return the path of its inventory."""
    lines: list[dict[str, Any]] = [
        {"record": "header", "schema": "reg_yolo.observations/1", "chapters": chapters or {}}
    ]
    for name, seen in assets.items():
        observations = [{"source": s, "frame": n, "xyxy": box, "confidence": 0.9} for s, n, box in seen]
        status = "rejected" if "rejected" in name else "listed"
        lines.append({
            "record": "asset", "asset_id": name, "class": name.split("-")[0], "status": status,
            "observations": observations,
        })  # fmt: skip
    (root / "observations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root / "inventory.geojson"


def scored(built: Path, truth: Path) -> IdentityScore:
    score = score_identities(built, truth)
    assert isinstance(score, IdentityScore), score
    return score


CHAPTERS = ("/card/forward/chapter_000.mp4", "/card/forward/chapter_001.mp4")


def seen(numbers: range, box: list[float]) -> list[tuple[str, int, list[float]]]:
    return [(CHAPTERS[n // 4], n, box) for n in numbers]


FRAMES: list[Boxes] = [{"sign-1": A, "pole-1": B}] * 8


@pytest.mark.parametrize("schema", [1, 2])
def test_one_identity_each_is_perfect(tmp_path: Path, schema: int) -> None:
    truth = write_truth(tmp_path, FRAMES, schema=schema)
    # Frames of the second chapter are counted on from the first one's, as detections of a drive are.
    own = {"sign-x": seen(range(8), A), "pole-x": seen(range(8), B), "sign-rejected": seen(range(8), B)}
    score = scored(write_built(tmp_path, own, {CHAPTERS[0]: 0, CHAPTERS[1]: 4}), truth)
    assert (score.hota, score.idf1, score.frames, score.built, score.true) == pytest.approx((1, 1, 8, 16, 16))
    assert score.unplaced == 0
    assert "over 8 frames: HOTA 1.000 (DetA 1.000, AssA 1.000), IDF1 1.000" in score.as_text()


def test_a_split_identity_costs_association_and_not_detection(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, FRAMES)
    own = {"sign-x": seen(range(4), A), "sign-y": seen(range(4, 8), A), "pole-x": seen(range(8), B)}
    score = scored(write_built(tmp_path, own, {CHAPTERS[1]: 4}), truth)
    # Of 16 boxes 12 can have one identity; AssA is (8 x 1 + 8 x 0.5) / 16.
    assert score.idf1 == pytest.approx(12 / 16)
    assert (score.det_a, score.ass_a) == pytest.approx((1.0, 0.75))
    assert score.hota == pytest.approx(0.75**0.5)


def test_of_two_boxes_in_a_frame_the_more_confident_one_counts(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, [{"pole-1": A}] * 4)
    built = write_built(tmp_path, {"pole-x": seen(range(4), A) + seen(range(4), B)})
    observed = tmp_path / "observations.jsonl"
    of_b = json.dumps({"xyxy": B, "confidence": 0.9})[1:-1]
    observed.write_text(observed.read_text().replace(of_b, of_b.replace("0.9", "0.3")))
    score = scored(built, truth)
    assert (score.idf1, score.built) == (1.0, 4)


def test_another_class_is_no_match_and_signs_on_vehicles_are_not_true(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, [{"sign-1": A, "sign-lorry": B}] * 4)
    score = scored(write_built(tmp_path, {"pole-x": seen(range(4), A)}), truth)
    assert (score.idf1, score.true) == (0.0, 4)
    # Who lists the sign of a lorry has a false identity.
    own = {"sign-x": seen(range(4), A), "sign-y": seen(range(4), B)}
    assert scored(write_built(tmp_path, own), truth).idf1 == pytest.approx(2 * 4 / (4 + 8))


def test_passes_are_one_sequence_and_frames_of_elsewhere_are_counted(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, [{"pole-1": A}] * 4)
    write_truth(tmp_path, [{"pole-1": B}] * 4, "backward")
    back = [("D:\\card\\backward\\chapter_000.mp4", n, B) for n in range(4)]
    forward = [("forward/frames.jsonl", n, A) for n in range(4)]
    strange = [("other.mp4", 0, A), ("chapter_000.mp4", 0, A)]
    once = scored(write_built(tmp_path, {"pole-x": forward + back + strange}), truth)
    assert (once.idf1, once.frames, once.unplaced) == (1.0, 8, 2)
    assert "2 boxes of the inventory are of frames that the truth does not have" in once.as_text()
    twice = scored(write_built(tmp_path, {"pole-x": forward, "pole-y": back}), truth)
    assert twice.idf1 == pytest.approx(0.5)
    # A pass that the inventory does not have is not held against it.
    assert scored(write_built(tmp_path, {"pole-x": forward}), truth).frames == 4


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert score_identities(tmp_path / "inventory.geojson", tmp_path / "assets.geojson") is None
    truth = write_truth(tmp_path, FRAMES)
    assert "there is no observations.jsonl" in str(score_identities(tmp_path / "inventory.geojson", truth))
    built = write_built(tmp_path, {"sign-x": [("other.mp4", 0, A)]})
    assert "no source in" in str(score_identities(built, truth))
    monkeypatch.setitem(sys.modules, "trackers.eval", None)
    assert 'pip install "trackers>=2.6"' in str(score_identities(built, truth))


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    built = write_built(tmp_path, {})
    truth = write_truth(tmp_path, FRAMES, schema=3)
    with pytest.raises(DataError, match=r"frames\.jsonl:1: schema must be reg-yolo/scenes-frames/1 or .*/2, got"):
        score_identities(built, truth)
    truth = write_truth(tmp_path, FRAMES)
    table = tmp_path / "forward" / "frames.jsonl"
    table.write_text(table.read_text().replace('"objects"', '"things"'))
    with pytest.raises(DataError, match=r"frames\.jsonl:2 is not a frame of a drive: KeyError\('objects'\)"):
        score_identities(built, truth)
    table.write_text(table.read_text()[:-20])
    with pytest.raises(DataError, match=r"frames\.jsonl:\d+ is"):
        score_identities(built, truth)
