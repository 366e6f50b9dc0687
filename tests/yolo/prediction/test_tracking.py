"""Tracks: the identities of upstream's trackers, over frames and chapters, without changing what was detected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from ultralytics import YOLO

import reg_yolo
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.prediction.tracking import TRACKERS, DriveTracker, read_tracker, warn_of_thinning
from tests.conftest import COLOURS, HEIGHT, WIDTH
from tests.detector import IMGSZ
from tests.yolo.prediction.videos import write_video

# Left edge, top edge, pixels to the right in every frame: the classes' colours in order.
COURSES = ((4.0, 4.0, 1.6), (40.0, 60.0, -0.8), (70.0, 10.0, 0.9))
FRAMES = 24


def drive_picture(frame: int) -> np.ndarray:
    """A frame with one rectangle of each colour, each on its course."""
    picture = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for (x, y, speed), colour in zip(COURSES, COLOURS, strict=True):
        left, top = round(x + speed * frame), round(y)
        cv2.rectangle(picture, (left, top), (left + 30, top + 30), colour, -1)
    return picture


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 24 frames in which three rectangles move."""
    return write_video(tmp_path_factory.mktemp("drive") / "drive.mp4", [drive_picture(n) for n in range(FRAMES)])


@pytest.fixture(scope="module")
def detected(drive: Path, detector: Path) -> list[tuple[FrameDetections, np.ndarray]]:
    """Frames with what plain Ultralytics finds, down to the confidence that its trackers want."""
    results = YOLO(detector).predict(str(drive), conf=0.1, imgsz=IMGSZ, device="cpu", verbose=False, stream=True)
    return [
        (
            FrameDetections.from_arrays(
                "drive.mp4", index, index / 25, WIDTH, HEIGHT, boxes_xyxy=result.boxes.xyxy.numpy(),
                confidences=result.boxes.conf.numpy(), class_ids=result.boxes.cls.numpy(),
                class_names=list(result.names.values()),
            ),
            result.orig_img,
        )
        for index, result in enumerate(results)
    ]  # fmt: skip


def tracked(detected: list[tuple[FrameDetections, np.ndarray]], **settings: Any) -> list[FrameDetections]:
    """The frames with identities."""
    tracker = DriveTracker(read_tracker(**settings))
    return [tracker.track(frame, picture) for frame, picture in detected]


def rows(frames: list[FrameDetections]) -> list[list[tuple[int, int, float]]]:
    """Class, identity and confidence of every object with an identity, by frame."""
    return [
        sorted((d.class_id, d.track, round(d.confidence, 4)) for d in frame.detections if d.track is not None)
        for frame in frames
    ]


@pytest.mark.parametrize("name", ["botsort.yaml", "bytetrack.yaml", "ocsort.yaml", "fasttrack.yaml"])
def test_identities_are_those_of_plain_ultralytics(
    drive: Path, detector: Path, detected: list[tuple[FrameDetections, np.ndarray]], name: str
) -> None:
    expected = upstream_tracks(drive, detector, name)
    ours = rows(tracked(detected, name=name))
    assert ours == expected
    assert sum(map(len, ours)) > 2 * FRAMES


def exact(frame: int) -> FrameDetections:
    """What a perfect detector finds: every rectangle, the first one first in even frames and last in odd ones."""
    boxes = [(x + speed * frame, y, x + speed * frame + 30, y + 30) for x, y, speed in COURSES]
    order = (0, 1, 2) if frame % 2 == 0 else (2, 1, 0)
    return FrameDetections.from_arrays(
        "drive.mp4", frame, frame / 25, WIDTH, HEIGHT, boxes_xyxy=[boxes[n] for n in order],
        confidences=[0.9, 0.8, 0.7], class_ids=order, class_names=["red", "green", "blue"],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["botsort", "bytetrack"])
def test_moving_objects_keep_their_identity_and_everything_else(name: str) -> None:
    before = [exact(number) for number in range(FRAMES)]
    frames = tracked([(frame, drive_picture(frame.frame)) for frame in before], name=name)
    untracked = [without_tracks(frame) for frame in frames]
    assert untracked == before
    identities = [{found.class_name: found.track for found in frame.detections} for frame in frames]
    assert identities == [{"red": 1, "green": 2, "blue": 3}] * FRAMES


