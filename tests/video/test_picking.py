"""Single frames of a video, sought or read up to."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.errors import MediaError
from reg_yolo.video import picking
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.picking import FramePlace, pick_frames, read_picture
from tests.video.clips import number_of, write_clip


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 12 s of video with frames stored in another order than they are shown, that does not start at zero."""
    path = tmp_path_factory.mktemp("clip") / f"clip.{request.param}"
    return write_clip(path, 300, key_every=25, start_s=0.4)


def places_of(path: Path, numbers: list[int]) -> list[FramePlace]:
    """Return where frames are, as a prediction notes it."""
    times = {item.index: item.time_s for item in read_frames(path, lambda *_: False) if isinstance(item, VideoFrame)}
    return [FramePlace(number, round(times[number], 6)) for number in numbers]


@pytest.mark.parametrize("seek", [True, False])
def test_the_chosen_frames_come_and_no_others(clip: Path, seek: bool) -> None:
    places = places_of(clip, [260, 3, 4, 120, 137])
    found = {place.number: number_of(picture) for place, picture in pick_frames(clip, places, seek=seek)}
    assert found == {number: number % 20 for number in (3, 4, 120, 137, 260)}


def test_far_frames_are_sought_and_what_has_another_time_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 300, key_every=25)
    places = places_of(clip, [10, 290])
    # Frame by frame nothing is read where everything is found.
    monkeypatch.setattr(picking, "read_frames", lambda *_: pytest.fail("read from the start"))
    assert [place.number for place, _ in pick_frames(clip, places)] == [10, 290]
    monkeypatch.undo()
    moved = FramePlace(100, places[0].time_s + 3.613)
    assert [place.number for place, _ in pick_frames(clip, [places[0], moved, places[1]])] == [10, 290]


def test_an_image_is_read_and_what_is_none_is_named(tmp_path: Path) -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, :15] = 200
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    assert (read_picture(tmp_path / "a.png") == picture).all()
    # The header of a bitmap of 60,000 x 60,000 pixels.
    huge = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6)
    for name, content in (("b.jpg", b"no image"), ("c.bmp", huge)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=rf"{name} does not decode as an image"):
            read_picture(tmp_path / name)
