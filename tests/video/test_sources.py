"""A SOURCE is classified, listed as Ultralytics lists it, and refused in one line where it is none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from reg_yolo.errors import MediaError
from reg_yolo.video import probing
from reg_yolo.video.decoding import open_video
from reg_yolo.video.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, probe_image, probe_video, resolve_source
from tests.conftest import MakeVideo
from tests.video.clips import write_clip


@pytest.fixture
def folder(tmp_path: Path, make_video: MakeVideo) -> Path:
    """A folder with two images, two videos and other files, and an image in a folder of it."""
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "deeper/c.jpg"):
        cv2.imwrite(str(tmp_path / "in" / name), np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "in" / "notes.docx").write_text("x")
    (tmp_path / "in" / "folder.jpg").mkdir()
    for name in ("in/z.mp4", "in/B.MP4"):
        make_video(name)
    return tmp_path / "in"


def test_single_files(folder: Path) -> None:
    image = resolve_source(folder / "a.PNG")
    assert (image.kind, image.images, image.videos) == ("image", [folder / "a.PNG"], [])
    video = resolve_source(str(folder / "z.mp4"))
    assert (video.kind, video.images, video.videos) == ("video", [], [folder / "z.mp4"])
    assert video.given == str(folder / "z.mp4")


def test_folder_lists_its_own_files_images_first_as_ultralytics(folder: Path) -> None:
    from ultralytics.data.loaders import LoadImagesAndVideos

    source = resolve_source(folder)
    assert source.kind == "folder"
    assert [file.path.name for file in source.files] == ["a.PNG", "b.jpg", "B.MP4", "z.mp4"]
    assert [file.kind for file in source.files] == ["image", "image", "video", "video"]
    (folder / "folder.jpg").rmdir()  # upstream would read a folder with an image's suffix
    assert [str(file.path) for file in source.files] == LoadImagesAndVideos(str(folder)).files


def test_suffixes_are_upstreams_and_those_of_cameras() -> None:
    from ultralytics.data.utils import IMG_FORMATS, VID_FORMATS

    assert IMAGE_SUFFIXES == IMG_FORMATS
    assert VIDEO_SUFFIXES > VID_FORMATS and not VIDEO_SUFFIXES & IMAGE_SUFFIXES


def test_what_cameras_write_is_read_and_what_is_skipped_is_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "GX010001.MP4", 3)
    stream = write_clip(tmp_path / "a.ts", 3)
    for name in ("b.MTS", "c.m2ts"):
        stream.with_name(name).write_bytes(stream.read_bytes())
    for name in ("d.3gp", "e.flv", "f.VOB", "g.h264"):
        write_clip(tmp_path / name, 3)
    (tmp_path / "GL010001.LRV").write_bytes(clip.read_bytes())
    (tmp_path / "track.gpx").write_text("x")
    (tmp_path / "README").write_text("x")
    source = resolve_source(tmp_path)
    read = ["GX010001.MP4", "a.ts", "b.MTS", "c.m2ts", "d.3gp", "e.flv", "f.VOB", "g.h264"]
    assert [path.name for path in source.videos] == read
    assert all(probe_video(path).width == 160 for path in source.videos)
    assert source.skipped_note == "3 files of other kinds (1 .lrv, 1 without suffix, 1 .gpx)"
    assert resolve_source(tmp_path / "GL010001.LRV").kind == "video"
    assert [path.name for path in resolve_source(f"{tmp_path}/*.LRV").videos] == ["GL010001.LRV"]
    assert resolve_source([tmp_path / "GL010001.LRV"]).skipped == ()


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((40, 60, 3), np.uint8))
    source = resolve_source(tmp_path)
    assert [path.name for path in source.images] == ["a.jpg"] and source.videos == []
    assert sorted(path.name for path in source.skipped) == ["pipe.mp4", "zero.jpg"]
    for name in ("pipe.mp4", "zero.jpg"):
        with pytest.raises(MediaError, match="expected a regular file"):
            resolve_source(tmp_path / name)
        with pytest.raises(MediaError, match="expected a regular file"):
            (probe_image if name == "zero.jpg" else probe_video)(tmp_path / name)


def test_heic_without_a_reader_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.HEIC").write_bytes(b"anything")
    monkeypatch.setattr(probing, "_HEIF_READERS", ("no_such_reader",))
    with pytest.raises(MediaError, match=r"a\.HEIC is HEIC, which needs the package pi-heif .*or convert it to JPEG"):
        resolve_source(tmp_path / "a.HEIC")
    # Where there is one, Pillow's word counts.
    reader = ModuleType("a_reader")
    reader.register_heif_opener = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_reader", reader)
    monkeypatch.setattr(probing, "_HEIF_READERS", ("no_such_reader", "a_reader"))
    Image.new("RGB", (64, 48)).save(tmp_path / "b.heic", format="PNG")
    assert probe_image(tmp_path / "b.heic") == (64, 48)
    with pytest.raises(MediaError, match="does not decode"):
        probe_image(tmp_path / "a.HEIC")


def test_glob_pattern_and_brackets_in_real_names(folder: Path) -> None:
    assert [path.name for path in resolve_source(f"{folder}/**/*.jpg").images] == ["b.jpg", "c.jpg"]
    odd = folder / "drive [1].jpg"
    cv2.imwrite(str(odd), np.zeros((40, 60, 3), np.uint8))
    assert resolve_source(odd).kind == "image"
    odd_folder = folder / "km [0-9]"
    odd_folder.mkdir()
    cv2.imwrite(str(odd_folder / "a.jpg"), np.zeros((40, 60, 3), np.uint8))
    assert resolve_source(odd_folder).images == [odd_folder / "a.jpg"]


def test_text_list_relative_to_the_list_and_to_the_working_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = folder / "list.txt"
    listed.write_text(f"\ufeff{folder / 'z.mp4'}\n\nb.jpg\nin/a.PNG\n", encoding="utf-8")
    source = resolve_source(listed)
    assert source.kind == "list"
    assert [file.path for file in source.files] == [folder / "a.PNG", folder / "b.jpg", folder / "z.mp4"]
    assert resolve_source("in/b.jpg").images == [folder / "b.jpg"]
    listed.write_text("b.jpg\nnone.jpg\n")
    with pytest.raises(MediaError, match=r"list\.txt:2 names none\.jpg, which does not exist"):
        resolve_source(listed)
    listed.write_text("notes.docx\n")
    with pytest.raises(MediaError, match=r"list\.txt:1 names notes\.docx, which is neither an image nor a video"):
        resolve_source(listed)


def test_sources_that_are_none(folder: Path, tmp_path: Path) -> None:
    cases = {
        str(tmp_path / "none.mp4"): "does not exist; expected an image, a video, a folder",
        str(folder / "notes.docx"): "neither an image nor a video by its suffix",
        f"{tmp_path}/*.avi": "No file matches",
        f"{folder}/*.docx": "holds no image and no video",
        str(tmp_path): r"holds no image and no video; for the folders in it name a pattern such as '.*/\*\*/\*\.jpg'",
        "https://example.org/drive.mp4": "is an address; download the file first",
        "rtsp://me:secret@10.0.0.2/live": "^rtsp://10.0.0.2/live is a stream; record first, such as with ffmpeg -i",
        "0": "0 is a camera; record first",
        "/dev/video7": "/dev/video7 is a camera; record first",
    }
    for source, message in cases.items():
        with pytest.raises(MediaError, match=message) as caught:
            resolve_source(source)
        assert "\n" not in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MediaError, match=r"empty holds no image and no video\.$"):
        resolve_source(empty)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", b"", "is empty"),
        ("a.jpg", b"no image", "does not decode as an image"),
        ("a.mp4", b"", "is empty"),
        ("a.mp4", b"no video " * 1000, "cannot be opened as a video"),
        ("a.mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "cannot be opened as a video"),
        ("a.avi", b"RIFF\x00\x00\x00\x00AVI LIST", "cannot be opened as a video"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as caught:
        resolve_source(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_without_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video("none.avi", frames=0)
    with pytest.raises(MediaError, match=r"none\.avi (holds no frame|cannot be opened|is empty)"):
        probe_video(path)
    whole = make_video("whole.mp4", frames=30, size=(320, 240))
    content = whole.read_bytes()
    # The index of an mp4 stands at its end here: without it nothing can be decoded.
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match="cannot be opened as a video"):
        probe_video(tmp_path / "cut.mp4")


def test_probe_video_tells_what_the_container_announces(make_video: MakeVideo) -> None:
    info = probe_video(make_video(frames=12, size=(64, 48), fps=12.5))
    assert (info.width, info.height, info.fps, info.frame_count) == (64, 48, 12.5, 12)
    assert info.duration_s == pytest.approx(0.96)
    assert len(info.fourcc) == 4


@pytest.mark.parametrize("rate", [None, 0, 90_000])
def test_frame_rates_that_are_not_credible_are_unknown(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, rate: int | None
) -> None:
    path = make_video()

    class Odd:
        average_rate = guessed_rate = rate

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, Any]]:
        with open_video(path) as (container, stream):
            yield container, Odd(stream)

    monkeypatch.setattr(probing, "open_video", opened)
    info = probe_video(path)
    assert (info.fps, info.frame_count) == (None, 12)
    assert info.duration_s == pytest.approx(12 / 25)


def test_probe_image(folder: Path) -> None:
    assert probe_image(folder / "a.PNG") == (60, 40)
    with pytest.raises(MediaError, match="cannot be read: No such file"):
        probe_image(folder / "none.png")
    with pytest.raises(MediaError, match="is a folder"):
        probe_image(folder)


def test_nothing_of_opencv_or_ffmpeg_reaches_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video " * 1000)
    script = (
        "import sys; from reg_yolo.video.sources import resolve_source\n"
        "try: resolve_source(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.mp4")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "MediaError"
    assert done.stderr == ""


def test_the_real_highway_video(highway_video: Path) -> None:
    info = probe_video(highway_video)
    assert (info.width, info.height, info.fps, info.frame_count) == (960, 540, 25.0, 221)
    assert resolve_source(highway_video).kind == "video"
