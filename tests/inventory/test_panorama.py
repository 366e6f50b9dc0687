"""360-degree video is named and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.camera import read_camera
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.panorama import refuse_panorama
from tests.inventory.gopro_video import box

V1 = bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + b"<rdf:SphericalVideo/>"


@pytest.mark.parametrize("mark", [box("sv3d", b"proj"), box("uuid", V1)])
@pytest.mark.parametrize("large", [False, True])
def test_spherical_metadata_of_a_video_are_found_behind_its_data(tmp_path: Path, mark: bytes, large: bool) -> None:
    path = tmp_path / "drive.mp4"
    data = bytes(400_000)
    mdat = b"\0\0\0\1mdat" + (16 + len(data)).to_bytes(8, "big") + data if large else box("mdat", data)
    path.write_bytes(box("ftyp", b"mp42") + mdat + box("moov", box("trak", mark)))
    with pytest.raises(
        DataError, match=r"drive\.mp4 is 360-degree video, which gives no positions of assets; cut flat"
    ):
        refuse_panorama(str(path), 1920, 1080, has_camera=True)


def test_flat_files_and_files_elsewhere_are_left_alone(tmp_path: Path) -> None:
    flat = tmp_path / "flat.mp4"
    # The mark in the pixels' data says nothing.
    flat.write_bytes(box("ftyp", b"mp42") + box("mdat", b"sv3d") + box("moov", box("trak", b"avc1")))
    (tmp_path / "cut.mp4").write_bytes(box("ftyp", b"mp42") + b"\0\0")
    for source in (flat, tmp_path / "cut.mp4", tmp_path / "absent.mp4"):
        refuse_panorama(str(source), 1920, 1080, has_camera=False)


def test_a_panorama_image_is_known_by_its_xmp(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8" + b'<x GPano:ProjectionType="equirectangular"/>')
    with pytest.raises(DataError, match="360-degree"):
        refuse_panorama(str(path), 1000, 700, has_camera=True)


def test_endings_and_frames_of_two_to_one_tell_it_unless_a_camera_is_given() -> None:
    with pytest.raises(DataError, match=r"GS010001\.360 is 360-degree video"):
        refuse_panorama("GS010001.360", 4096, 1344, has_camera=True)
    with pytest.raises(DataError, match=r"frames of 3840x1920 \(2:1\) look like 360-degree video"):
        refuse_panorama("a.mp4", 3840, 1920, has_camera=False)
    refuse_panorama("a.mp4", 3840, 1920, has_camera=True)


def test_a_camera_may_state_that_it_is_flat_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("width: 640\nheight: 320\nprojection: perspective\n")
    assert read_camera(path).width == 640
    path.write_text("width: 640\nheight: 320\nprojection: equirectangular\n")
    with pytest.raises(
        ConfigError, match="projection must be perspective, got 'equirectangular'; for 360-degree video"
    ):
        read_camera(path)


def test_an_inventory_of_it_is_refused(tmp_path: Path) -> None:
    header = DetectionsHeader(
        source="a.mp4", classes=("sign",), weights_name="w", weights_sha256="0" * 64, engine="pytorch",
        precision="f32", imgsz=(320, 640), device="cpu", thresholds={}, reg_yolo_version="0", width=640, height=320,
    )  # fmt: skip
    with DetectionsWriter(tmp_path / "a.jsonl", header) as writer:
        writer.write(FrameDetections("a.mp4", 0, 0.0, 640, 320, ()))
    (tmp_path / "a.csv").write_text("time_s,lon,lat\n0,100,14\n1,100,14.001\n")
    with pytest.raises(DataError, match=r"a\.mp4: frames of 640x320 \(2:1\) look like 360-degree video"):
        build_inventory(BuildOptions((tmp_path / "a.jsonl",), (tmp_path / "a.csv",)))
