"""What preflight says of a card: each fault planted, and a clean card."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reg_yolo.inventory.route.axis import read_routes
from reg_yolo.survey.drives import read_card
from reg_yolo.survey.forecast import NetworkSpeed, forecast_items
from reg_yolo.survey.items import Item
from reg_yolo.survey.preflight import Preflight, Stated, look_at, read_preflight, write_preflight
from tests.survey.cards import LATITUDE, START, longitude, stamp, textured, write_drive_folder, write_track, write_video


def look(card: Path, **stated: Any) -> Preflight:
    """Look at a card."""
    options = {"gnss": {}, "starts": {}, "cameras": {}, **stated}
    out = card.parent / "out"
    return look_at(read_card(card, out), Stated(**options), out)


def item_of(found: Preflight, name: str, drive: str = "ขาไป") -> Item:
    """Return the one item of a name."""
    [item] = [one for one in found.items if one.name == name and one.drive in (drive, "")]
    return item


def test_a_clean_card_has_no_problem_and_survives_its_file(card: Path, tmp_path: Path) -> None:
    write_drive_folder(card / "ขาไป")
    found = look(card)
    assert [item.line for item in found.items if item.verdict == "problem"] == []
    assert [item.name for item in found.items if item.verdict == "warning"] == ["camera"]
    positions = item_of(found, "positions")
    assert positions.values["km"] == pytest.approx(0.2, abs=0.001) and positions.values["kmh"] == pytest.approx(
        72, abs=0.2
    )
    assert item_of(found, "clock").values["without_position_s"] == 0
    hours = item_of(found, "hours")
    assert hours.values["frames"] == 10 and hours.text.startswith("forecast at least ")
    write_preflight(tmp_path / "preflight.json", found, read_card(card, card / "out"))
    again = read_preflight(tmp_path / "preflight.json")
    assert [item.line for item in again.items] == [item.line for item in found.items]
    assert again.positions == {"ขาไป": (card / "ขาไป/track.gpx",)}
    assert json.loads((tmp_path / "preflight.json").read_text("utf-8"))["problems"] == 0


def test_without_positions_the_drive_is_blocked(card: Path) -> None:
    write_drive_folder(card / "ขาไป")
    (card / "ขาไป/track.gpx").unlink()
    found = look(card)
    assert item_of(found, "positions").verdict == "problem" and "--gnss" in item_of(found, "positions").advice
    assert list(found.blocked) == ["ขาไป"]


def test_positions_named_as_another_drive_are_not_taken(card: Path) -> None:
    folder, later = card / "ขาไป", START + timedelta(hours=2)
    for start in (START, later):
        write_video(folder / f"{stamp(start)}.mp4", textured(10, (64, 96)))
    write_track(folder / f"{stamp(later)}.gpx", 10, later)
    for first, name in ((START, f"ขาไป/{stamp()}"), (later, f"ขาไป/{stamp(later)}")):
        found = look(card)
        assert found.positions == {f"ขาไป/{stamp(later)}": (folder / f"{stamp(later)}.gpx",)}
        if first is START:
            item = item_of(found, "positions", name)
            assert item.blocks and item.text == f"none: {stamp(later)}.gpx is named as another drive"
            assert item.advice.startswith(f"copy {stamp()}.gpx next to the video")
        else:
            assert name not in found.blocked
    (folder / f"{stamp(later)}.gpx").rename(card / "log.gpx")
    item = item_of(look(card), "positions", f"ขาไป/{stamp()}")
    assert "1 file of positions on the card, none of its time, which began 2024-05-01T03:00:00Z" in item.text


def test_no_offset_is_advised_for_positions_next_to_several_drives(card: Path) -> None:
    folder, later = card / "ขาไป", START + timedelta(hours=2)
    for start in (START, later):
        write_video(folder / f"{stamp(start)}.mp4", textured(10, (64, 96)))
    write_track(folder / "log.gpx", 10, later)
    item = item_of(look(card), "clock", f"ขาไป/{stamp()}")
    assert item.blocks and "offset" not in item.line and "offset_s" not in item.values
    assert "(2024-05-01T05:00:00Z to 2024-05-01T05:00:10Z), which may be of another drive; give" in item.line
    for path in folder.glob("*.mp4"):
        path.rename(folder / f"{'ab'[path.stem == stamp()]}.mp4")
    item = item_of(look(card), "clock", "ขาไป/a")
    assert item.advice == "state it with --start 'ขาไป/a=TIME', a time between these"


def test_positions_elsewhere_on_the_card_need_a_time_to_choose_by(card: Path) -> None:
    write_video(card / "ขาไป/clip.mp4", textured(10, (64, 96)))
    for hour in (0, 1):
        write_track(card / f"log_{hour}.gpx", 10, START + timedelta(hours=hour))
    item = item_of(look(card), "positions")
    assert item.text == "none: 2 files of positions on the card, and no time to choose by"
    assert item.advice == "give --start 'ขาไป=TIME', or name the file with --gnss"
    assert look(card, starts={"ขาไป": "2024-05-01T04:00:00Z"}).positions == {"ขาไป": (card / "log_1.gpx",)}


def test_results_on_the_card_are_warned_of(card: Path) -> None:
    write_drive_folder(card / "ขาไป", textured(10, (64, 96)))
    nothing: dict[str, Any] = {"gnss": {}, "starts": {}, "cameras": {}}
    found = look_at(read_card(card, card / "out"), Stated(**nothing), card / "out")
    [item] = [one for one in found.items if one.name == "folder"]
    assert item.verdict == "warning" and "this writes to the card; name a folder elsewhere with --out" in item.line


def test_damaged_positions_are_named(card: Path) -> None:
    write_drive_folder(card / "ขาไป")
    (card / "ขาไป/track.gpx").write_text("<gpx><trk>", encoding="utf-8")
    assert "is not a GPX track" in item_of(look(card), "positions").text


@pytest.mark.parametrize(
    ("track", "verdict", "words"),
    [
        ({"speed_mps": 0.01}, "problem", "do not move"),
        ({"speed_mps": 90.0}, "warning", "jumps faster than 216 km/h"),
        ({"dop": 9.0}, "problem", "fewer than two usable positions (11 DOP above 8)"),
    ],
)
def test_positions_that_are_of_no_use(card: Path, track: dict[str, float], verdict: str, words: str) -> None:
    write_drive_folder(card / "ขาไป")
    write_track(card / "ขาไป/track.gpx", **track)  # type: ignore[arg-type]
    item = item_of(look(card), "positions")
    assert item.verdict == verdict and words in item.text


def test_a_clock_in_another_time_zone_is_named_with_its_offset(card: Path) -> None:
    write_drive_folder(card / "ขาไป", start=START + timedelta(hours=7))
    write_track(card / "ขาไป/track.gpx")
    item = item_of(look(card), "clock")
    assert item.verdict == "problem" and item.blocks and "which is -7 h" in item.text
    assert item.values["offset_s"] == -7 * 3600
    assert item_of(look(card, time_base="local+07:00"), "clock").verdict == "ok"


def test_a_video_that_nothing_dates_needs_a_start(card: Path) -> None:
    write_drive_folder(card / "ขาไป", start=START + timedelta(minutes=20)).rename(card / "ขาไป/clip.mp4")
    item = item_of(look(card), "clock")
    assert item.blocks and item.text == (
        "nothing tells when it started; its positions run from 2024-05-01T03:20:00Z to 2024-05-01T03:20:10Z"
    )
    assert item.advice == "state it, such as --start 'ขาไป=2024-05-01T03:20:00Z' if it began with them"
    assert item_of(look(card, starts={"ขาไป": "2024-05-01T03:20:00Z"}), "clock").verdict == "ok"


def test_a_hole_in_the_positions_is_counted(card: Path) -> None:
    write_drive_folder(card / "ขาไป", textured(20))
    write_track(card / "ขาไป/track.gpx", 20, without=range(5, 12))
    item = item_of(look(card), "clock")
    assert item.verdict == "warning" and item.values["without_position_s"] == pytest.approx(6, abs=1)


def test_missing_kilometres_of_the_route_are_named(card: Path, tmp_path: Path) -> None:
    write_drive_folder(card / "ขาไป")
    ends = [[longitude(metre), LATITUDE] for metre in range(0, 1001, 100)]
    axis = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": ends},
            "properties": {"route": "4", "start_chainage_m": 12_000}}  # fmt: skip
    route = tmp_path / "route.geojson"
    route.write_text(json.dumps({"type": "FeatureCollection", "features": [axis]}))
    item = item_of(look(card, routes=read_routes(route)), "route 4")
    # The track is 200 m long; what lies within 40 m of its end counts.
    assert item.verdict == "warning" and item.text == "0.75 of 1.00 km missing: 12+250 to 13+000"
    write_drive_folder(card / "ขากลับ")
    write_track(card / "ขากลับ/track.gpx", speed_mps=100.0)
    assert item_of(look(card, routes=read_routes(route)), "route 4").verdict == "ok"


def test_files_that_do_not_open_or_differ_in_size(card: Path) -> None:
    write_drive_folder(card / "ขาไป")
    (card / "broken").mkdir()
    (card / "broken/20240501_030000.mp4").write_bytes(b"no video")
    write_video(card / "two/20240501_030000.mp4", textured(5))
    write_video(card / "two/20240501_030005.mp4", textured(5, (96, 160)))
    found = look(card)
    assert item_of(found, "files", "broken").blocks and item_of(found, "images", "broken").blocks
    assert "frames of 160x96, 320x192" in item_of(found, "files", "two").text
    assert item_of(found, "files").verdict == "ok" and set(found.blocked) == {"broken", "two"}


def test_the_camera_file_must_be_of_these_frames(card: Path, tmp_path: Path) -> None:
    write_drive_folder(card / "ขาไป")
    for width, verdict in ((320, "ok"), (1920, "problem")):
        camera = tmp_path / "camera.yaml"
        camera.write_text(f"width: {width}\nheight: {width * 192 // 320}\n")
        assert item_of(look(card, cameras={"ขาไป": camera}), "camera").verdict == verdict


def test_positions_are_found_by_name_by_time_and_in_exif(card: Path) -> None:
    later = START + timedelta(minutes=10)
    for folder, start in (("a", START), ("b", later)):
        write_video(card / folder / f"{stamp(start)}.mp4", textured())
        write_track(card / "gps" / f"log_{folder}.gpx", 10, start)
    write_video(card / "c" / f"{stamp()}.mp4", textured())
    write_track(card / "c" / f"{stamp()}.gpx")
    write_track(card / "c" / "other.gpx", speed_mps=1.0)
    (card / "still").mkdir()
    for number in range(3):
        exif = Image.Exif()
        exif[34853] = {1: "N", 2: (13.0, 45.0, 0.0), 3: "E", 4: (100.0, 30.0, 2.0 * number)}
        Image.fromarray(textured(3)[number]).save(card / f"still/{number}.jpg", exif=exif)
    found = look(card)
    assert {name: [path.name for path in paths] for name, paths in found.positions.items()} == {
        "a": ["log_a.gpx"], "b": ["log_b.gpx"], "c": [f"{stamp()}.gpx"], "still": ["0.jpg", "1.jpg", "2.jpg"],
    }  # fmt: skip
    assert item_of(found, "clock", "still").text == "positions by file name for 3 of 3 images"
    assert found.blocked == {}


def test_forecasts_come_from_what_was_measured(card: Path) -> None:
    write_drive_folder(card / "ขาไป")
    drives = read_card(card, card / "out").drives
    hours, disk = forecast_items(drives, card, 100.0, NetworkSpeed(0.5, 2000.0, "cpu"), "2")
    assert hours.values["forecast_s"] == 2 and "of which 5 are looked at, 2.0 frames/s measured on cpu" in hours.text
    assert disk.values["needed_bytes"] == 5 * 2000 * 1.5 and disk.verdict == "ok"
    _, full = forecast_items(drives, card, 100.0, NetworkSpeed(0.5, 1e15, "cpu"), None)
    assert full.verdict == "problem"
