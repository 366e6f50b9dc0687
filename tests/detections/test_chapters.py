"""Chapters of a drive in the order they were filmed, whatever the camera calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.detections.chapters import chapter_order
from reg_yolo.errors import MediaError
from reg_yolo.video.sources import as_drive, resolve_source
from tests.conftest import MakeVideo


@pytest.mark.parametrize(
    "names",
    [
        # GoPro: chapter before recording; the older form starts with GOPR.
        ["GH010012.MP4", "GH020012.MP4", "GH010013.MP4"],
        ["GX010099.MP4", "GX020099.MP4", "GX100099.MP4"],
        ["GOPR0012.MP4", "GP010012.MP4", "GP020012.MP4"],
        ["DJI_0009.MP4", "DJI_0010.MP4", "DJI_0100.MP4"],
        ["DJI_20250602081500_0001_D.MP4", "DJI_20250602082000_0002_D.MP4"],
        ["20250602_081530.mp4", "20250602_082030.mp4", "20250603_000030.mp4"],
        ["drive 2.mp4", "drive 10.mp4"],
        ["NO20250602-081530-000009F.MP4", "NO20250602-081630-000010F.MP4"],
    ],
)
def test_order(names: list[str]) -> None:
    paths = [Path("/card") / name for name in names]
    assert chapter_order(paths[::-1]) == chapter_order(paths[1:] + paths[:1]) == paths


def test_two_cameras_are_refused() -> None:
    with pytest.raises(MediaError, match=r"0815_F\.mp4 and 0815_R\.mp4 are named differently .*pattern such as"):
        chapter_order([Path(f"/card/{name}") for name in ("0815_F.mp4", "0815_R.mp4", "0816_F.mp4")])


def test_a_source_as_a_drive(tmp_path: Path, make_video: MakeVideo) -> None:
    for name in ("GH020012.MP4", "GH010012.MP4"):
        make_video(name)
    drive = as_drive(resolve_source(tmp_path))
    assert drive.kind == "drive" and [path.name for path in drive.videos] == ["GH010012.MP4", "GH020012.MP4"]
    # A list says the order itself, and so do files named from Python.
    (tmp_path / "list.txt").write_text("GH020012.MP4\nGH010012.MP4\n")
    for source in (tmp_path / "list.txt", [tmp_path / "GH020012.MP4", tmp_path / "GH010012.MP4"]):
        assert [path.name for path in as_drive(resolve_source(source)).videos] == ["GH020012.MP4", "GH010012.MP4"]
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(MediaError, match="is not a drive: expected the videos of one camera, without images"):
        as_drive(resolve_source(tmp_path))
