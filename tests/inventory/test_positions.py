"""Readers of positions, what they drop, and the smoothed way."""

from __future__ import annotations

import functools
import operator
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import Fixes, usable
from reg_yolo.inventory.positions.gpx import read_gpx
from reg_yolo.inventory.positions.nmea import read_nmea
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.positions.smoothing import Drift, smooth
from reg_yolo.inventory.positions.table import read_table
from reg_yolo.inventory.positions.trajectory import build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from tests.real_data import REAL_DATA

GPX = """<?xml version="1.0"?><gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk>
<trkseg><trkpt lat="14.0" lon="100.0"><time>2024-05-01T03:00:00Z</time><hdop>1.2</hdop></trkpt>
<trkpt lat="14.001" lon="100.0"><time>2024-05-01T03:00:05Z</time><hdop>20</hdop></trkpt></trkseg>
<trkseg><trkpt lat="0" lon="0"><time>2024-05-01T03:00:06Z</time></trkpt>
<trkpt lat="14.002" lon="100.0"><time>2024-05-01T03:00:07Z</time></trkpt></trkseg></trk></gpx>"""


def test_gpx_keeps_segments_apart_and_drops_what_is_no_position(tmp_path: Path) -> None:
    path = tmp_path / "t.gpx"
    path.write_text(GPX)
    fixes = usable(read_gpx(path))
    assert fixes.latitude_deg.tolist() == [14.0, 14.002]
    assert fixes.segment.tolist() == [0, 1]
    assert fixes.dropped == {"at 0,0": 1, "DOP above 8": 1}


def test_nmea_reads_place_time_and_quality(tmp_path: Path) -> None:
    path = tmp_path / "log.nmea"
    bodies = [
        "GPGGA,123519.50,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,",
        "GPRMC,123519.50,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W",
        "GPRMC,123520.50,V,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W",
    ]
    lines = [f"${body}*{functools.reduce(operator.xor, body.encode()):02X}" for body in bodies]
    path.write_text("\n".join([*lines, "$GPRMC,123521.50,A,4807.038,N,01131.000,E,0,0,230394,003.1,W*00"]))
    fixes = read_nmea(path)
    assert fixes.latitude_deg[0] == pytest.approx(48 + 7.038 / 60)
    assert fixes.longitude_deg[0] == pytest.approx(11 + 31 / 60)
    assert fixes.time_s.tolist() == [764426119.5, 764426120.5]
    assert (fixes.dop[0], fixes.elevation_m[0]) == (0.9, 545.4)
    assert fixes.fix_type.tolist() == [3, 0]
    assert fixes.dropped == {"damaged sentence": 1}


def test_csv_names_the_line_of_a_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,lat,lon\n2024-05-01T03:00:00Z,14.0,100.0\n2024-05-01T03:00:01Z,north,100.0\n")
    with pytest.raises(DataError, match=r"t\.csv:3: latitude must be a number"):
        read_table(path)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected positions as"):
        read_positions(tmp_path / "track.kml")


def _circle(count: int = 240, step_s: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    time_s = np.arange(count) * step_s
    angle = 20 * time_s / 600
    return time_s, 600 * np.stack([np.cos(angle), np.sin(angle)], 1)


def test_a_good_receivers_way_is_left_as_it_is() -> None:
    time_s, true = _circle()
    smoothed = smooth(time_s, true, Drift())
    assert np.abs(smoothed.position_m - true).max() < 0.05
    assert np.linalg.norm(smoothed.velocity_mps, axis=1)[5:-5] == pytest.approx(20, abs=0.1)


def test_a_drifting_receivers_heading_gets_better() -> None:
    time_s, true = _circle()
    rng = np.random.default_rng(1)
    drift = np.zeros_like(true)
    for k in range(1, len(drift)):
        drift[k] = 0.9876 * drift[k - 1] + rng.normal(0, 2.5 * np.sqrt(1 - 0.9876**2), 2)
    smoothed = smooth(time_s, true + drift, Drift())

    def wrong(velocity: np.ndarray) -> float:
        angle = np.arctan2(velocity[:, 0], velocity[:, 1])
        right = np.unwrap(np.arctan2(*np.gradient(true, time_s, axis=0).T))
        return float(np.degrees(np.std((angle - right + np.pi) % (2 * np.pi) - np.pi)[()]))

    assert wrong(smoothed.velocity_mps) < 0.6 * wrong(np.gradient(true + drift, time_s, axis=0))


def test_a_hole_in_the_positions_is_not_bridged() -> None:
    time_s, metres = _circle()
    projection = LocalProjection(100.0, 14.0)
    degrees = projection.to_degrees(metres)
    kept = (time_s < 40) | (time_s > 50)
    fixes = Fixes.from_columns("t", time_s[kept].tolist(), degrees[kept, 0].tolist(), degrees[kept, 1].tolist())
    trajectory = build_trajectory(fixes, projection, Drift())
    poses = trajectory.at(np.array([20.0, 45.0, 80.0]))
    assert poses.located.tolist() == [True, False, True]
    assert np.linalg.norm(poses.position_m[0] - np.array([np.cos(2 / 3), np.sin(2 / 3)]) * 600) < 0.5


@pytest.mark.skipif(not (REAL_DATA / "gps").is_dir(), reason="the real tracks are not on this machine")
def test_a_real_minute_of_fixes_has_its_length() -> None:
    fixes = read_positions(REAL_DATA / "gps" / "comma2k19_segment40.gpx")
    projection = LocalProjection.around(fixes.longitude_deg, fixes.latitude_deg)
    trajectory = build_trajectory(fixes, projection, Drift())
    poses = trajectory.at(np.linspace(trajectory.start_s, trajectory.end_s, 50))
    assert poses.track_m[-1] == pytest.approx(1010, rel=0.05)
