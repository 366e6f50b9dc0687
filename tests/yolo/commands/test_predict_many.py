"""Prediction over many sources with a real network: results of each its own, a manifest, two processes, one killed."""

from __future__ import annotations

import gc
import inspect
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import reg_yolo
from reg_yolo.cli.app import main
from reg_yolo.detections.files import read_detections
from reg_yolo.drawing.annotate import Annotator
from reg_yolo.drawing.text_tiles import TextTiles
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.jobs.manifest import read_manifest
from reg_yolo.video.pipeline import Channel, Sink
from reg_yolo.yolo.commands.predict_many import is_many, predict_many
from reg_yolo.yolo.prediction.annotated import AnnotatedPictures
from reg_yolo.yolo.prediction.networks import inference_calls
from reg_yolo.yolo.prediction.session import Prediction
from reg_yolo.yolo.prediction.settings import read_settings
from tests.yolo.prediction.videos import write_video

FAST = {"engine": "pytorch", "device": "cpu"}


@pytest.fixture(scope="module")
def pictures(even_rectangles: Path) -> list[np.ndarray]:
    """Twelve images of rectangles."""
    return [cv2.imread(str(path)) for path in sorted((even_rectangles.parent / "images/val").glob("*.png"))]


@pytest.fixture
def drives(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    """A folder of three videos of 4, 6 and 8 frames and two images."""
    folder = tmp_path / "drives"
    folder.mkdir()
    for name, count in (("a", 4), ("b", 6), ("c", 8)):
        write_video(folder / f"{name}.mp4", pictures[:count])
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), pictures[number])
    return folder


def frames_of(out: Path, name: str) -> list[object]:
    """The frames of a source's detections file, which must be complete."""
    reader = read_detections(out / f"detections/{name}.jsonl")
    frames = list(reader)
    assert reader.is_complete
    return frames