def test_thinned_frames_lose_fast_objects() -> None:
    frames = [(exact(number), drive_picture(number)) for number in range(0, 24, 22)]
    first, second = ({found.track for found in frame.detections} for frame in tracked(frames))
    # The fastest rectangle has moved by more than its width, and is not confirmed as a new object yet.
    assert first == {1, 2, 3} and second != first


def test_a_new_drive_starts_with_new_identities_and_a_chapter_does_not(
    detected: list[tuple[FrameDetections, np.ndarray]],
) -> None:
    whole = tracked(detected)
    tracker = DriveTracker(read_tracker())
    first = [tracker.track(frame, picture) for frame, picture in detected[:12]]
    second = [tracker.track(frame, picture) for frame, picture in detected[12:]]
    assert first + second == whole
    tracker.start_drive()
    again = [tracker.track(frame, picture) for frame, picture in detected]
    before = {track for frame in rows(whole) for _, track, _ in frame}
    after = {track for frame in rows(again) for _, track, _ in frame}
    assert not before & after and len(before) == len(after)
    shift = min(after) - min(before)
    assert [[(c, track - shift, s) for c, track, s in frame] for frame in rows(again)] == rows(whole)


def test_frames_without_objects_are_passed_through(detected: list[tuple[FrameDetections, np.ndarray]]) -> None:
    tracker = DriveTracker(read_tracker("bytetrack"))
    empty = FrameDetections("drive.mp4", 0, 0.0, WIDTH, HEIGHT)
    assert tracker.track(empty, detected[0][1]) == empty
    ids = [rows([tracker.track(frame, picture)])[0] for frame, picture in detected[:6]]
    assert tracker.track(empty, detected[6][1]) == empty
    # The gap is shorter than the tracker's patience.
    later = rows([tracker.track(*detected[7])])[0]
    assert {track for _, track, _ in later} & {track for _, track, _ in ids[-1]}


def test_camera_motion_is_compensated_where_upstream_leaves_it_off(tmp_path: Path) -> None:
    assert (
        read_tracker().values["gmc_method"] == read_tracker("deepocsort.yaml").values["gmc_method"] == "sparseOptFlow"
    )
    own = tmp_path / "own.yaml"
    own.write_text("tracker_type: deepocsort\ngmc_method: none\ntrack_buffer: 50\n")
    settings = read_tracker(own)
    assert settings.values["gmc_method"] == "none" and settings.values["track_buffer"] == 50
    assert settings.values["match_thresh"] == 0.8
    assert settings.digest != read_tracker("deepocsort.yaml").digest == read_tracker("deepocsort").digest


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_of_upstream_runs(detected: list[tuple[FrameDetections, np.ndarray]], name: str) -> None:
    assert any(rows(tracked(detected, name=name)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracker_type": "botsor"}, r"tracker_type: got 'botsor', expected one of .*Did you mean botsort\?"),
        ({"tracker_type": None}, r"tracker_type: got None"),
        ({"track_bufer": 3}, r"track_bufer: not a setting of botsort. Did you mean track_buffer\?"),
        ({"track_buffer": 2.5}, r"track_buffer: got 2.5, expected a whole number from 0"),
        ({"match_thresh": 80}, r"match_thresh: got 80, expected a number from 0 to 1"),
        ({"match_thresh": "high"}, r"match_thresh: got 'high', expected a number"),
        ({"fuse_score": "yes please"}, r"fuse_score: got 'yes please', expected true or false"),
        ({"gmc_method": "sparse"}, r"gmc_method: got 'sparse', expected one of sparseOptFlow, orb"),
        ({"with_reid": True}, r"with_reid: needs a model of appearance of your own"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"tracker_type": "botsort", **change}))
    with pytest.raises(ConfigError, match=message) as caught:
        read_tracker(path)
    assert str(path) in str(caught.value)


