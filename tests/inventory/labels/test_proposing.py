"""An old list of assets proposes labels: where they must appear, how large, and what is said of the rest."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.cli.labelling import labels
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.drive.overlaps import iou
from reg_yolo.inventory.labels.projecting import Projector, View
from reg_yolo.inventory.labels.proposing import LINES, NO_POSITION, ProposalOptions, propose_labels
from reg_yolo.inventory.labels.typical_sizes import Size, read_sizes, size_of
from reg_yolo.inventory.positions.trajectory import Poses
from reg_yolo.inventory.projection import LocalProjection
from tests.inventory.simulated import START

CLASSES = {"เสาไฟ": "single_arm_pole", "ป้ายเตือน": "warning_sign", "ราวกันอันตราย": "concrete_guardrail"}
CAMERA = Camera(1000, 600, 500.0, height_m=1.5)


def pose(east_m: float = 0.0, north_m: float = 0.0, heading_deg: float = 0.0) -> Poses:
    """Return the vehicle at one place."""
    one, nan = np.ones(1), np.full(1, np.nan)
    place = np.array([[east_m, north_m]])
    return Poses(place, np.zeros((1, 2)), np.radians([heading_deg]), 0 * one, one, one, nan, 0 * one)


def projected(
    places: list[tuple[float, float]], at: Poses, camera: Camera = CAMERA, name: str = "sign", **more: float
) -> list[tuple[float, ...]]:
    """Return boxes of signs of 2 x 1 m, 1 m above the road, at places in metres."""
    projection = LocalProjection(100.0, 14.0)
    degrees = projection.to_degrees(np.array(places, float))
    known = [Known("", name, *one, **more) for one in degrees.tolist()]  # type: ignore[arg-type]
    sizes = [Size(1.0, 2.0, 1.0)] * len(known)
    return [one.xyxy for one in Projector(known, sizes, projection, camera, View())(at, 0)]


def test_a_sign_ahead_appears_where_geometry_says() -> None:
    # 20 m ahead, 4 m to the right; its edges 1 to 2 m above the road, so 0.5 m over and under the lens.
    assert projected([(4.0, 20.0)], pose())[0] == pytest.approx((575, 287.5, 625, 312.5), abs=1e-3)
    east = projected([(20.0, -4.0)], pose(heading_deg=90))
    assert east[0] == pytest.approx((575, 287.5, 625, 312.5), abs=1e-3)
    turned = projected([(4.0, 20.0)], pose(), replace(CAMERA, yaw_deg=math.degrees(math.atan2(4, 20))))
    assert (turned[0][0] + turned[0][2]) / 2 == pytest.approx(500, abs=1e-3)
    # An antenna 1 m behind and 0.5 m to the left of the lens.
    lever = projected([(4.0, 20.0)], pose(), replace(CAMERA, lever_arm_m=(0.5, 1.0, 0.0)))
    assert lever[0][0] == pytest.approx(500 + 500 * (4 - 0.5 - 1) / 19, abs=1e-3)
    up = projected([(4.0, 20.0)], pose(), replace(CAMERA, pitch_deg=2.0))
    assert up[0][1] - 287.5 == pytest.approx(500 * math.tan(math.radians(2.0)), abs=1.0)


def test_what_is_not_in_sight_is_not_proposed() -> None:
    # Behind, too near, too far, beside the frame, and one of which less than half is in the frame.
    assert projected([(0.0, -20.0), (0.0, 2.0), (0.0, 60.0), (30.0, 10.0), (10.6, 10.0)], pose()) == []
    assert len(projected([(9.9, 10.0)], pose())) == 1 and projected([(9.9, 10.0)], pose())[0][2] == 1000
    assert len(projected([(4.0, 20.0)], pose(), facing_deg=200.0)) == 1
    assert projected([(4.0, 20.0)], pose(), facing_deg=20.0) == []
    lost = pose()
    assert projected([(4.0, 20.0)], replace(lost, position_m=np.full((1, 2), np.nan))) == []
    # The shaft of a lamp pole is the side away from the road.
    right, left = (projected([(x, 20.0)], pose(), name="lamp")[0] for x in (4.0, -4.0))
    assert right[0::2] == pytest.approx((550, 600), abs=1e-3) and left[0::2] == pytest.approx((400, 450), abs=1e-3)


def test_pixels_are_the_inverse_of_tangents() -> None:
    camera = Camera(
        640, 384, 500.0, 310.0, 200.0, (-0.12, 0.03, 0.001, -0.002, 0.0), pitch_deg=-3, roll_deg=2, yaw_deg=5
    )
    pixels = np.random.default_rng(0).uniform((20, 20), (620, 364), (50, 2))
    assert camera.pixels(camera.normalized(pixels, 0.03), 0.03) == pytest.approx(pixels, abs=0.02)
    assert np.isnan(Camera(640, 384, 500.0, pitch_deg=80).pixels(np.array([[0.0, 5.0], [0.0, 0.1]]))[0]).all()


def test_sizes_are_stated_or_usual(tmp_path: Path) -> None:
    path = tmp_path / "sizes.yaml"
    path.write_text("เสาไฟ: {height_m: 9, width_m: 2.0, lower_edge_m: 0}\n", encoding="utf-8")
    sizes = read_sizes(path)
    assert size_of("เสาไฟ", sizes) == (Size(9.0, 2.0, 0.0), True)
    assert size_of("Warning-Sign")[1] and not size_of("อื่น")[1]
    for text, message in (
        ("pole: {height_m: 9}", "pole: expected height_m, width_m, lower_edge_m, got"),
        ("pole: {height_m: 0, width_m: 1, lower_edge_m: 0}", r"pole: height_m must be metres from 0\.01 to 100, got 0"),
        ("[]", "expected class names with height_m"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_sizes(path)


@pytest.fixture(scope="module")
def listed(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an agency's list of the drive as list.csv, columns.yaml and sizes.yaml."""
    root = tmp_path_factory.mktemp("list")
    names = {ours: thai for thai, ours in CLASSES.items()}
    with (root / "list.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["no", "ชนิด", "lon", "lat", "สูง"])
        for feature in json.loads((drive / "assets.geojson").read_text("utf-8"))["features"]:
            ours = feature["properties"]["class"]
            longitude, latitude = np.array(feature["geometry"]["coordinates"]).reshape(-1, 3).mean(axis=0)[:2]
            height = 8.0 if ours == "single_arm_pole" else ""
            table.writerow([feature["id"], names.get(ours, ours), longitude, latitude, height])
    columns = "columns: {asset_id: no, class: ชนิด, longitude: lon, latitude: lat, height_m: สูง}\ncrs: EPSG:4326\n"
    (root / "columns.yaml").write_text(f"{columns}classes: {json.dumps(CLASSES, ensure_ascii=False)}\n", "utf-8")
    (root / "sizes.yaml").write_text("single_arm_pole: {height_m: 4, width_m: 2.5, lower_edge_m: 0}\n")
    return root


def test_proposals_lie_on_the_true_boxes(drive: Path, filmed: Path, listed: Path, tmp_path: Path) -> None:
    out = tmp_path / "proposed"
    words = ["inventory", "labels", filmed / "drive.mp4", "--legacy", listed / "list.csv", "--columns"]
    words += [listed / "columns.yaml", "--sizes", listed / "sizes.yaml", "--camera", drive / "camera.yaml"]
    words += ["--gnss", drive / "forward/track_clean.gpx", "--start", START, "--every", "5", "--to", out]
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    assert not end.value.code
    true = {frame.frame: frame.detections for frame in read_detections(drive / "detections.jsonl")}
    images = ElementTree.parse(out / "annotations_train.xml").getroot().findall("image")
    overlaps = []
    for image in images:
        boxes = image.findall("box")
        found = true[int(str(image.get("name"))[-10:-4])]
        for box in boxes:
            assert box.get("source") == "auto"
            assert "proposed from the list" in (box.find("attribute").text or "")  # type: ignore[union-attr]
            own = [float(str(box.get(key))) for key in ("xtl", "ytl", "xbr", "ybr")]
            same = [one.box_xyxy for one in found if one.class_name == box.get("label")]
            if same:
                overlaps.append(iou(np.array([own]), np.array(same)).max())
    # What is hidden by another is proposed as well; the row states the poles' height, 8 m, where the sizes say 4.
    met = [overlap for overlap in overlaps if overlap > 0.1]
    assert len(images) >= 5 and len(met) >= 6 and np.median(met) > 0.5
    rows = list(csv.DictReader((out / "labels.csv").read_text("utf-8").splitlines()))
    assert {row["origin"] for row in rows} == {"proposed"} and all(row["asset_id"] for row in rows)


def test_what_is_left_out_or_does_not_fit_is_said(drive: Path, filmed: Path, listed: Path, tmp_path: Path) -> None:
    options = ProposalOptions(
        listed / "list.csv", drive / "forward/track_clean.gpx", drive / "camera.yaml", listed / "columns.yaml",
        starts=(START,), every=20,
    )  # fmt: skip
    said: list[str] = []
    summary = propose_labels([filmed / "drive.mp4"], tmp_path / "a", options, said.append)
    assert summary.skipped[LINES] > 0 and "concrete_guardrail" not in summary.class_names
    assert any("images are whole frames as filmed" in line for line in said)
    early = replace(options, starts=("2024-05-01T02:00:00Z",))
    with pytest.raises(DataError, match=f"3 {NO_POSITION}.*; check --start"):
        propose_labels([filmed / "drive.mp4"], tmp_path / "b", early)
    with pytest.raises(ConfigError, match=r"--start: got 1 for 2 videos; give one each"):
        propose_labels([filmed / "drive.mp4"] * 2, tmp_path / "b", options)
    camera = tmp_path / "camera.yaml"
    camera.write_text("{width: 1280, height: 720}")
    with pytest.raises(DataError, match=r"has frames of 640x384, .*camera\.yaml is for 1280x720"):
        propose_labels([filmed / "drive.mp4"], tmp_path / "b", replace(options, camera=camera))
    (tmp_path / "road.yaml").write_text("train: images\nnames: [sign]\n")
    with pytest.raises(DataError, match=r"say with classes: in the file of --columns what they are called there"):
        propose_labels([filmed / "drive.mp4"], tmp_path / "b", replace(options, classes=tmp_path / "road.yaml"))
    assert not (tmp_path / "b").exists()


def test_options_of_the_other_kind_are_refused() -> None:
    one, track = Path("a.mp4"), Path("a.gpx")
    cases: list[tuple[list[Path], dict[str, Any], str]] = [
        ([one, one], {}, "got 2 folders"),
        ([one], {"gnss": track}, "--gnss: is for --legacy"),
        ([one], {"legacy": one, "gnss": track}, "--legacy: needs --camera as well"),
        ([one], {"legacy": one, "sources": [one]}, "--sources: is for a reviewed inventory"),
    ]
    for given, more, message in cases:
        with pytest.raises(ConfigError, match=message):
            labels(given, Path("out"), **more)
