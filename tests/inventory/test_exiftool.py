"""Positions as exiftool prints them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.exiftool import degrees, fix_type
from reg_yolo.inventory.positions.reading import read_positions

# Printed by exiftool 12.57 for a GoPro Max, shortened.
GOPRO = [
    {
        "SourceFile": "videos/GX010001.MP4",
        "Main:GPSLatitude": 33.1268,
        "Main:GPSLongitude": -117.3273,
        **{
            f"Doc{number}:{tag}": value
            for number, (second, mode, dop, latitude, longitude) in enumerate(
                [
                    ("14.000", 3, 1.54, 33.12677, -117.3273436),
                    ("16.470", 3, 1.54, 33.126761, -117.3273371),
                    ("17.460", 3, 1.54, 33.1267516, -117.3273295),
                    ("18.470", 3, 9.99, 33.1267398, -117.3273219),
                    ("59.000", 0, 1.54, 33.1267293, -117.3273157),
                ],
                1,
            )
            for tag, value in {
                "SampleTime": 1.001 * (number - 1),
                "GPSMeasureMode": mode,
                "GPSDateTime": f"2019:11:18 23:45:{second}",
                "GPSHPositioningError": dop,
                "GPSLatitude": latitude,
                "GPSLongitude": longitude,
                "GPSAltitude": -23.044,
                "GPSSpeed3D": 1.26,
            }.items()
        },
    }
]
START = datetime(2019, 11, 18, 23, 45, 15, 463_000, UTC).timestamp()


def written(path: Path, content: object) -> Path:
    """Write JSON, or text as it is."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_json_gives_fixes_on_the_videos_clock_and_drops_the_bad_ones(tmp_path: Path) -> None:
    fixes = read_positions(written(tmp_path / "a.json", GOPRO))
    assert fixes.latitude_deg.tolist() == [33.12677, 33.126761, 33.1267516]
    assert fixes.longitude_deg.tolist() == [-117.3273436, -117.3273371, -117.3273295]
    assert fixes.dropped == {"DOP above 8": 1, "no fix": 1}
    assert fixes.elevation_m[0] == -23.044
    assert fixes.names == ()
    # Offsets of the sound packets are 14.000, 15.469, 15.458 and 15.467 s; their median is the clock's start.
    assert fixes.starts == {"GX010001.MP4": pytest.approx(START, abs=1e-3)}
    assert fixes.time_s - START == pytest.approx([0, 1.001, 2.002], abs=1e-3)


def test_wide_csv_with_degrees_as_text_says_the_same(tmp_path: Path) -> None:
    tags = {
        "SourceFile": "drive.mp4",
        "Doc1:GPSDateTime": "2024:05:01 03:00:00Z", "Doc1:GPSLatitude": "13 deg 45' 36.00\" S",
        "Doc1:GPSLongitude": "100 deg 30' 0.00\" E", "Doc1:GPSAltitude": "12.5 m Above Sea Level",
        "Doc1:GPSMeasureMode": "3-Dimensional Measurement", "Doc1:GPSDOP": "1.1",
        "Doc2:GPSDateTime": "2024:05:01 10:00:01+07:00", "Doc2:GPSLatitude": "13 deg 45' 36.36\" S",
        "Doc2:GPSLongitude": "100 deg 30' 0.00\" E", "Doc2:GPSAltitude": "-", "Doc2:GPSMeasureMode": "-",
        "Doc2:GPSDOP": "-",
    }  # fmt: skip
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (tags, tags.values())]
    fixes = read_positions(written(tmp_path / "a.csv", "\n".join(quoted)))
    assert fixes.latitude_deg == pytest.approx([-13.76, -13.7601])
    assert fixes.longitude_deg.tolist() == [100.5, 100.5]
    assert fixes.time_s.tolist() == [datetime(2024, 5, 1, 3, 0, second, tzinfo=UTC).timestamp() for second in (0, 1)]
    assert (fixes.elevation_m[0], fixes.dop[0]) == (12.5, 1.1)
    assert fixes.fix_type.tolist() == [3, -1]
    assert fixes.starts == {}


def test_images_give_positions_by_file_name_and_signs_come_from_the_hemisphere(tmp_path: Path) -> None:
    files = [
        {"SourceFile": f"stills/{n}.jpg", "GPS:GPSLatitude": 13.75 + n / 1e4, "GPS:GPSLatitudeRef": "S",
         "GPS:GPSLongitude": 100.5, "GPS:GPSLongitudeRef": "E", "GPS:GPSStatus": "V" if n == 2 else "A"}
        for n in range(3)
    ]  # fmt: skip
    fixes = read_positions(written(tmp_path / "a.json", [*files, {"SourceFile": "stills/none.jpg"}]))
    assert fixes.names == ("0.jpg", "1.jpg")
    assert fixes.latitude_deg == pytest.approx([-13.75, -13.7501])
    assert fixes.dropped == {"no fix": 1}


def test_lines_of_p_need_no_header_where_they_tell_the_columns(tmp_path: Path) -> None:
    line = "2019:11:18 23:45:{}.000,33 deg 7' {}\" N,117 deg 19' 38.41\" W,-23.044 m\n"
    fixes = read_positions(written(tmp_path / "a.csv", line.format(14, 36.34) + line.format(15, 36.31)))
    assert fixes.latitude_deg == pytest.approx([33 + 7 / 60 + 36.34 / 3600, 33 + 7 / 60 + 36.31 / 3600])
    assert fixes.longitude_deg[0] == pytest.approx(-(117 + 19 / 60 + 38.41 / 3600))
    assert fixes.time_s[1] - fixes.time_s[0] == 1.0


def test_numbers_of_p_need_a_header(tmp_path: Path) -> None:
    fixes_seen = ["14,33.1,-117.3,3,2", "15,33.2,-117.3,1,2", "16,33.3,-117.3,3,2"]
    lines = "".join(f"2019:11:18 23:45:{line}\n" for line in fixes_seen)
    with pytest.raises(DataError, match="expected a first line with columns longitude and latitude"):
        read_positions(written(tmp_path / "n.csv", lines))
    header = "GPSDateTime,GPSLatitude,GPSLongitude,GPSMeasureMode,GPSDOP\n"
    fixes = read_positions(written(tmp_path / "a.csv", header + lines))
    assert fixes.latitude_deg.tolist() == [33.1, 33.3]
    assert fixes.dropped == {"no fix": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ({"type": "FeatureCollection"}, "expected what exiftool -ee -G3 -j -n prints"),
        ([{"SourceFile": "a.mp4", "GPSLatitude": 13.0, "GPSLongitude": 100.0}], "with -ee and -G3"),
        ([{"SourceFile": "a.mp4", "Doc1:GPSLatitude": "north", "Doc1:GPSLongitude": 1}], "a.mp4: could not convert"),
    ],
)
def test_what_is_something_else_is_named(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_positions(written(tmp_path / "a.json", content))


def test_degrees_and_fix_types_in_every_spelling() -> None:
    assert degrees("13 deg 45' 36.00\" N") == pytest.approx(13.76)
    assert degrees("100.5 deg W") == -100.5
    assert degrees("-0.25") == -0.25
    assert [fix_type(text) for text in ("3D", "2-Dimensional Measurement", 3, "Unknown (0)", "none", "")] == [
        3, 2, 3, 0, 0, -1,
    ]  # fmt: skip