def test_missing_and_foreign_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"bytetrak.yaml does not exist; .* Did you mean bytetrack\?"):
        read_tracker("bytetrak.yaml")
    (tmp_path / "list.yaml").write_text("- botsort\n")
    with pytest.raises(ConfigError, match=r"list.yaml is not a tracker's YAML"):
        read_tracker(tmp_path / "list.yaml")
    (tmp_path / "torn.yaml").write_text("tracker_type: [\n")
    with pytest.raises(ConfigError, match=r"torn\.yaml:2: not valid YAML"):
        read_tracker(tmp_path / "torn.yaml")
    aliases = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for old, new in zip("abcdefg", "bcdefgh", strict=True):
        aliases.append(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    (tmp_path / "bomb.yaml").write_text("\n".join(aliases))
    with pytest.raises(ConfigError, match=r"bomb\.yaml:.* too large"):
        read_tracker(tmp_path / "bomb.yaml")
    (tmp_path / "long.yaml").write_bytes(b"#" * 1_100_000)
    with pytest.raises(ConfigError, match=r"long\.yaml: not a tracker's YAML \(larger than 1 MB\)"):
        read_tracker(tmp_path / "long.yaml")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'pip install "reg-yolo\[track\]"'):
        read_tracker()


def test_thinning_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    from ultralytics.utils import LOGGER

    # Whatever another test has left as the level.
    caplog.set_level("WARNING", logger=LOGGER.name)
    LOGGER.addHandler(caplog.handler)
    try:
        for every in (None, 1, "1", "5"):
            warn_of_thinning(every)
    finally:
        LOGGER.removeHandler(caplog.handler)
    (record,) = caplog.records
    assert "Tracking on thinned frames (5): objects that" in record.getMessage()


def upstream_tracks(video: Path, weights: Path, name: str) -> list[list[tuple[int, int, float]]]:
    """Class, identity and confidence by frame, as plain Ultralytics' `track` gives them."""
    found = []
    for result in YOLO(weights).track(
        str(video), tracker=name, conf=0.1, imgsz=IMGSZ, device="cpu", verbose=False, stream=True
    ):
        ids = result.boxes.id if result.boxes.id is not None else result.boxes.cls[:0]
        triples = zip(result.boxes.cls.tolist(), ids.tolist(), result.boxes.conf.tolist(), strict=False)
        found.append(sorted((int(label), int(track), round(conf, 4)) for label, track, conf in triples))
    return found


def predicted(source: object, detector: Path, **options: Any) -> list[FrameDetections]:
    """What our pipeline writes."""
    summary = reg_yolo.predict(detector, source, **{"engine": "pytorch", "device": "cpu", "conf": 0.1, **options})  # type: ignore[arg-type]
    return list(read_detections(summary.detections_file))


@pytest.mark.parametrize("name", ["botsort.yaml", "bytetrack.yaml"])
def test_predict_gives_the_identities_of_upstreams_track(drive: Path, detector: Path, name: str) -> None:
    frames = predicted(drive, detector, track=name, save=False, out="tracked")
    assert read_detections("tracked/detections.jsonl").header.extra["track"] == name
    expected = upstream_tracks(drive, detector, name)
    assert [[row[:2] for row in frame] for frame in rows(frames)] == [[row[:2] for row in frame] for frame in expected]
    scores, theirs = ([score for frame in found for *_, score in frame] for found in (rows(frames), expected))
    # Files hold five decimals.
    assert scores == pytest.approx(theirs, abs=2e-4)
    plain = predicted(drive, detector, save=False)
    assert [without_tracks(frame) for frame in frames] == plain


