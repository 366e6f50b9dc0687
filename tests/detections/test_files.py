"""Detections files: written whole or honestly incomplete, read line by line, errors with their line."""

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import CsvWriter, DetectionsWriter, read_detections
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.detections.part_file import PartFile
from reg_yolo.errors import DataError, MediaError

HEADER = DetectionsHeader(
    source="drive.mp4",
    classes=("pole", "ป้าย, ใหญ่"),
    weights_name="best.pt",
    weights_sha256="a" * 64,
    engine="pytorch",
    precision="f32",
    imgsz=(640, 640),
    device="cpu",
    thresholds={"pole": 0.25},
    reg_yolo_version="0.1.0",
)


def frame(index: int, objects: int = 1) -> FrameDetections:
    found = tuple(Detection("ป้าย, ใหญ่", 1, 0.5, (1, 2, 3.25, 4), None, n) for n in range(objects))
    return FrameDetections("drive.mp4", index, index / 25, 960, 540, found)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_written_frames_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out" / "drive.jsonl"
    frames = [frame(0, 2), frame(1, 0), frame(2, 1)]
    with DetectionsWriter(path, HEADER) as writer:
        for item in frames:
            writer.write(item)
        assert not path.exists()
        assert len(lines_of(path.with_name("drive.jsonl.part"))) == 4  # on disk before the end
    assert [item.name for item in path.parent.iterdir()] == ["drive.jsonl"]
    reader = read_detections(path)
    assert reader.header == HEADER
    assert not reader.is_complete
    assert list(reader) == frames
    assert list(reader) == frames  # a second pass
    assert reader.end == {"record": "end", "frames": 3, "detections": 3, "complete": True}
    assert reader.is_complete
    assert "ป้าย" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("engine lost"), SystemExit(143)])
