"""Reviewed assets become labels: which frames, which boxes, and what is left out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reg_yolo.data import read_dataset_yaml
from reg_yolo.data.check.run import check_dataset
from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.split.run import split_dataset
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, DataError, MediaError, RegYoloError
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.labels.choosing import ChoiceOptions, between, choose_frames, drives_of
from reg_yolo.inventory.labels.command import LabelsOptions, write_labels
from reg_yolo.inventory.labels.images import Privacy
from reg_yolo.inventory.labels.reviewed import ReviewedAsset, ReviewedAssets, read_reviewed
from tests.video.clips import number_of, write_clip

SIZE = (160, 96)


def seen(frame: int, x: float = 20.0, source: str = "a.mp4", size: float = 20.0) -> dict[str, Any]:
    """Return an observation as a build writes it."""
    box = [x, 30.0, x + size, 30.0 + size]
    return {"source": source, "frame": frame, "time_s": frame / 25, "xyxy": box, "confidence": 0.8, "class": "pole"}


def inventory(folder: Path, *assets: dict[str, Any], **header: Any) -> Path:
    """Write the observations of an inventory; each asset has its class, verdict and observations."""
    lines = [{"record": "header", "schema": "reg_yolo.observations/1", "assets": len(assets), **header}]
    for number, one in enumerate(assets):
        usual = {"record": "asset", "asset_id": f"ป้าย-{number}", "class": "pole", "status": "listed", "size": [*SIZE]}
        lines.append({**usual, **one})
    folder.mkdir(exist_ok=True)
    (folder / "observations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def decision(identity: str, action: str, *observations: dict[str, Any], **more: Any) -> str:
    """Return a line of a decisions file."""
    known = {"schema": "reg_yolo.decisions/1", "id": identity, "who": "สมชาย", "when": "2024-05-02T08:15:30Z"}
    return json.dumps({**known, "why": "", "action": action, "observations": list(observations), **more}) + "\n"


def chosen(*assets: tuple[str, list[int]], times: bool = True, **options: Any) -> tuple[dict[int, list[str]], Any]:
    """Return by frame what is labelled of assets with these verdicts and frames, and what is skipped."""
    rows = [(number, frame) for number, (_, frames) in enumerate(assets) for frame in frames]
    asset, frame = np.array(rows, np.int64).reshape(-1, 2).T
    box = np.tile([20.0, 30.0, 40.0, 50.0], (len(rows), 1))
    reviewed = ReviewedAssets(
        [ReviewedAsset(f"p{n}", "pole", verdict) for n, (verdict, _) in enumerate(assets)], ["a.mp4"], asset,
        np.zeros(len(rows), np.int64), frame, frame / 25, box, np.full(len(rows), 0.8),
        np.zeros((len(rows), 2), np.int64), MediaFacts(),
    )  # fmt: skip
    if not times:
        names = [f"day/{frame}.jpg" for frame in range(40)]
        zero, nan = np.zeros(len(rows), np.int64), np.full(len(rows), np.nan)
        reviewed = replace(reviewed, sources=names, source=frame, frame=zero, time_s=nan)
    choice = choose_frames(reviewed, ChoiceOptions(**options))
    kept = {
        one.frame if times else one.source: [f"{label.asset} {label.verdict} {label.origin}" for label in one.labels]
        for one in choice.frames
    }
    return kept, {reason.split(" which ")[-1]: count for reason, count in choice.skipped.items()}


def test_gaps_of_accepted_assets_are_filled_and_long_ones_skipped() -> None:
    kept, skipped = chosen(("accepted", [0, 1, 3]), ("accepted", [1, 2, 40]), ("rejected", [0, 2, 9]))
    whole = [f"{n} accepted detected" for n in range(2)]
    assert kept[2] == [whole[1], "2 rejected detected", "0 accepted projected"]
    assert kept[1] == [whole[0], whole[1]] and kept[0] == [whole[0], "2 rejected detected"] and kept[40] == [whole[1]]
    # Frames 3 and 9 lie in a gap of 38 frames, 1.5 s, of the second one.
    assert set(kept) == {0, 1, 2, 40}
    assert skipped == {"an accepted asset stands that is not found for longer than --max-gap": 2}
    kept, skipped = chosen(("accepted", [0, 1, 3]), ("accepted", [1, 2, 40]), max_gap_s=2.0)
    assert kept[3] == [whole[0], "1 accepted projected"] and not skipped
    # Over half a minute it is another pass.
    kept, skipped = chosen(("accepted", [0, 800]), ("accepted", [20]))
    assert kept[20] == [whole[1]] and not skipped


def test_frames_of_undecided_assets() -> None:
    assets = ("accepted", [0, 1, 2, 3]), ("undecided", [1, 3, 5]), ("rejected", [7])
    kept, skipped = chosen(*assets)
    assert (set(kept), skipped) == ({0, 7}, {"an undecided asset stands": 3})
    kept, skipped = chosen(*assets, undecided="ignore")
    assert (set(kept), sum(map(len, kept.values())), skipped) == ({0, 1, 2, 3, 7}, 5, {})
    kept, _ = chosen(*assets, undecided="accept")
    assert kept[5] == ["1 undecided detected"] and kept[2] == ["0 accepted detected", "1 undecided projected"]
    with pytest.raises(ConfigError, match="--undecided: got 'keep', expected skip, ignore, accept"):
        ChoiceOptions(undecided="keep")


def test_images_are_skipped_between_two_that_show_an_asset() -> None:
    kept, skipped = chosen(("accepted", [3, 10]), ("accepted", [2, 3, 4, 9]), times=False)
    assert (set(kept), list(skipped.values())) == ({2, 3, 10}, [2])


def test_every_counts_from_the_frame_that_was_taken() -> None:
    kept, skipped = chosen(("accepted", [0, 4, 5, 6, 9, 30]), every=5, max_gap_s=5.0)
    assert list(kept) == [0, 5, 30] and skipped == {"frames nearer than --every to the one before": 3}


def test_a_thing_that_stands_still_is_projected_exactly() -> None:
    def box(forward: float) -> list[float]:
        return [320 + 500 * side / forward for side in (-6.0, -2.0, -5.0, 1.5)]

    ahead = np.array([40.0, 30.0, 25.0, 10.0])
    boxes = np.array([box(forward) for forward in ahead])[:, [0, 1, 2, 3]]
    first, last = np.repeat(boxes[:1], 2, 0), np.repeat(boxes[3:], 2, 0)
    assert between(first, last, (40 - ahead[1:3]) / 30) == pytest.approx(boxes[1:3])


def test_chapters_are_named_after_the_first() -> None:
    assert drives_of({"GX010001.MP4": 0, "GX020001.MP4": 90, "b.mp4": 0})["GX020001.MP4"] == "GX010001.MP4"


def test_decisions_of_files_count_above_the_build(tmp_path: Path) -> None:
    listed = [{"observations": [seen(n)]} for n in range(5)]
    listed[1]["reviewed_by"] = listed[4]["reviewed_by"] = "suda"
    folder = inventory(tmp_path / "inv", *listed, {"observations": [seen(9)], "status": "rejected"})
    lines = [
        decision("1", "accept", seen(0, 21.0)),
        decision("2", "reject", seen(1)),
        decision("3", "reclassify", seen(2), **{"class": "เสาไฟ"}),
        decision("4", "split", parts=[[seen(3)], [seen(0)]]),
        decision("5", "accept", seen(77)),
    ]
    (tmp_path / "d.jsonl").write_text("".join(lines), encoding="utf-8")
    said: list[str] = []
    reviewed, dropped = read_reviewed(folder, [tmp_path / "d.jsonl"], said.append)
    verdicts = [(one.class_name, one.verdict) for one in reviewed.assets]
    assert verdicts == [
        ("pole", "accepted"), ("pole", "rejected"), ("เสาไฟ", "accepted"), ("pole", "accepted"), ("pole", "accepted"),
        ("pole", "rejected"),
    ]  # fmt: skip
    assert [one.reason for one in dropped] == ["no asset has its observations"]
    assert said[0] == "5 decisions: 4 assets reviewed" and "1 decisions not applied" in said[1]
    (tmp_path / "d.jsonl").write_text(decision("1", "accept", seen(0, source="b.mp4")))
    with pytest.raises(DataError, match="holds decisions for another drive"):
        read_reviewed(folder, [tmp_path / "d.jsonl"])


def clips(tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Write two videos with the same name, and assets seen in them; return the folder of the inventory and them."""
    assets = []
    for first, card in ((0, "card1"), (20, "การ์ด2")):
        (tmp_path / card).mkdir()
        source = str(write_clip(tmp_path / card / "ถนน1.mp4", 12, first=first))
        assets += [
            {"observations": [seen(n, 20.0 + n, source) for n in (2, 3, 5)], "reviewed_by": "suda"},
            {"observations": [seen(n, 100.0, source) for n in (2, 8)], "status": "rejected"},
        ]
    counts = {one["observations"][0]["source"]: 12 for one in assets}
    return inventory(tmp_path / "inv", *assets, frame_counts=counts), assets