def test_identities_continue_over_chapters_and_not_over_drives(detector: Path, tmp_path: Path) -> None:
    for number, (first, last) in enumerate(((0, 12), (12, FRAMES)), start=1):
        write_lossless(tmp_path / f"chapter{number}.avi", [drive_picture(n) for n in range(first, last)])
    write_lossless(tmp_path / "whole.avi", [drive_picture(n) for n in range(FRAMES)])
    whole = predicted(tmp_path / "whole.avi", detector, track=True, save=False)
    chapters = predicted(f"{tmp_path}/chapter*.avi", detector, track=True, drive=True, save=False)
    assert [frame.frame for frame in chapters] == list(range(FRAMES))
    assert rows(chapters) == rows(whole)
    across = [{track for _, track, _ in frame} for frame in rows(chapters)]
    assert across[11] & across[12]
    apart = rows(predicted(f"{tmp_path}/chapter*.avi", detector, track=True, save=False))
    first, second = ({track for frame in part for _, track, _ in frame} for part in (apart[:12], apart[12:]))
    assert first and second and not first & second
    assert apart[:12] == rows(whole)[:12]


def write_lossless(path: Path, pictures: list[np.ndarray]) -> None:
    """Write a video whose frames decode to the very same pixels."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"HFYU"), 25, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()


def test_command_line_takes_a_tracker_behind_track(drive: Path, detector: Path, tmp_path: Path) -> None:
    from reg_yolo.cli.app import main

    words = [str(detector), str(drive), "conf=0.1", "device=cpu", "save=false", "--engine", "pytorch", "--out"]
    found = []
    for number, track in enumerate((["--track", "bytetrack.yaml"], ["--track", "tracker=bytetrack.yaml"], ["--track"])):
        out = tmp_path / str(number)
        with pytest.raises(SystemExit) as left:
            main(["predict", *words, str(out), *track])
        assert not left.value.code
        found.append(rows(list(read_detections(out / "detections.jsonl"))))
    assert found[0] == found[1] == rows(predicted(drive, detector, track="bytetrack", save=False))
    assert found[2] == rows(predicted(drive, detector, track="botsort", save=False))
    table = (tmp_path / "0/detections.csv").read_text().splitlines()
    assert {line.rsplit(",", 1)[1] for line in table[1:]} - {""} == {str(t) for f in found[0] for _, t, _ in f}


def without_tracks(frame: FrameDetections) -> FrameDetections:
    """The frame as it was before the tracker saw it."""
    return replace(frame, detections=tuple(replace(d, track=None) for d in frame.detections), camera_motion=None)


def shifted(shift: int) -> np.ndarray:
    """The same texture, so many pixels further to the right."""
    texture = np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return np.ascontiguousarray(texture[:, 40 - shift : 360 - shift])


@pytest.mark.parametrize("name", ["botsort", "deepocsort", "tracktrack"])
def test_camera_motion_of_the_tracker_is_kept_with_each_frame(name: str) -> None:
    tracker, plain = DriveTracker(read_tracker(name)), FrameDetections("a", 0, None, 320, 240)
    motions = [tracker.track(plain, shifted(shift)).camera_motion for shift in (0, 6, 20)]
    assert motions[0] is None
    assert motions[1] == pytest.approx((1, 0, 6, 0, 1, 0), abs=0.05)
    assert motions[2] == pytest.approx((1, 0, 14, 0, 1, 0), abs=0.05)
    # Nothing lies between two drives.
    tracker.start_drive()
    assert tracker.track(plain, shifted(0)).camera_motion is None
    assert tracker.track(plain, shifted(6)).camera_motion == pytest.approx((1, 0, 6, 0, 1, 0), abs=0.05)
    # What cannot be estimated is unknown, not standing still; so is a cut.
    for _ in range(2):
        assert tracker.track(plain, np.zeros((240, 320, 3), np.uint8)).camera_motion is None


def test_trackers_without_compensation_tell_no_motion() -> None:
    tracker = DriveTracker(read_tracker("bytetrack"))
    for shift in (0, 6):
        assert tracker.track(FrameDetections("a", 0, None, 320, 240), shifted(shift)).camera_motion is None


def test_camera_motion_stands_in_the_file(drive: Path, detector: Path, tmp_path: Path) -> None:
    summary = reg_yolo.predict(detector, drive, out=tmp_path / "out", track=True, imgsz=IMGSZ, save=False)
    frames = list(read_detections(summary.detections_file))
    assert frames[0].camera_motion is None and any(frame.camera_motion is not None for frame in frames[1:])
