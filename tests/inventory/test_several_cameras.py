"""Several cameras on one vehicle, and cameras that read their rows one after the other."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.cameras import NamedCamera, named_cameras
from reg_yolo.inventory.drive.looks import read_drive
from reg_yolo.inventory.drive.rays import build_rays
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.shifts import DriveErrors, fit_drives
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.opening import BuildOptions, settings_digest
from tests.inventory.roads import ORIGIN, START, Mounted, write_road

FRONT, REAR = Mounted("front", yaw_deg=3.0, ahead_m=1.0), Mounted("rear", yaw_deg=180.0, ahead_m=-2.0, clock_s=0.7)
STARTS = ("front=2024-05-01T03:00:00Z", "rear=2024-05-01T03:00:00.700Z")


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("cameras")
    return root, write_road(root, [FRONT, REAR])


def words_of(root: Path, *more: str) -> list[str]:
    words = ["inventory", "build", str(root / "front.jsonl"), str(root / "rear.jsonl")]
    return [*words, "--gnss", str(root / "track.gpx"), "--out", str(root / "out"), *more]


def apart_m(degrees: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how far each asset is from the true place next to it, and see that there is one for each."""
    places = ORIGIN.to_metres(*degrees.T)
    apart = np.linalg.norm(places[:, None] - truth, axis=2)
    assert sorted(apart.argmin(axis=1).tolist()) == list(range(len(truth)))
    return np.asarray(apart.min(axis=1))


def test_cameras_of_one_vehicle_see_one_asset_each(road: tuple[Path, np.ndarray]) -> None:
    root, truth = road
    named = [f"--camera={name}={root / name}.yaml" for name in ("front", "rear")]
    with pytest.raises(SystemExit) as end:
        main(words_of(root, *named, *(f"--start={start}" for start in STARTS)))
    assert not end.value.code
    rows = list(csv.DictReader((root / "out" / "inventory.csv").read_text(encoding="utf-8-sig").splitlines()))
    degrees = np.array([[float(row["longitude"]), float(row["latitude"])] for row in rows])
    assert np.median(apart_m(degrees, truth)) < 0.3
    # Both cameras are one pass of one vehicle.
    assert {row["passes"] for row in rows} == {"1"}
    seen = (root / "out" / "observations.jsonl").read_text().splitlines()
    assert sum("front.mp4" in line and "rear.mp4" in line for line in seen) >= len(truth) - 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--camera=front={0}/front.yaml", "--camera={0}/rear.yaml"], "expected NAME=FILE for each camera"),
        (["--camera=front={0}/front.yaml", "--camera=left={0}/rear.yaml"], "none of front, left is a word of the path"),
        (["--camera=front={0}/front.yaml", "--camera=rear={0}/rear.yaml", "--camera=left=a"], "--camera left: no det"),
        (["--camera=front={0}/front.yaml", "--camera=rear={0}/rear.yaml", "--start=left=2024-05-01"], "--start: "),
        (["--camera=front={0}/a.yaml", "--camera=rear={0}/b.yaml", "--gnss={0}/track.gpx"], "are of one drive"),
    ],
)
def test_cameras_that_do_not_fit_the_files_are_refused(
    road: tuple[Path, np.ndarray], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words_of(road[0], *(word.format(road[0]) for word in more)))
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_starts_are_one_for_all_cameras_or_one_each() -> None:
    assert named_cameras(["plain.yaml"], ["2024-05-01T03:00:00Z"]) == ()
    cameras, time = ["front=f.yaml", "rear=r.yaml"], "2024-05-01T03:00:00Z"
    assert [one.start for one in named_cameras(cameras, [time])] == [time, time]
    assert [one.start for one in named_cameras(cameras, [f"rear={time}"])] == [None, time]
    with pytest.raises(ConfigError, match="--start"):
        named_cameras(cameras, [time, f"rear={time}"])


