"""A clock that nobody has set: found where the vehicle changes its speed, and said to be unknown where it does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.inventory.drive.clock import estimate, way_sigma
from reg_yolo.inventory.positions.trajectory import Poses
from tests.inventory import roads


def _clock(
    root: Path, swing: float, offset_s: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[float, float, str]:
    """Return the estimate, its deviation and the line of a straight drive whose speed swings by 2/5 of `swing` m/s."""

    def place_at(time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = 20.0 * time_s + swing * np.sin(time_s / 2.5)
        return np.stack([np.zeros_like(along), along], -1), np.zeros_like(along)

    monkeypatch.setattr(roads, "place_at", place_at)
    roads.write_road(root, [roads.Mounted("front", clock_s=offset_s)])
    words = ["inventory", "build", str(root / "front.jsonl"), "--camera", str(root / "front.yaml"), "--start"]
    with pytest.raises(SystemExit) as end:
        main([*words, "2024-05-01T03:00:00Z", "--gnss", str(root / "track.gpx"), "--out", str(root / "out")])
    captured = capsys.readouterr()
    assert not end.value.code
    line = next(line for line in (captured.out + captured.err).splitlines() if "clock" in line)
    found = re.search(r"clock ([+-][\d.]+) s \+- ([\d.]+)", line)
    assert found is not None
    return float(found[1]), float(found[2]), line


def test_changes_of_speed_show_the_offset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offset_s = -0.9
    value, sigma, line = _clock(tmp_path, 15.0, offset_s, monkeypatch, capsys)
    assert "not observable" not in line
    assert value == pytest.approx(offset_s, abs=0.1)
    assert abs(value - offset_s) < 2 * sigma < 0.5


def test_constant_speed_on_a_straight_road_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value, sigma, line = _clock(tmp_path, 0.0, 0.9, monkeypatch, capsys)
    assert "not observable" in line
    assert abs(value) < 0.02
    assert sigma >= 0.09


@pytest.mark.parametrize(("noise_mps", "believed"), [(0.01, True), (0.2, False)])
def test_a_long_drive_does_not_make_a_noisy_way_sure_of_an_offset(noise_mps: float, believed: bool) -> None:
    time_s = np.arange(0.0, 3600.0, 0.5)
    velocity = 20.0 * np.stack([np.sin(time_s / 10), np.cos(time_s / 10)], -1)
    unknown, still = np.full(len(time_s), np.nan), np.zeros(len(time_s))
    poses = Poses(velocity, velocity, still, time_s, still, np.full(len(time_s), noise_mps), unknown, still)
    unsure_s = way_sigma(poses, time_s, np.arange(len(time_s)))
    assert unsure_s == pytest.approx(3 * noise_mps, rel=0.2)
    # An estimate that looks alone would be sure of.
    offset = estimate(0.75, 0.006, unsure_s, 0.1, 0.0)
    assert offset.gross is offset.observed is believed
    assert offset.value_s == pytest.approx(0.75 if believed else 0.0, abs=0.05)
    assert offset.sigma_s == pytest.approx(0.1, abs=0.01)
