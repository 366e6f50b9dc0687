"""Which images belong together: names, times, places and views."""

import random
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from PIL import Image

from reg_yolo.data.dataset.frame_names import drive_in_name, name_below_images, time_in_name
from reg_yolo.data.images.exif import read_exif
from reg_yolo.data.split.grouping import GroupingRules, group_images
from reg_yolo.data.split.ties import Ties, tie_in_place
from reg_yolo.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "drive"),
    [
        ("drive03_000123.jpg", "drive03"),
        ("GH010012_0001.png", "GoPro 0012"),
        ("GX020012_0999.jpg", "GoPro 0012"),
        ("2024_0907_101112_004.jpg", "2024_0907_101112"),
        ("0001TP_008550.png", "0001TP"),
        ("cam1-run7 (12).jpg", "cam1-run7"),
        ("เส้น๒_00012.jpg", "เส้น๒"),
        ("drive03_000123_jpg.rf.0123456789abcdef0123456789abcdef.jpg", "drive03"),
        ("drive03_000123_x01024_y00512.jpg", "drive03"),
        ("000123.jpg", "."),
        ("day1/000123.jpg", "day1"),
        ("day1/frame_000123.PNG", "day1/frame"),
        ("day2/drive03_000123.jpg", "drive03"),
    ],
)
def test_drive_in_a_name(name: str, drive: str) -> None:
    assert drive_in_name(PurePosixPath(name)) == drive


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("2024_0907_101112_004", datetime(2024, 9, 7, 10, 11, 12)),
        ("IMG_20240907_101112", datetime(2024, 9, 7, 10, 11, 12)),
        ("20240907101112345", datetime(2024, 9, 7, 10, 11, 12)),
        ("front 2024-09-07T10.11.12 0003", datetime(2024, 9, 7, 10, 11, 12)),
        ("20241307_101112", None),
        ("drive03_000123", None),
        ("12024090710111299", None),
    ],
)
def test_time_in_a_name(name: str, time: datetime | None) -> None:
    assert time_in_name(name) == time


def test_names_lose_the_folder_of_an_earlier_split() -> None:
    root = Path("/d")
    assert str(name_below_images(Path("/d/images/train/day1/a.jpg"), root)) == "day1/a.jpg"
    assert str(name_below_images(Path("/d/images/a.jpg"), root)) == "a.jpg"
    assert str(name_below_images(Path("/d/train/images/a.jpg"), root)) == "a.jpg"
    assert str(name_below_images(Path("/d/frames/a.jpg"), root)) == "frames/a.jpg"
    assert str(name_below_images(Path("/elsewhere/a.jpg"), root)) == "a.jpg"


def groups_of(images: list[Path], root: Path, **rules: object) -> set[frozenset[str]]:
    """The names that stay together; the same for any order of the images."""
    shuffled = list(images)
    random.Random(1).shuffle(shuffled)
    found = []
    for order in (images, shuffled):
        groups, _ = group_images(order, root, GroupingRules(workers=1, **rules))  # type: ignore[arg-type]
        together: dict[str, set[str]] = {}
        for image, group in zip(order, groups, strict=True):
            together.setdefault(group, set()).add(image.stem)
        found.append((together, {frozenset(names) for names in together.values()}))
    assert found[0] == found[1]
    return found[0][1]


def paths(root: Path, *names: str) -> list[Path]:
    return [root / "images" / name for name in names]


def test_frames_of_a_drive_stay_together_over_folders(tmp_path: Path) -> None:
    images = paths(tmp_path, "train/d01_0001.jpg", "val/d01_0002.jpg", "train/d02_0001.jpg", "x/7.jpg", "x/8.jpg")
    assert groups_of(images, tmp_path) == {frozenset({"d01_0001", "d01_0002"}), frozenset({"d02_0001"}),
                                           frozenset({"7", "8"})}  # fmt: skip


def test_clips_that_follow_each_other_are_one_drive(tmp_path: Path) -> None:
    images = paths(tmp_path, "2024_0907_100000_1.jpg", "2024_0907_100300_2.jpg", "2024_0907_103000_1.jpg")
    assert groups_of(images, tmp_path) == {
        frozenset({"2024_0907_100000_1", "2024_0907_100300_2"}),
        frozenset({"2024_0907_103000_1"}),
    }


def test_a_pattern_names_the_drive_and_must_fit(tmp_path: Path) -> None:
    images = paths(tmp_path, "a-north-1.jpg", "b-north-2.jpg", "c-south-3.jpg")
    assert len(groups_of(images, tmp_path, pattern="-(north|south)-")) == 2
    with pytest.raises(DataError, match=r"does not fit 1 of 3 names, such as c-south-3\.jpg"):
        groups_of(images, tmp_path, pattern="-(north)-")
    with pytest.raises(ConfigError, match="no group"):
        groups_of(images, tmp_path, pattern="north")
    with pytest.raises(ConfigError, match=r"^pattern.*is not a regular expression"):
        groups_of(images, tmp_path, pattern="(north")
    with pytest.raises(ConfigError, match="expected some of drive, time"):
        GroupingRules(by=("drvie",))