def test_a_data_set_that_is_checked_and_split_by_drive(tmp_path: Path) -> None:
    folder, _ = clips(tmp_path)
    summary = write_labels(folder, tmp_path / "set")
    assert (summary.images, summary.background, summary.hard_images) == (8, 2, 4)
    assert (summary.detected, summary.projected, summary.hard_negatives) == ({"pole": 6}, {}, 4)
    images = {path.name: path for path in read_dataset_yaml(summary.result, required=()).images("train")}
    frames = (2, 3, 5, 8)
    assert set(images) == {f"{start}ถนน1_{n:06d}.jpg" for start in ("", "การ์ด2__") for n in frames}
    for name, path in images.items():
        number = int(name[-10:-4])
        assert number_of(cv2.imdecode(np.fromfile(path, np.uint8), 1)) == number
        rows = read_label_file(label_path_for(path), 1).rows
        expected = [] if number == 8 else [(20 + number) / 160, 30 / 96, (40 + number) / 160, 50 / 96]
        assert np.array([row.box_xyxy for row in rows]).ravel() == pytest.approx(np.ravel(expected), abs=1e-5)
    rows = list(csv.DictReader((tmp_path / "set/labels.csv").read_text("utf-8").splitlines()))
    assert [(row["origin"], row["labelled"], row["asset_id"]) for row in rows if row["frame"] == "2"][:2] == [
        ("detected", "yes", "ป้าย-0"), ("rejected", "", "ป้าย-1")
    ]  # fmt: skip
    split = split_dataset(summary.result, val=0.5, out=tmp_path / "split.yaml", workers=1)
    parts = [{path.name.rpartition("_")[0] for path in read_dataset_yaml(split.data_yaml).images(s)} for s in
             ("train", "val")]  # fmt: skip
    assert [len(part) for part in parts] == [1, 1] and not parts[0] & parts[1]
    assert not [one for one in check_dataset(split.data_yaml, workers=1).findings if one.severity == "error"]
    with pytest.raises(DataError, match="exists already"):
        write_labels(folder, tmp_path / "set")


