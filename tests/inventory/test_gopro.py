"""Positions inside GoPro videos."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import usable
from reg_yolo.inventory.positions.gopro import read_gopro
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.timing import find_start
from tests.inventory.gopro_video import gps5, gps9, write_telemetry
from tests.real_data import REAL_DATA

REAL = REAL_DATA / "gps" / "gopro_max_heromode.mp4"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp()


def test_gps5_gives_places_quality_and_the_videos_clock(tmp_path: Path) -> None:
    path = tmp_path / "GX010001.MP4"
    # The first packet's clock is 1.5 s off, as while a receiver locks on.
    stamps = ["240501120001.500", "240501120001.000", "240501120002.000", "240501120003.000"]
    rows = [[(100.5 + 1e-5 * (2 * k + i), 13.75) for i in range(2)] for k in range(4)]
    write_telemetry(path, [gps5(row, stamp) for row, stamp in zip(rows, stamps, strict=True)])
    fixes = read_gopro(path)
    assert fixes.longitude_deg == pytest.approx([100.5 + 1e-5 * k for k in range(8)])
    assert fixes.latitude_deg.tolist() == [13.75] * 8
    assert fixes.time_s - NOON == pytest.approx(np.arange(8) / 2)
    assert (fixes.elevation_m[0], fixes.dop[0], fixes.fix_type[0]) == (12.0, 1.5, 3)
    assert fixes.starts == {"GX010001.MP4": pytest.approx(NOON)}


def test_packets_without_a_fix_at_zero_or_with_a_high_dop_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "GX010001.MP4"
    place = [(100.5, 13.75), (100.5001, 13.75)]
    packets = [
        gps5(place, "240501060000.000", fix=0),
        gps5(place, "240501060001.000", dop=99.99),
        gps5([(0.0, 0.0)], "240501120002.000"),
        gps5(place, "240501120003.000", fix=2),
        gps5(place, "240501120004.000")[:-20],
    ]
    write_telemetry(path, packets)
    fixes = read_positions(path)
    assert fixes.dropped == {"damaged packet of telemetry": 1, "at 0,0": 1, "no fix": 2, "DOP above 8": 2}
    # The wrong times of the unlocked packets say nothing about the clock.
    assert fixes.time_s - NOON == pytest.approx([3.0, 3.5])


def test_gps9_has_time_dop_and_fix_type_by_fix(tmp_path: Path) -> None:
    path = tmp_path / "GX010001.MP4"
    days = (datetime(2024, 5, 1) - datetime(2000, 1, 1)).days
    rows = [
        (100.5, 13.75, 43200.25, 1.2, 3), (100.5001, 13.75, 43200.75, 12.0, 3), (100.5002, 13.75, 43201.25, 1.2, 0),
        (100.5003, 13.75, 43201.75, 1.2, 2),
    ]  # fmt: skip
    write_telemetry(path, [gps9(rows[:2], days), gps9(rows[2:], days)])
    fixes = read_positions(path)
    assert fixes.dropped == {"no fix": 1, "DOP above 8": 1}
    assert fixes.time_s.tolist() == [NOON + 0.25, NOON + 1.75]
    assert fixes.longitude_deg == pytest.approx([100.5, 100.5003])
    assert fixes.starts["GX010001.MP4"] == pytest.approx(NOON + 0.25)


def test_a_folder_of_chapters_is_one_receiver(tmp_path: Path) -> None:
    for number in (1, 2):
        stamp = f"240501120{number}00.000"
        packet = gps5([(100.5, 13.75), (100.5001, 13.75)], stamp, fix=3)
        write_telemetry(tmp_path / f"GX0{number}0001.MP4", [packet, gps5([(0, 0)], stamp, fix=0)])
    fixes = read_positions(tmp_path)
    assert fixes.time_s - NOON == pytest.approx([60.0, 60.5, 120.0, 120.5])
    assert fixes.dropped == {"at 0,0": 2}
    assert fixes.starts == {"GX010001.MP4": NOON + 60, "GX020001.MP4": NOON + 120}


def test_the_drives_own_telemetry_tells_its_start_unless_one_is_stated() -> None:
    start = find_start("videos/GX010001.MP4", None, (), "utc", NOON)
    assert (start.time_s, start.source) == (NOON, "the telemetry in GX010001.MP4")
    assert find_start("GX010001.MP4", "2024-05-01T11:00:00Z", (), "utc", NOON).time_s == NOON - 3600


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4 cannot be read as a video"):
        read_positions(tmp_path / "a.mp4")


def test_a_video_without_telemetry_names_what_to_give(tmp_path: Path) -> None:
    write_telemetry(tmp_path / "a.mp4", [b"other data of a camera"])
    with pytest.raises(DataError, match="no GoPro telemetry with positions in it; for other cameras give"):
        read_positions(tmp_path / "a.mp4")


@pytest.mark.skipif(not REAL.is_file(), reason="the real video is not on this machine")
def test_a_real_file_has_the_fixes_that_other_readers_find() -> None:
    fixes = usable(read_gopro(REAL))
    # Count, places, DOP and video times as mapillary_tools 0.14.7 reads them.
    assert len(fixes) == 191
    assert fixes.dropped == {}
    assert (fixes.latitude_deg[18], fixes.longitude_deg[18]) == (33.1267606, -117.3273367)
    assert (fixes.latitude_deg[-1], fixes.longitude_deg[-1]) == (33.1266674, -117.3272734)
    assert fixes.time_s[-1] - fixes.starts[REAL.name] == pytest.approx(10.4897, abs=1e-4)
    assert sorted(set(fixes.dop.tolist())) == [1.54, 1.77]
    assert set(fixes.fix_type.tolist()) == {3}