def test_cameras_of_one_receiver_share_its_error() -> None:
    def place(drive: int) -> Sighting:
        return Sighting(
            drive, 30.0, np.zeros(2), np.eye(2) * 0.01, np.array([0.0, 20.0]), {"pole": 1.0}, False, 2.0, 1.0, 1.0,
            30.0, 30.0, 5, Features(),
        )  # fmt: skip

    one = DriveErrors(0.0, 60.0, 2.5, 40.0, 0.0, 0.001, 0)
    seen, groups = [place(0), place(1)], [[0, 1]]
    # Two receivers are right more often than one, but not two cameras of one receiver.
    assert fit_drives([one, one], seen, groups).covariances[0][0, 0] == pytest.approx(2.5**2, rel=0.02)
    assert fit_drives([one, replace(one, receiver=1)], seen, groups).covariances[0][0, 0] == pytest.approx(
        2.5**2 / 2, rel=0.02
    )


def test_a_camera_that_looks_back_sees_the_fronts_of_what_faces_the_way() -> None:
    ahead = Sighting(
        0, 30.0, np.zeros(2), np.eye(2), np.array([0.0, -20.0]), {"sign": 1.0}, True, 2.0, 1.0, 1.0, 30.0, 30.0, 5,
        Features(),
    )  # fmt: skip
    back = replace(ahead, drive=1, velocity_mps=np.array([0.0, 20.0]), looks_back=True)
    errors = [DriveErrors(0.0, 60.0, 2.5, 40.0, 0.0, 0.1, n) for n in range(2)]
    assert match_drives(errors, [ahead, back])[0] == [[0, 1]]
    assert match_drives(errors, [ahead, replace(back, looks_back=False)])[0] == [[0], [1]]


@pytest.mark.parametrize("readout_s", [0.08, -0.08])
def test_rows_that_are_read_one_after_the_other_are_taken_back(tmp_path: Path, readout_s: float) -> None:
    truth = write_road(tmp_path, [Mounted("front", readout_s=readout_s)], noise_px=0.05)
    file = tmp_path / "front.yaml"
    options = BuildOptions((tmp_path / "front.jsonl",), (tmp_path / "track.gpx",), (file,), (START.isoformat(),))

    def error_m() -> float:
        built = build_inventory(options)
        middles = np.array([asset.middle_m for asset in built.assets])
        return float(np.median(apart_m(built.projection.to_degrees(middles), truth)))

    known = error_m()
    file.write_text(file.read_text().replace(f"readout_s: {readout_s}", "readout_s: 0.0"))
    # The middle row for all would leave 9 cm; at 20 m/s it is read 0.8 m after the first one.
    assert known < 0.05
    assert error_m() > 0.6
    file.write_text(file.read_text().replace("readout_s: 0.0", "readout_s: 0.3"))
    with pytest.raises(ConfigError, match=r"readout_s must be from -0\.2 to 0\.2"):
        build_inventory(options)


def test_rows_are_turned_to_the_heading_in_the_middle_of_the_readout(road: tuple[Path, np.ndarray]) -> None:
    looks = read_drive([road[0] / "front.jsonl"])
    plain = Camera(looks.width, looks.height, 532.0)
    rolling, rate = replace(plain, readout_s=0.08), np.full(looks.frames, 0.3)
    still, turned = build_rays(looks, plain, None, rate), build_rays(looks, rolling, None, rate)
    late = ((looks.xyxy[still.look, 1] + looks.xyxy[still.look, 3]) / 2 / looks.height - 0.5) * 0.08
    assert turned.delay_s == pytest.approx(late)
    # The camera turns to the right by 0.3 rad/s, so what is read later lies further to the right of the middle's view.
    moved = np.arctan(turned.sides) - np.arctan(still.sides)
    assert moved[:, [0, 2]] == pytest.approx(np.stack([0.3 * late] * 2, 1), abs=1e-9)
    assert not moved[:, [1, 3]].any()


def test_a_named_camera_counts_in_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("width: 640\nheight: 384\n")
    plain = BuildOptions((), ())
    named = replace(plain, named_cameras=(NamedCamera("front", tmp_path / "a.yaml"),))
    assert settings_digest(plain) != settings_digest(named)
