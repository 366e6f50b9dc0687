"""Frames by number, by time and by metres of road; speed and tracks that do not go together are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reg_yolo.errors import ConfigError, DataError, RegYoloError
from reg_yolo.video.gpx import read_track
from reg_yolo.video.thinning import Every, Thinner, choose_thinning, parse_every
from tests.real_data import REAL_DATA

FPS = 25


def kept(every: str, seconds: float = 2.0, **settings: object) -> list[int]:
    thinning = choose_thinning(every, **settings)  # type: ignore[arg-type]
    assert thinning is not None
    wanted = thinning()
    return [index for index in range(round(seconds * FPS)) if wanted(index, index / FPS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", Every(5, "frames")),
        ("0.2s", Every(0.2, "s")),
        (" 2 m ", Every(2, "m")),
        (".5S", Every(0.5, "s")),
        ("1.5km", Every(1500, "m")),
    ],
)
def test_steps_are_read(text: str, expected: Every) -> None:
    assert parse_every(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0s", "2.5", "-1s", "five", "2 miles", "s", "1e3", "nan", "5 s s"])
def test_steps_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"`every`: got .*expected a number of frames such as 5, seconds"):
        parse_every(text)


def test_frames_by_number_and_by_time() -> None:
    assert kept("5", 1) == [0, 5, 10, 15, 20]
    assert kept("0.2s", 1) == [0, 5, 10, 15, 20]
    # A step that is not a whole number of frames does not drift.
    assert kept("0.1s", 1) == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]
    assert kept("0.01s", 1) == list(range(25))


def test_after_a_hole_the_next_frame_is_taken() -> None:
    wanted = Thinner(Every(1.0, "s"))
    assert [wanted(index, time_s) for index, time_s in enumerate([0.0, 0.5, 7.3, 7.9, 8.0])] == [1, 0, 1, 0, 1]


def test_metres_at_a_constant_speed() -> None:
    # 72 km/h is 20 m/s, 0.8 m a frame.
    assert kept("2m", 0.4, speed_kmh=72) == [0, 3, 5, 8]


def test_stride_is_ultralytics_and_both_are_refused() -> None:
    thinning = choose_thinning(None, stride=3)
    assert thinning is not None
    assert [index for index in range(9) if thinning()(index, 0.0)] == [2, 5, 8]
    assert choose_thinning(None) is None
    with pytest.raises(ConfigError, match="vid_stride: leave it out"):
        choose_thinning("5", stride=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": "2m"}, "metres need either `speed=KM/H` or `gnss=FILE`"),
        ({"every": "2m", "speed_kmh": 50, "gnss": Path("a.gpx")}, "either `speed=KM/H` or `gnss"),
        ({"every": "2m", "speed_kmh": 0}, "`speed`: got 0, expected kilometres an hour above 0"),
        ({"every": "2m", "speed_kmh": float("nan")}, "`speed`: got nan"),
        ({"every": "5", "speed_kmh": 50}, "`speed`: only thins by metres"),
        ({"every": None, "gnss": Path("a.gpx")}, "`gnss`: only thins by metres"),
        ({"every": "2m", "gnss": Path("none.gpx")}, r"none\.gpx cannot be read: No such file"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(RegYoloError, match=message):
        choose_thinning(**settings)  # type: ignore[arg-type]


def write_gpx(path: Path, points: list[tuple[float, float]]) -> Path:
    """Write a track eastwards along the equator: seconds and metres of each point."""
    rows = "".join(
        f'<trkpt lat="0" lon="{metres / 111_319.49:.9f}"><time>2025-06-02T08:00:{seconds:06.3f}Z</time></trkpt>'
        for seconds, metres in points
    )
    path.write_text(
        f'<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{rows}</trkseg></trk></gpx>'
    )
    return path


def test_metres_along_a_track_with_a_stop(tmp_path: Path) -> None:
    # 10 m/s for a second, a stop of a second, then 10 m/s again.
    path = write_gpx(tmp_path / "a.gpx", [(0, 0), (1, 10), (2, 10), (4, 30)])
    track = read_track(path)
    assert [track.metres_at(time_s) for time_s in (0.5, 1.5, 3.0)] == pytest.approx([5, 10, 20], rel=0.01)
    # Behind the last fix at the mean speed of 7.5 m/s, and before the first one.
    assert track.metres_at(6.0) == pytest.approx(45, rel=0.01)
    assert track.metres_at(-2.0) == pytest.approx(-15, rel=0.01)
    frames = kept("5m", 4, gnss=path)
    assert not any(28 < frame < 50 for frame in frames) and 6 <= len(frames) <= 7
    later = kept("5m", 2, gnss=path, gnss_offset_s=2.0)
    assert later == pytest.approx([0, 13, 25, 38], abs=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no xml", "is not a GPX track"),
        ("<gpx></gpx>", "is not a track that leads somewhere"),
        ("", "is not a GPX track|is not a track that leads"),
        (b"\xff\xfe\x00", "is not a GPX track"),
    ],
)
def test_tracks_that_are_none_are_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "a.gpx"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read_track(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_track_without_times_or_movement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leads somewhere"):
        read_track(write_gpx(tmp_path / "a.gpx", [(0, 5), (1, 5)]))


def test_the_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gpxpy", None)
    with pytest.raises(ConfigError, match=r'pip install "reg-yolo\[gpx\]"'):
        read_track(tmp_path / "a.gpx")


@pytest.fixture
def real_track() -> Path:
    """A minute of real fixes."""
    path = REAL_DATA / "gps" / "comma2k19_segment40.gpx"
    if not path.is_file():
        pytest.skip("the real track is not here")
    return path


def test_the_real_track(real_track: Path) -> None:
    track = read_track(real_track)
    assert track.metres[-1] == pytest.approx(1010, rel=0.02)
    assert len(kept("20m", float(track.seconds[-1]), gnss=real_track)) == pytest.approx(51, abs=2)