def write_photo(path: Path, time: datetime | None = None, position: tuple[float, float] | None = None) -> Path:
    """Write a small JPEG with EXIF time and position."""
    path.parent.mkdir(parents=True, exist_ok=True)

    exif = Image.Exif()
    if time is not None:
        exif[0x8769] = {0x9003: time.strftime("%Y:%m:%d %H:%M:%S")}
    if position is not None:
        (latitude, longitude), zero = position, 0.0
        exif[0x8825] = {1: "N" if latitude >= 0 else "S", 2: (abs(latitude), zero, zero),
                        3: "E" if longitude >= 0 else "W", 4: (abs(longitude), zero, zero)}  # fmt: skip
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    return path


def test_exif_gives_time_and_place(tmp_path: Path) -> None:
    when = datetime(2024, 9, 7, 10, 11, 12)
    facts = read_exif(write_photo(tmp_path / "ภาพ.jpg", when, (-13.75, 100.5)))
    assert facts.time == when
    assert facts.position == pytest.approx((-13.75, 100.5), abs=1e-7)
    assert read_exif(write_photo(tmp_path / "no_fix.jpg", None, (0.0, 0.0))).position is None
    content = (tmp_path / "ภาพ.jpg").read_bytes()
    for cut in range(0, len(content), 7):
        (tmp_path / "cut.jpg").write_bytes(content[:cut])
        read_exif(tmp_path / "cut.jpg")
    rng = random.Random(0)
    for _ in range(200):
        damaged = bytearray(content)
        for _ in range(5):
            damaged[rng.randrange(200)] = rng.randrange(256)
        (tmp_path / "cut.jpg").write_bytes(damaged)
        read_exif(tmp_path / "cut.jpg")


def test_a_pause_starts_a_new_group(tmp_path: Path) -> None:
    start = datetime(2024, 9, 7, 10, 0, 0)
    seconds = {"a": 0, "b": 60, "c": 121, "d": 150}
    images = [write_photo(tmp_path / "images" / f"{n}.jpg", start + timedelta(seconds=s)) for n, s in seconds.items()]
    assert groups_of(images, tmp_path, by=("time",)) == {frozenset("ab"), frozenset("cd")}
    assert len(groups_of(images, tmp_path, by=("time",), gap_s=61)) == 1
    images.append(write_photo(tmp_path / "images" / "run1_1.jpg"))
    _, notes = group_images(images, tmp_path, GroupingRules(by=("time",)))
    assert notes == ["1 of 5 images have no time, such as run1_1.jpg; they are grouped by the drive in their names."]
    with pytest.raises(DataError, match="None of the 1 images has a time"):
        group_images(images[-1:], tmp_path, GroupingRules(by=("time",)))


def test_both_directions_of_a_place_stay_together(tmp_path: Path) -> None:
    # A millidegree of latitude is 111 m.
    places = {"out1": 14.0000, "out2": 14.0020, "back2": 14.00215, "back1": 13.9999}
    images = [write_photo(tmp_path / "images" / f"{name}.jpg", None, (at, 100.5)) for name, at in places.items()]
    assert groups_of(images, tmp_path, by=("gps",)) == {frozenset({"out1", "back1"}), frozenset({"out2", "back2"})}
    assert len(groups_of(images, tmp_path, by=("gps",), radius_m=12)) == 3
    # The names say that out1 and out2 are one drive: with both rules everything hangs together.
    assert len(groups_of(images, tmp_path, by=("gps", "drive"))) == 1


def test_places_are_tied_exactly_when_a_chain_of_radii_joins_them() -> None:
    rng = np.random.default_rng(0)
    metres = rng.uniform(0, 1200, (120, 2))
    for latitude, longitude in ((14.0, 100.0), (-60.0, 179.9999), (89.9999, 10.0)):
        degrees = metres / 111_195.0
        scale = np.cos(np.radians(latitude))
        positions = [(latitude - north, (longitude + east / scale + 180) % 360 - 180) for north, east in degrees]
        ties = Ties(len(positions))
        tie_in_place(ties, positions, 60.0)
        points = np.array([
            (np.cos(np.radians(a)) * np.cos(np.radians(b)), np.cos(np.radians(a)) * np.sin(np.radians(b)),
             np.sin(np.radians(a))) for a, b in positions])  # fmt: skip
        near = np.linalg.norm(points[:, None] - points[None], axis=-1) * 6_371_009 <= 60
        reference = Ties(len(positions))
        reference.tie_pairs((int(a), int(b)) for a, b in np.argwhere(near))
        assert [ties.find(i) for i in range(120)] == [reference.find(i) for i in range(120)]
        assert 5 < len({ties.find(i) for i in range(120)}) < 120


def test_bursts_are_found_in_name_order_and_copies_anywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)

    def view() -> np.ndarray:
        return cv2.resize(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)

    first, second = view(), view()
    folder = tmp_path / "images"
    folder.mkdir()
    shifted = np.roll(first, 6, axis=1)
    pictures = {"v_9": first, "v_10": shifted, "v_100": second, "z_1": cv2.resize(second, (200, 150)) // 2}
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), picture)
    assert groups_of(paths(tmp_path, *(f"{name}.jpg" for name in pictures)), tmp_path, by=("burst",)) == {
        frozenset({"v_9", "v_10"}), frozenset({"v_100", "z_1"})}  # fmt: skip


def test_pictures_of_one_name_are_one_group_only_where_they_are_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"images/{split}/1.jpg"), cv2.resize(small, (320, 240)))
    images = paths(tmp_path, "train/1.jpg", "val/1.jpg")
    groups, _ = group_images(images, tmp_path, GroupingRules(by=("burst",), workers=1))
    assert groups == ["1", "1 (2)"]
