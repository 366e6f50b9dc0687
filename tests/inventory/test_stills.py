"""Positions in the EXIF data of images."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from reg_yolo.errors import DataError
from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.positions.table import read_table
from reg_yolo.scenes import write_drive
from scripts.bench_inventory import write_detections

G = ExifTags.GPS


def still(path: Path, latitude: float, longitude: float, **more: object) -> None:
    """Write an image with a position in degrees, minutes and seconds, and further tags by their names."""
    exif = Image.Exif()
    tags: dict[int, object] = {
        G.GPSLatitudeRef: "S" if latitude < 0 else "N", G.GPSLatitude: dms(latitude),
        G.GPSLongitudeRef: "W" if longitude < 0 else "E", G.GPSLongitude: dms(longitude),
    }  # fmt: skip
    tags |= {getattr(G, name): value for name, value in more.items()}
    exif[ExifTags.IFD.GPSInfo] = tags
    Image.new("RGB", (8, 8)).save(path, exif=exif)


def dms(value: float) -> tuple[IFDRational, ...]:
    """Return degrees, minutes and seconds to 1e-6 seconds, as EXIF holds them."""
    whole = abs(value)
    minutes = whole % 1 * 60
    return IFDRational(int(whole)), IFDRational(int(minutes)), IFDRational(round(minutes % 1 * 60 * 10**6), 10**6)


def test_images_give_place_time_and_quality_by_file_name(tmp_path: Path) -> None:
    clock = {"GPSDateStamp": "2024:05:01", "GPSTimeStamp": (3.0, 0.0, 1.5)}
    quality = {"GPSDOP": 1.25, "GPSMeasureMode": "3", "GPSAltitude": 4.5, "GPSAltitudeRef": b"\x01"}
    still(tmp_path / "img_10.jpg", -13.7501, -100.5)
    still(tmp_path / "img_9.jpg", -13.75, -100.5, **clock, **quality)
    still(tmp_path / "img_11.jpg", 0.0, 0.0)
    still(tmp_path / "img_12.jpg", -13.75, -100.5, GPSStatus="V")
    still(tmp_path / "img_13.jpg", -13.75, -100.5, GPSDOP=20.0)
    Image.new("RGB", (8, 8)).save(tmp_path / "img_14.jpg")
    (tmp_path / "img_15.jpg").write_bytes(b"damaged")
    (tmp_path / "notes.txt").write_text("no image")
    fixes = read_positions(tmp_path)
    assert fixes.names == ("img_9.jpg", "img_10.jpg")
    assert fixes.latitude_deg == pytest.approx([-13.75, -13.7501], abs=1e-9)
    assert fixes.longitude_deg == pytest.approx([-100.5, -100.5], abs=1e-9)
    assert fixes.time_s[0] == datetime(2024, 5, 1, 3, 0, 1, 500_000, UTC).timestamp()
    assert np.isnan(fixes.time_s[1])
    assert (fixes.dop[0], fixes.elevation_m[0], fixes.fix_type.tolist()) == (1.25, -4.5, [3, -1])
    assert fixes.dropped == {
        "image without a position in its EXIF data": 2, "at 0,0": 1, "no fix": 1, "DOP above 8": 1,
    }  # fmt: skip


def test_a_damaged_image_is_counted_also_where_the_library_asks_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Image.open

    def as_ultralytics_leaves_it(path: Path) -> Image.Image:
        try:
            return known(path)
        except OSError:
            raise ModuleNotFoundError("No module named 'pi_heif'") from None

    monkeypatch.setattr(Image, "open", as_ultralytics_leaves_it)
    still(tmp_path / "a.jpg", 13.75, 100.5)
    still(tmp_path / "c.jpg", 13.7501, 100.5)
    (tmp_path / "b.jpg").write_bytes(b"damaged")
    assert read_positions(tmp_path).dropped == {"image without a position in its EXIF data": 1}


def test_a_folder_without_positions_or_of_two_kinds_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 0 and 0"):
        read_positions(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="none of its 1 images has a position in its EXIF data"):
        read_positions(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="got 1 and 1"):
        read_positions(tmp_path)


@pytest.mark.parametrize("whole_seconds", [False, True])
def test_a_drive_of_images_is_built_from_their_exif_positions(tmp_path: Path, whole_seconds: bool) -> None:
    """Four images share a second where the receiver's clock has whole seconds: their order is kept all the same."""
    write_drive(tmp_path, km=0.3, size=(640, 384), seed=2, every_m=5.0, truth_only=True)
    frames = [json.loads(line) for line in (tmp_path / "forward" / "frames.jsonl").read_text().splitlines()]
    write_detections(tmp_path / "forward" / "frames.jsonl", tmp_path / "video.jsonl", "T", 0)
    track = read_positions(tmp_path / "forward" / "track_clean.gpx")
    header, *records = [json.loads(line) for line in (tmp_path / "video.jsonl").read_text().splitlines()]
    (tmp_path / "stills").mkdir()
    for number, record in enumerate(records):
        if record.get("record") != "frame":
            continue
        time = track.time_s[0] + record["time_s"]
        place = [float(np.interp(time, track.time_s, axis)) for axis in (track.latitude_deg, track.longitude_deg)]
        moment = datetime.fromtimestamp(time // 1 if whole_seconds else time, UTC)
        stamp = (moment.hour, moment.minute, moment.second + moment.microsecond / 1e6)
        still(tmp_path / "stills" / f"img_{number}.jpg", *place, GPSDateStamp=f"{moment:%Y:%m:%d}", GPSTimeStamp=stamp)
        record |= {"source": f"img_{number}.jpg", "time_s": None}
    assert len(frames) > 20
    (tmp_path / "stills.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in [header, *records]))
    by_name = build_inventory(BuildOptions((tmp_path / "stills.jsonl",), (tmp_path / "stills",)))
    assert by_name.counts["frames without a position"] == 0
    by_time = build_inventory(
        BuildOptions(
            (tmp_path / "video.jsonl",),
            (tmp_path / "forward" / "track_clean.gpx",),
            starts=(datetime.fromtimestamp(track.time_s[0], UTC).isoformat(),),
        )
    )
    assert [asset.class_name for asset in by_name.assets] == [asset.class_name for asset in by_time.assets]
    places = [
        inventory.projection.to_degrees(np.array([asset.middle_m for asset in inventory.assets])) * 111_000
        for inventory in (by_name, by_time)
    ]
    assert np.abs(places[0] - places[1]).max() < 1.5


def test_a_bad_time_in_a_table_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,lat,lon\nyesterday,14.0,100.0\n")
    with pytest.raises(DataError, match=r"a\.csv:2: expected a time such as"):
        read_table(tmp_path / "a.csv")
