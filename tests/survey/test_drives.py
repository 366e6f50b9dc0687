"""Which files of a card are one drive."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.survey.drives import read_card
from tests.survey.cards import textured, write_video


def names_of(root: Path, out: Path | None = None) -> dict[str, list[str]]:
    """Return the files of each drive, by name."""
    return {one.name: [path.name for path in one.files] for one in read_card(root, out or root / "out").drives}


def touch(folder: Path, *names: str) -> None:
    """Make files that hold nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_recordings_cameras_and_images_are_drives_of_their_own(card: Path) -> None:
    touch(card / "DCIM/100GOPRO", "GX010012.MP4", "GX020012.MP4", "GX010013.MP4", "GX010012.LRV", "._GX010012.MP4")
    touch(card / "ทางหลวง 4", "a_F_1.mp4", "a_F_2.mp4", "a_R_1.mp4", "x.gpx")
    touch(card / "stills", "b.jpg", "a.jpg")
    touch(card / ".Trashes", "z.mp4")
    touch(card / "out" / "annotated", "y.mp4")
    assert names_of(card) == {
        "DCIM/100GOPRO/GX010012": ["GX010012.MP4", "GX020012.MP4"],
        "DCIM/100GOPRO/GX010013": ["GX010013.MP4"],
        "stills": ["a.jpg", "b.jpg"],
        "ทางหลวง 4/a_F_1": ["a_F_1.mp4", "a_F_2.mp4"],
        "ทางหลวง 4/a_R_1": ["a_R_1.mp4"],
    }
    assert [path.name for path in read_card(card, card / "out").others] == ["x.gpx"]


def test_a_pause_between_names_with_times_ends_a_drive(card: Path) -> None:
    pictures = textured(10, (32, 48))
    for second in ("00", "10", "40"):
        write_video(card / f"20240501_0300{second}.mp4", pictures)
    assert list(names_of(card).values()) == [
        ["20240501_030000.mp4", "20240501_030010.mp4"],
        ["20240501_030040.mp4"],
    ]


def test_drives_never_share_a_name(card: Path) -> None:
    touch(card / "a", "F_1.mp4", "R_1.mp4")
    touch(card / "a" / "F_1", "other.mp4")
    assert sorted(names_of(card)) == ["a/F_1", "a/F_1_2", "a/R_1"]


def test_an_empty_card_and_no_folder_are_named(card: Path) -> None:
    with pytest.raises(MediaError, match="holds no image and no video"):
        read_card(card, card / "out")
    with pytest.raises(MediaError, match="is not there; expected the folder of a card"):
        read_card(card / "nowhere", card)


def test_options_are_for_all_one_each_or_by_name(card: Path) -> None:
    touch(card / "b", "1.mp4")
    touch(card / "ขาไป", "1.mp4")
    found = read_card(card, card / "out")
    touch(card, "x=1.gpx")
    file = str(card / "x=1.gpx")
    assert found.for_each("--gnss", [file], shared=True) == {"b": file, "ขาไป": file}
    assert found.for_each("--gnss", ["1", "2"], shared=True) == {"b": "1", "ขาไป": "2"}
    assert found.for_each("--start", ["ขาไป=T"], shared=False) == {"ขาไป": "T"}
    with pytest.raises(ConfigError, match=r"--start: got 1 for 2 drives; give one each, or DRIVE=VALUE .* 'b'"):
        found.for_each("--start", ["T"], shared=False)


def test_the_last_part_of_a_name_is_enough_where_no_other_drive_ends_so(card: Path) -> None:
    touch(card / "ทางหลวง 4/เช้า", "ขาไป 1.mp4", "front_1.mp4")
    touch(card / "ทางหลวง 101/เช้า", "ขากลับ 1.mp4", "front_1.mp4")
    found = read_card(card, card / "out")
    given = ["ขากลับ 1=T", "4/เช้า/front_1=U"]
    unknown = "--start: no drive is named '4/เช้า/front_1'; expected DRIVE=VALUE with one of '"
    with pytest.raises(ConfigError, match=unknown):
        found.for_each("--start", given, shared=False)
    given[1] = "ทางหลวง 4/เช้า/front_1=U"
    assert found.for_each("--start", given, shared=False) == {
        "ทางหลวง 101/เช้า/ขากลับ 1": "T", "ทางหลวง 4/เช้า/front_1": "U",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="--camera: 'front_1' matches several drives; expected"):
        found.for_each("--camera", ["front_1=c.yaml"], shared=True)