def test_each_source_gets_what_predict_gives_it_alone(drives: Path, detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = predict_many(detector, drives, out=out, **FAST)
    assert {name: record.frames for name, record in summary.records.items() if record} == {
        "a.mp4": 4, "b.mp4": 6, "c.mp4": 8, "images": 2,
    }  # fmt: skip
    assert summary.unfinished == [] and len(summary.changed) == 4
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        alone = reg_yolo.predict(detector, drives / name, out=tmp_path / "alone", save=False, **FAST)
        assert frames_of(out, name) == list(read_detections(alone.detections_file))
        assert (out / f"detections/{name}.csv").read_bytes() == alone.csv_file.read_bytes()
    assert [Path(frame.source).name for frame in frames_of(out, "images")] == ["0.png", "1.png"]
    header = read_detections(out / "detections/a.mp4.jsonl").header
    assert header.source == str(drives / "a.mp4") and header.frame_count == 4
    record = read_manifest(out).records["a.mp4"]
    assert (record.engine, record.precision, record.annotated) == ("pytorch", "f32", None)
    assert record.hashes.weights == header.weights_sha256
    # Annotated video is for those who ask.
    assert not (out / "annotated").exists() and not list((out / ".work").iterdir())


def test_nothing_of_a_source_waits_for_the_garbage_collector(drives: Path, detector: Path, tmp_path: Path) -> None:
    kinds = (AnnotatedPictures, Annotator, TextTiles, Sink, Channel)
    gc.collect()
    gc.disable()
    try:
        predict_many(detector, drives, out=tmp_path / "out", save=True, **FAST)
        assert [each for each in gc.get_objects() if isinstance(each, kinds)] == []
    finally:
        gc.enable()


def test_a_second_call_does_what_changed_and_nothing_else(
    drives: Path, detector: Path, pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    original = Prediction._predictor
    monkeypatch.setattr(
        Prediction, "_predictor", lambda self, choice: loaded.append(original(self, choice)) or loaded[-1]
    )
    out = tmp_path / "out"
    predict_many(detector, drives, out=out, **FAST)
    # One model for all files of the process, and one set of copies for those that run beside it.
    assert len(loaded) == 4 and len({id(predictor) for predictor in loaded}) == 1
    first, second = (
        [inspect.getclosurevars(call).nonlocals["twin"].model for call in inference_calls(loaded[0])] for _ in range(2)
    )
    assert list(map(id, first)) == list(map(id, second)) and len(set(map(id, first))) == len(first)
    assert predict_many(detector, drives, out=out, **FAST).changed == []
    assert predict_many(detector, drives, out=out, **FAST, batch=2).changed == []
    write_video(drives / "b.mp4", pictures[:5])
    write_video(drives / "d.mp4", pictures[:3])
    assert predict_many(detector, drives, out=out, **FAST).changed == ["b.mp4", "d.mp4"]
    assert len(frames_of(out, "b.mp4")) == 5
    summary = predict_many(detector, drives, out=out, conf=0.5, **FAST)
    assert len(summary.changed) == 5
    assert read_detections(out / "detections/a.mp4.jsonl").header.thresholds["red"] == 0.5
    drawn = predict_many(detector, drives, out=out, conf=0.5, save=True, **FAST)
    assert len(drawn.changed) == 5 and drawn.records["a.mp4"].annotated == "annotated/a.mp4.mp4"
    assert cv2.VideoCapture(str(out / "annotated/b.mp4.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert sorted(path.name for path in (out / "annotated/images").iterdir()) == ["0.jpg", "1.jpg"]
    assert predict_many(detector, drives, out=out, conf=0.5, **FAST).changed == []


@pytest.mark.parametrize(
    "options",
    [{"conf": 0.4}, {"imgsz": 96}, {"every": "2"}, {"roi": "0,0,1,0.5"}, {"classes": [0]}, {"track": True},
     {"vid_stride": 2}, {"track": "bytetrack"}, {"tiles": 64}, {"precision": "f32"}],
)  # fmt: skip
def test_every_setting_that_changes_detections_counts(detector: Path, options: dict[str, object]) -> None:
    plain, other = Prediction(detector, read_settings(**FAST)), Prediction(detector, read_settings(**FAST, **options))
    assert plain.weights_sha256 == other.weights_sha256 and plain.settings_sha256 != other.settings_sha256
    assert other.settings_sha256 == Prediction(detector, read_settings(**FAST, **options)).settings_sha256


def test_settings_that_leave_detections_alone_do_not_count(detector: Path) -> None:
    plain = Prediction(detector, read_settings(**FAST))
    for options in ({"batch": 4}, {"save": True}, {"project": "other", "name": "x"}):
        assert Prediction(detector, read_settings(**FAST, **options)).settings_sha256 == plain.settings_sha256


def test_without_out_the_same_call_finds_its_results(drives: Path, detector: Path) -> None:
    first, second = (predict_many(detector, drives, **FAST) for _ in range(2))
    assert first.folder == second.folder and second.changed == []
    assert (
        re.fullmatch(r"drives-[0-9a-f]{6}", first.folder.name) and first.folder.parent == Path("runs/detect").absolute()
    )
    assert predict_many(detector, f"{drives}/*.mp4", **FAST).folder != first.folder


def test_broken_files_are_named_and_set_aside(drives: Path, detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (drives / "empty.mp4").write_bytes(b"")
    for attempts, state in ((1, "failed"), (2, "failed"), (3, "set_aside")):
        summary = predict_many(detector, drives, out=out, **FAST)
        record = summary.records["empty.mp4"]
        assert (record.state, record.attempts, record.error) == (state, attempts, f"{drives}/empty.mp4 is empty.")
        assert summary.unfinished == ["empty.mp4"]
    assert predict_many(detector, drives, out=out, **FAST).changed == []
    assert predict_many(detector, drives, out=out, retry=True, **FAST).changed == ["empty.mp4"]
    only = tmp_path / "only"
    only.mkdir()
    for name in ("x.mp4", "y.mp4"):
        (only / name).write_bytes(b"")
    with pytest.raises(MediaError, match="none of its 2 sources could be processed"):
        predict_many(detector, only, out=tmp_path / "none", **FAST)


def test_an_unreadable_picture_is_a_hole(drives: Path, detector: Path, tmp_path: Path) -> None:
    (drives / "text.png").write_text("no image")
    summary = predict_many(detector, drives, out=tmp_path / "out", **FAST)
    record = summary.records["images"]
    assert record.state == "done" and record.frames == 2
    assert [(hole["reason"], Path(hole["source"]).name) for hole in record.holes] == [("unreadable", "text.png")]
    assert summary.unfinished == ["images"]


def test_chapters_of_a_folder_are_one_source(pictures: list[np.ndarray], detector: Path, tmp_path: Path) -> None:
    for name in ("north/1.mp4", "north/2.mp4", "south/1.mp4"):
        (tmp_path / "trips" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "trips" / name, pictures[:3])
    summary = predict_many(detector, f"{tmp_path}/trips/*/*.mp4", out=tmp_path / "out", drives=True, **FAST)
    assert {name: record.frames for name, record in summary.records.items()} == {"north": 6, "south": 3}
    frames = frames_of(tmp_path / "out", "north")
    assert [frame.frame for frame in frames] == list(range(6))


def test_shards_do_all_and_nothing_twice(drives: Path, detector: Path, tmp_path: Path) -> None:
    done = [predict_many(detector, drives, out=tmp_path / "out", shard=f"{n}/3", **FAST).changed for n in (1, 2, 3)]
    assert sorted(name for names in done for name in names) == ["a.mp4", "b.mp4", "c.mp4", "images"]
    assert predict_many(detector, drives, out=tmp_path / "out", **FAST).changed == []


def test_which_sources_are_many(drives: Path, tmp_path: Path) -> None:
    assert is_many(drives) and is_many(f"{drives}/*.mp4") and is_many(f"{drives}/[a0].*")
    assert not is_many(drives / "a.mp4") and not is_many(f"{drives}/*.png") and not is_many(f"{drives}/a*")
    assert not is_many(tmp_path / "nowhere") and not is_many("rtsp://camera/1")


def test_one_track_for_many_drives_is_refused(drives: Path, detector: Path, tmp_path: Path) -> None:
    track = tmp_path / "track.gpx"
    points = "".join(
        f'<trkpt lat="14.0{number}" lon="100.5"><time>2026-05-01T03:00:0{number}Z</time></trkpt>' for number in range(3)
    )
    track.write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg>'
        f"{points}</trkseg></trk></gpx>"
    )
    with pytest.raises(ConfigError, match="`gnss`: belongs to one drive"):
        predict_many(detector, drives, every="2m", gpx=track)


def command(*words: object) -> list[str]:
    """The command line as a user has it."""
    return [sys.executable, "-m", "reg_yolo.cli.app", *map(str, words)]


@pytest.fixture
def long_drives(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    """Eight videos of 60 frames."""
    folder = tmp_path / "long"
    folder.mkdir()
    for number in range(8):
        write_video(folder / f"{number}.mp4", pictures * 5)
    return folder


def test_two_processes_on_one_folder_of_which_one_is_killed(long_drives: Path, detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command("predict", detector, long_drives, "device=cpu", "--engine", "pytorch", "--out", out)
    workers = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    manifest, deadline = out / "manifest.jsonl", time.monotonic() + 120
    # Until one is in the middle of a source, with something done already: the other may not even have started.
    busy: list[int] = []
    while not busy and time.monotonic() < deadline:
        if manifest.is_file() and '"state":"done"' in manifest.read_text():
            begun = [entry["worker"] for entry in read_manifest(out).begun.values()]
            busy = [n for n, worker in enumerate(workers) if any(name.endswith(f":{worker.pid}") for name in begun)]
        time.sleep(0.005)
    killed, other = (workers[n] for n in (busy[0], 1 - busy[0]))
    os.kill(killed.pid, signal.SIGKILL)
    outputs = [worker.communicate(timeout=200)[0].decode() for worker in (killed, other)]
    assert [killed.returncode, other.returncode] == [-signal.SIGKILL, 0], outputs
    read = read_manifest(out)
    assert {name: (record.state, record.frames) for name, record in read.records.items()} == {
        f"{number}.mp4": ("done", 60) for number in range(8)
    }
    assert not read.begun
    expected = {f"{number}.mp4.{suffix}" for number in range(8) for suffix in ("jsonl", "csv")}
    assert {path.name for path in out.rglob("*") if path.is_file()} == expected | {"manifest.jsonl"}
    for number in range(8):
        assert [frame.frame for frame in frames_of(out, f"{number}.mp4")] == list(range(60))
    assert re.search(r"^done +8 +480 ", outputs[1], re.MULTILINE)


def test_a_signal_leaves_the_finished_and_takes_back_the_rest(
    long_drives: Path, detector: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = command("predict", detector, long_drives, "device=cpu", "--engine", "pytorch", "--out", out)
    worker = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not (out / "manifest.jsonl").is_file() or not read_manifest(out).records:
        time.sleep(0.01)
    worker.send_signal(signal.SIGTERM)
    output = worker.communicate(timeout=100)[0].decode()
    assert worker.returncode == 130, output
    read = read_manifest(out)
    assert 0 < len(read.records) < 8 and not read.begun
    assert {record.state for record in read.records.values()} == {"done"}
    assert len(list(out.rglob("*.jsonl"))) == 1 + len(read.records)
    assert not list(out.rglob("*.part")) and not list((out / ".work").iterdir())
    assert len(predict_many(detector, long_drives, out=out, **FAST).changed) == 8 - len(read.records)


def test_command_line_says_what_is_not_whole(
    drives: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reg_yolo.cli.app import main

    (drives / "empty.mp4").write_bytes(b"")
    with pytest.raises(SystemExit) as left:
        main(
            ["predict", str(detector), str(drives), "--out", str(tmp_path / "out"), "--engine", "pytorch", "device=cpu"]
        )
    said = capsys.readouterr()
    assert left.value.code == 3
    assert f"error: empty.mp4: failed: {drives}/empty.mp4 is empty." in said.err
    assert "Partly done: 1 of 5 sources are not whole" in said.err
    assert re.search(r"^done +4 +20 +0:00:0\d$", said.out, re.MULTILINE) and "manifest.jsonl" in said.out
    with pytest.raises(SystemExit) as left:
        main(["predict", str(detector), str(drives), "--drive", "--shard", "1/2"])
    assert left.value.code == 2 and "--as-one-drive: makes one source" in capsys.readouterr().err


def test_stored_images_of_people_go_when_a_run_is_to_blur_them(
    drives: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, options = tmp_path / "out", {"device": "cpu", "engine": "pytorch"}
    predict_many(detector, drives, out=out, save=True, **options)
    stored = sorted(path.relative_to(out).as_posix() for path in (out / "annotated").rglob("*.*"))
    assert stored == ["annotated/a.mp4.mp4", "annotated/b.mp4.mp4", "annotated/c.mp4.mp4"] + [
        f"annotated/images/{number}.jpg" for number in range(2)
    ]
    words = ["predict", str(detector), str(drives), "--out", str(out), "--engine", "pytorch", "device=cpu", "--blur"]
    with pytest.raises(SystemExit) as left:
        main([*words, f"{detector}:red"])
    assert not left.value.code
    assert "Removed: stored images of 4 sources, which were not blurred as asked for now" in capsys.readouterr().out
    assert not [path for path in (out / "annotated").rglob("*") if path.is_file()]
    again = predict_many(detector, drives, out=out, save=True, blur=[f"{detector}:red"], **options)
    assert len(again.changed) == 4 and again.removed == []
    assert sorted(path.relative_to(out).as_posix() for path in (out / "annotated").rglob("*.*")) == stored
    other = predict_many(detector, drives, out=out, save=True, blur=[f"{detector}:red", f"{detector}:green"], **options)
    assert len(other.removed) == len(other.changed) == 4