def test_projected_labels_are_marked_in_every_form(tmp_path: Path) -> None:
    source = str(write_clip(tmp_path / "a.mp4", 12))
    assets = [{"observations": [seen(n, 20.0 + n, source) for n in frames], "reviewed_by": "s"} for frames in
              ((2, 4), (3,))]  # fmt: skip
    folder = inventory(tmp_path / "inv", *assets)
    for form in ("cvat", "label-studio", "coco"):
        summary = write_labels(folder, tmp_path / form, LabelsOptions(to=form))
        assert (summary.detected.total(), summary.projected.total()) == (3, 1)
        texts = [path.read_text("utf-8") for path in (tmp_path / form).rglob("*") if path.suffix in (".xml", ".json")]
        assert sum(text.count("projected between detections") for text in texts) == 1
    rows = list(csv.DictReader((tmp_path / "cvat/labels.csv").read_text("utf-8").splitlines()))
    filled = [row for row in rows if row["origin"] == "projected"]
    assert [(row["frame"], row["x1"], row["confidence"]) for row in filled] == [("3", "23.00", "")]


def test_what_is_gone_or_another_is_named_and_the_rest_written(tmp_path: Path) -> None:
    folder, assets = clips(tmp_path)
    gone = Path(assets[2]["observations"][0]["source"])
    gone.unlink()
    summary = write_labels(folder, tmp_path / "gone")
    assert summary.lost == {f"{gone} is not there": 4} and summary.images == 4 and summary.is_partial
    assert f"{gone} is not there (4 frames)" in summary.as_text()
    write_clip(gone, 12, size=(320, 192))
    summary = write_labels(folder, tmp_path / "larger")
    assert summary.lost == {f"{gone} has frames of 320x192, the detections are of 160x96": 4}
    write_clip(gone, 13)
    assert list(write_labels(folder, tmp_path / "longer").lost) == [
        f"{gone} has 13 frames, the detections are of a video of 12"
    ]
    # Moved, it is found by the end of its path.
    (tmp_path / "new").mkdir()
    write_clip(gone, 12).rename(tmp_path / "new" / gone.name)
    assert not write_labels(folder, tmp_path / "moved", LabelsOptions(folders=(tmp_path / "new",))).lost
    Path(assets[0]["observations"][0]["source"]).unlink()
    with pytest.raises(DataError, match=r"no frame could be written: .* is not there"):
        write_labels(folder, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_classes_are_those_of_the_data_set_that_it_goes_to(tmp_path: Path) -> None:
    folder, _ = clips(tmp_path)
    (tmp_path / "road.yaml").write_text("train: images\nnames: [sign, pole]\n")
    (tmp_path / "other.yaml").write_text("train: images\nnames: [sign]\n")
    summary = write_labels(folder, tmp_path / "set", LabelsOptions(classes=tmp_path / "road.yaml"))
    assert summary.class_names == ["sign", "pole"]
    texts = [path.read_text() for path in (tmp_path / "set/labels").rglob("*.txt")]
    assert {text.split()[0] for text in texts if text} == {"1"}
    with pytest.raises(DataError, match=r"other\.yaml has no class pole, only sign"):
        write_labels(folder, tmp_path / "none", LabelsOptions(classes=tmp_path / "other.yaml"))


def test_nothing_decided_leaves_nothing(tmp_path: Path) -> None:
    folder = inventory(tmp_path / "inv", {"observations": [seen(1)]})
    with pytest.raises(DataError, match=r"of 0 accepted, 0 rejected, 1 undecided assets; --undecided accept takes"):
        write_labels(folder, tmp_path / "set")
    (tmp_path / "inv/observations.jsonl").write_text('{"record": "header", "schema": "reg_yolo.detections/1"}\n')
    with pytest.raises(DataError, match="is not the observations of an inventory"):
        write_labels(folder, tmp_path / "set")
    with pytest.raises(DataError, match="give the folder that inventory build has written"):
        write_labels(tmp_path / "nowhere", tmp_path / "set")
    with pytest.raises(MediaError, match="--sources: "):
        write_labels(folder, tmp_path / "set", LabelsOptions(folders=(tmp_path / "nowhere",)))


def test_images_are_blurred_or_not_stored(tmp_path: Path) -> None:
    source = str(write_clip(tmp_path / "a.mp4", 12))
    asset = {"observations": [seen(n, source=source) for n in (2, 3)], "reviewed_by": "suda"}
    folder = inventory(tmp_path / "inv", asset, blur=["yolov8n.pt:car,person"])
    with pytest.raises(ConfigError, match=r"give --blur yolov8n\.pt:car,person here as well"):
        write_labels(folder, tmp_path / "set", LabelsOptions(privacy=Privacy(lambda _: [], ("yolov8n.pt:person",))))

    def find(_picture: object) -> list[tuple[float, float, float, float]]:
        return [(50.0, 0.0, 150.0, 90.0)]

    privacy, said = Privacy(find, ("yolov8n.pt:person,car",)), []
    write_labels(folder, tmp_path / "set", LabelsOptions(privacy=privacy), said.append)
    assert said == ["images are whole frames, blurred by yolov8n.pt:person,car"]
    for path in (tmp_path / "set/images/train").iterdir():
        detail = np.abs(np.diff(cv2.imread(str(path))[10:80, 60:140].astype(int), axis=1)).mean()
        assert detail < 6, detail

    def fail(_picture: object) -> list[Any]:
        raise RegYoloError("yolov8n.pt failed; nothing is stored without blurring")

    privacy = Privacy(fail, privacy.blurred_by)
    with pytest.raises(DataError, match=r"no frame could be written: yolov8n\.pt failed"):
        write_labels(folder, tmp_path / "lost", LabelsOptions(privacy=privacy))
    assert not (tmp_path / "lost").exists()


def test_a_build_says_all_that_labels_need(filmed: Path, drive: Path) -> None:
    records = [json.loads(line) for line in (filmed / "inv/observations.jsonl").read_text("utf-8").splitlines()]
    assert list(records[0]["frame_counts"].values()) == [60] and records[0]["blur"] == []
    assert {tuple(one["size"]) for one in records[1:]} == {(640, 384)}
    lines = [decision(str(n), "accept", one["observations"][0]) for n, one in enumerate(records[1:])]
    (filmed / "d.jsonl").write_text("".join(lines), encoding="utf-8")
    summary = write_labels(filmed / "inv", filmed / "set", LabelsOptions((filmed / "d.jsonl",)))
    true = {frame.frame: frame.detections for frame in read_detections(drive / "detections.jsonl")}
    rows = list(csv.DictReader((filmed / "set/labels.csv").read_text("utf-8").splitlines()))
    # Every label is the box of a detection of its frame, but for those that are projected.
    boxes = {(int(row["frame"]), round(float(row["x1"]))) for row in rows if row["origin"] == "detected"}
    assert boxes <= {(n, round(found.box_xyxy[0])) for n, some in true.items() for found in some}
    assert summary.images == len({row["image"] for row in rows}) > 20
