"""Annotated video: playable whatever happens, under its final name only when it is."""

import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from reg_yolo.errors import MediaError
from reg_yolo.video import writer as writer_module
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.privacy import ReleasedPicture, release
from reg_yolo.video.writer import AnnotatedVideoWriter, encode_jpeg, h264_is_available


def frame(index: int, width: int = 64, height: int = 48) -> ReleasedPicture:
    return release(np.full((height, width, 3), 40 + index * 10, np.uint8))


def played(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        more, picture = capture.read()
        if not more:
            return frames
        frames.append(picture)


def test_frames_come_back_in_order_with_rate_and_size(tmp_path: Path) -> None:
    path = tmp_path / "out" / "drive.mp4"
    with AnnotatedVideoWriter(path, 64, 48, 12.5) as writer:
        for index in range(10):
            writer.write(frame(index))
        assert not path.exists()
        assert writer.codec in ("h264", "mpeg4")
        assert ("H.264, which browsers play" in writer.codec_note) == (writer.codec == "h264")
    assert [item.name for item in path.parent.iterdir()] == ["drive.mp4"]
    frames = played(path)
    assert [picture.shape for picture in frames] == [(48, 64, 3)] * 10
    assert np.allclose([picture.mean() for picture in frames], [40 + index * 10 for index in range(10)], atol=4)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)


@pytest.mark.parametrize("fps", [None, 0.5, 29.97, 59.94])
def test_frame_rates(tmp_path: Path, fps: float | None) -> None:
    with AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48, fps) as writer:
        for index in range(3):
            writer.write(frame(index))
    assert cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(fps or 25.0, rel=1e-3)


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (63, 47), (1, 1)])
def test_odd_sizes_are_padded_to_even_ones(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.mp4"
    with AnnotatedVideoWriter(path, width, height) as writer:
        writer.write(frame(5, width, height))
    (picture,) = played(path)
    assert picture.shape == (max(16, height + height % 2), max(16, width + width % 2), 3)
    assert np.allclose(picture, 90, atol=6)  # the new edge is a copy, not black


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), RuntimeError("engine lost")])
def test_an_interruption_leaves_playable_video(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(type(error)), AnnotatedVideoWriter(path, 64, 48) as writer:
        for index in range(7):
            writer.write(frame(index))
        raise error
    assert len(played(path)) == 7
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


def test_without_frames_no_file_is_left_and_an_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with AnnotatedVideoWriter(path, 64, 48):
        pass
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_lacks_frames_is_an_error_and_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_frame_count", lambda _: 1)
    path = tmp_path / "a.mp4"
    with (
        pytest.raises(MediaError, match=r"not all 2 frames were stored; is the disk full\?"),
        AnnotatedVideoWriter(path, 64, 48) as writer,
    ):
        writer.write(frame(0))
        writer.write(frame(1))
    assert list(tmp_path.iterdir()) == []
    # An exception that is under way is not replaced by the consequence.
    with pytest.raises(KeyboardInterrupt), AnnotatedVideoWriter(path, 64, 48) as writer:
        writer.write(frame(0))
        writer.write(frame(1))
        raise KeyboardInterrupt


def test_mpeg4_is_taken_where_h264_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "h264_is_available", lambda: False)
    with AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48) as writer:
        for index in range(3):
            writer.write(frame(index))
    assert writer.codec == "mpeg4"
    assert "no H.264 encoder here" in writer.codec_note
    assert len(played(tmp_path / "a.mp4")) == 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"


def test_h264_is_what_browsers_play(tmp_path: Path) -> None:
    assert h264_is_available() == ("libx264" in av.codecs_available)
    with AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48) as writer:
        for index in range(3):
            writer.write(frame(index))
    assert writer.codec == ("h264" if h264_is_available() else "mpeg4")
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_h264_is_unavailable_without_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module.av, "codecs_available", {"mpeg4"})
    assert not h264_is_available.__wrapped__()


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    times = [2.0, 2.02, 2.04, 2.5, 2.5, 3.0]
    with AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer:
        for index, time_s in enumerate(times):
            writer.write(frame(index), time_s)
    found = [item.time_s for item in read_frames(tmp_path / "a.mp4") if isinstance(item, VideoFrame)]
    # The first is the start; a time that comes twice is moved on by next to nothing.
    assert found == pytest.approx([time_s - 2.0 for time_s in times], abs=1e-4)
    assert found[4] > found[3]


def test_colours_come_back(tmp_path: Path) -> None:
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, :32], picture[:, 32:64], picture[:, 64:] = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    with AnnotatedVideoWriter(tmp_path / "a.mp4", 96, 48) as writer:
        writer.write(release(picture))
    (shown,) = played(tmp_path / "a.mp4")
    for column in (16, 48, 80):
        assert np.allclose(shown[24, column], picture[24, column], atol=8)


def test_nothing_but_bare_pixels_is_stored() -> None:
    content = encode_jpeg(release(np.full((48, 64, 3), 90, np.uint8)))
    assert b"Exif" not in content and b"http://ns.adobe.com" not in content
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MediaError, match=r"file/a\.mp4 cannot be written"),
        AnnotatedVideoWriter(tmp_path / "file" / "a.mp4", 64, 48),
    ):
        pass


def test_arguments_and_frames_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end in \.mp4, got a\.avi"):
        AnnotatedVideoWriter(tmp_path / "a.avi", 64, 48)
    with pytest.raises(ValueError, match=r"fps must be in \(0, 1000\], got 0"):
        AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48, 0)
    with pytest.raises(ValueError, match="at least 1x1"):
        AnnotatedVideoWriter(tmp_path / "a.mp4", 0, 48)
    with pytest.raises(ValueError, match="inside the writer's 'with' block"):
        AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48).write(frame(0))
    with (
        pytest.raises(ValueError, match=r"shape \(48, 64, 3\), got uint8 with \(64, 48, 3\)"),
        AnnotatedVideoWriter(tmp_path / "a.mp4", 64, 48) as writer,
    ):
        writer.write(frame(0, 48, 64))


def test_nothing_of_ffmpeg_reaches_stderr(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np; from reg_yolo.video.writer import AnnotatedVideoWriter\n"
        "from reg_yolo.video.privacy import release\n"
        "with AnnotatedVideoWriter(sys.argv[1], 64, 48) as w: w.write(release(np.zeros((48, 64, 3), np.uint8)))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.mp4")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
    assert (tmp_path / "a.mp4").exists()