def test_an_interruption_leaves_a_valid_file_that_says_so(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(type(error)), DetectionsWriter(path, HEADER) as writer:
        writer.write(frame(0))
        raise error
    assert not path.with_name("a.jsonl.part").exists()
    reader = read_detections(path)
    assert list(reader) == [frame(0)]
    assert reader.end is not None
    assert (reader.end["complete"], reader.end["frames"]) == (False, 1)
    assert str(reader.end["error"]).startswith(type(error).__name__)
    assert not reader.is_complete


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with DetectionsWriter(path, HEADER):
        assert path.read_text() == "old"
    assert len(lines_of(path)) == 2


def test_after_a_hard_kill_the_part_file_holds_the_whole_frames(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        sys.path.insert(0, sys.argv[2])
        from test_files import HEADER, frame, DetectionsWriter
        with DetectionsWriter(sys.argv[1], HEADER) as writer:
            for index in range(20):
                writer.write(frame(index))
            print("written", flush=True)
            time.sleep(60)
        """
    )
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", script, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "written"
        os.kill(process.pid, signal.SIGKILL)
    assert not path.exists()
    part = path.with_name("a.jsonl.part")
    assert [item.frame for item in read_detections(part, tolerate_cut=True)] == list(range(20))
    with pytest.raises(DataError, match="breaks off before its end record"):
        list(read_detections(part))


@pytest.mark.parametrize("cut", [3, 40, 200])
def test_a_cut_last_line_is_an_error_unless_asked_for(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    with DetectionsWriter(path, HEADER) as writer:
        writer.write(frame(0))
        writer.write(frame(1))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="breaks off"):
        list(read_detections(path))
    reader = read_detections(path, tolerate_cut=True)
    assert [item.frame for item in reader] == ([0] if cut == 200 else [0, 1])
    assert reader.end is None


def test_a_full_disk_cuts_back_to_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    class FullDisk:
        """Takes half a line, then refuses, until something is given back."""

        def __init__(self, stream: object) -> None:
            self.stream = stream
            self.full = False

        def write(self, data: memoryview) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            self.full = True
            return self.stream.write(data[: len(data) // 2])  # type: ignore[attr-defined,no-any-return]

        def truncate(self, size: int) -> None:
            self.stream.truncate(size)  # type: ignore[attr-defined]
            self.full = False
            self.write = self.stream.write  # type: ignore[method-assign,attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    with (
        pytest.raises(MediaError, match=r"a\.jsonl cannot be written: No space left on device"),
        DetectionsWriter(path, HEADER) as writer,
    ):
        writer.write(frame(0))
        file = writer._file
        assert file is not None
        file._stream = FullDisk(file._stream)  # type: ignore[assignment]
        writer.write(frame(1))
    reader = read_detections(path)
    assert list(reader) == [frame(0)]
    assert reader.end is not None
    assert (reader.end["frames"], reader.end["complete"]) == (1, False)


def test_nothing_is_left_where_the_header_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MediaError("no space")

    monkeypatch.setattr(PartFile, "write_line", refuse)
    with pytest.raises(MediaError), DetectionsWriter(tmp_path / "a.jsonl", HEADER):
        pass
    with pytest.raises(MediaError), CsvWriter(tmp_path / "a.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MediaError, match=r"file/a\.jsonl cannot be written"),
        DetectionsWriter(tmp_path / "file" / "a.jsonl", HEADER),
    ):
        pass


def test_classes_must_be_the_headers(tmp_path: Path) -> None:
    wrong = FrameDetections("a", 0, None, 9, 9, (Detection("pole", 1, 0.5, (0, 0, 1, 1)),))
    with (
        pytest.raises(ValueError, match="class 1 is 'pole' in frame 0, but the header has"),
        DetectionsWriter(tmp_path / "a.jsonl", HEADER) as writer,
    ):
        writer.write(wrong)
    with pytest.raises(ValueError, match="inside the writer's 'with' block"):
        DetectionsWriter(tmp_path / "b.jsonl", HEADER).write(frame(0))


def test_a_file_name_that_is_no_unicode_survives(tmp_path: Path) -> None:
    source = os.fsdecode(b"drive\xff.mp4")
    path = tmp_path / "a.jsonl"
    with DetectionsWriter(path, HEADER) as writer:
        writer.write(FrameDetections(source, 0, None, 9, 9))
    assert next(iter(read_detections(path))).source == source


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "", r":1 is not JSON"),
        (1, '{"record":"frame"}', r":1 is not a header of a detections file"),
        (1, '{"record":"header","schema":"reg_yolo.detections/2"}', "reads 'reg_yolo.detections/1'"),
        (1, '{"record":"header","schema":"reg_yolo.detections/1"}', r":1 has no key 'imgsz'"),
        (1, "[]", r":1 is not a record"),
        (2, "{oops", r":2 is not JSON"),
        (2, '{"record":"frame"}', r":2 has no key 'time_s'"),
        (
            2,
            '{"record":"frame","source":"a","frame":0,"time_s":0,"width":"wide","height":1,"detections":[]}',
            ":2 is malf",
        ),
    ],
)
def test_malformed_files_are_named_with_the_line(tmp_path: Path, line: int, text: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    with DetectionsWriter(path, HEADER) as writer:
        writer.write(frame(0))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_detections(path, tolerate_cut=True))


def test_unknown_records_and_keys_of_a_later_minor_version_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with DetectionsWriter(path, HEADER) as writer:
        writer.write(frame(0))
    lines = path.read_text(encoding="utf-8").splitlines()
    later = json.loads(lines[1])
    later["speed"] = 3
    later["detections"][0]["colour"] = "red"
    lines[1:2] = ['{"record":"weather","from_s":1.0}', json.dumps(later)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert list(read_detections(path)) == [frame(0)]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl does not exist"):
        read_detections(tmp_path / "none.jsonl")


def test_csv_has_a_row_for_each_detection(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt), CsvWriter(path) as writer:
        writer.write(frame(0, 2))
        writer.write(frame(1, 0))
        writer.write(FrameDetections("a.jpg", 0, None, 9, 9, (Detection("pole", 0, 1.0, (0, 0, 1, 1)),)))
        raise KeyboardInterrupt
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0].values()) == [
        *("drive.mp4", "0", "0.0", "ป้าย, ใหญ่", "1", "0.5"),
        *("1.0", "2.0", "3.25", "4.0", "0"),
    ]
    assert (rows[2]["source"], rows[2]["time_s"], rows[2]["track"]) == ("a.jpg", "", "")
    assert len(rows) == 3


def test_memory_stays_flat_and_a_frame_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    start = time.perf_counter()
    tracemalloc.start()
    with DetectionsWriter(path, HEADER) as writer:
        for index in range(1000):
            writer.write(frame(index, 10))
    assert sum(len(item.detections) for item in read_detections(path)) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert time.perf_counter() - start < 10


def test_two_runs_do_not_share_a_part(tmp_path: Path) -> None:
    with DetectionsWriter(tmp_path / "a.jsonl", HEADER) as first:
        first.write(FrameDetections("a", 0, None, 9, 9))
        with pytest.raises(MediaError, match=r"a\.jsonl\.part is being written by another run; name another folder"):
            DetectionsWriter(tmp_path / "a.jsonl", HEADER).__enter__()
        first.write(FrameDetections("a", 1, None, 9, 9))
    assert [frame.frame for frame in read_detections(tmp_path / "a.jsonl")] == [0, 1]
    # What a killed run left is given up.
    (tmp_path / "a.jsonl.part").write_text("half a li")
    with DetectionsWriter(tmp_path / "a.jsonl", HEADER):
        pass
    assert list(read_detections(tmp_path / "a.jsonl")) == [] and not (tmp_path / "a.jsonl.part").exists()


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.jsonl.part").symlink_to(victim)
    with pytest.raises(MediaError, match="cannot be written"):
        DetectionsWriter(tmp_path / "a.jsonl", HEADER).__enter__()
    assert victim.read_text() == "precious"


ODD = [None, True, -1, 1.5, 10**400, "", "x", [], [1], {}, {"a": 1}, float("nan"), [[]] * 3]


def test_damaged_records_are_one_line(tmp_path: Path) -> None:
    found = Detection("pole", 0, 0.5, (0, 0, 1, 1), {"size": [9, 9], "counts": "PQ2"}, 3)
    frame = FrameDetections("a", 0, 0.5, 9, 9, (found,), (1, 0, 2, 0, 1, 3)).to_record()
    records = {
        "header": HEADER.to_record(),
        "frame": frame,
        "hole": Hole("a", 0.0, 1.0, "damaged").to_record(),
        "join": Join("a", 1, 0.5, -2.0).to_record(),
    }
    path, refused = tmp_path / "a.jsonl", 0
    for kind, record in records.items():
        for target in [record, *(record["detections"] if kind == "frame" else [])]:
            for key, value in list(target.items()):
                for odd in ODD:
                    target[key] = odd
                    lines = [record] if kind == "header" else [records["header"], record]
                    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
                    try:
                        for read in read_detections(path, tolerate_cut=True):
                            read.to_record()
                    except DataError as error:
                        refused += 1
                        assert "\n" not in str(error) and str(path) in str(error)
                target[key] = value
    assert refused > 200
    for line in (b"[" * 100_000, b"\xff\xfe", b"{", b"null", b"3"):
        path.write_bytes(json.dumps(records["header"]).encode() + b"\n" + line + b"\n")
        with pytest.raises(DataError, match=r"a\.jsonl:2 is "):
            list(read_detections(path, tolerate_cut=True))


def test_camera_motion_comes_back_and_is_checked() -> None:
    motion = (1.0, 0.0, 2.5, 0.0, 1.0, -0.25)
    frame = FrameDetections("a", 0, 0.5, 9, 9, (), motion)
    assert (
        frame.to_record()["camera_motion"] == list(motion) and FrameDetections.from_record(frame.to_record()) == frame
    )
    assert "camera_motion" not in FrameDetections("a", 0, 0.5, 9, 9).to_record()
    with pytest.raises(ValueError, match="camera_motion must be 6 finite numbers"):
        FrameDetections("a", 0, 0.5, 9, 9, (), (1.0, 0.0, float("nan"), 0.0, 1.0, 0.0))


def test_joins_are_read_next_to_the_frames(tmp_path: Path) -> None:
    join = Join("a", 1, 0.5, -2.0)
    with DetectionsWriter(tmp_path / "a.jsonl", HEADER) as writer:
        writer.write(FrameDetections("a", 0, 0.0, 9, 9))
        writer.write_event(join)
    reader = read_detections(tmp_path / "a.jsonl")
    assert (
        len(list(reader)) == 1 and reader.joins == [join] and reader.holes == [] and "holes" not in (reader.end or {})
    )
