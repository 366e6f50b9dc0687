"""Thumbnails: the right frame, nothing private, and a word for every source that is missing."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import DetectionsWriter, read_detections
from reg_yolo.errors import ConfigError, MediaError, RegYoloError
from reg_yolo.inventory import command
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.drive.looks import MediaFacts, read_drive
from reg_yolo.inventory.observations import View
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.report.page import write_report
from reg_yolo.inventory.thumbnails import frames
from reg_yolo.inventory.thumbnails.cutting import LONGEST_PX, Picture, cut_out
from reg_yolo.inventory.thumbnails.finding import SourceFiles
from reg_yolo.inventory.thumbnails.making import ThumbnailOptions, check_thumbnails, make_thumbnails, said
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.picking import FramePlace, pick_frames, read_picture
from reg_yolo.video.privacy import release
from reg_yolo.video.writer import encode_jpeg
from tests.browser import needs_chromium, page_of
from tests.inventory.samples import sample_inventory
from tests.inventory.simulated import build_of
from tests.video.clips import write_clip

SIZE = (640, 384)
SKIN = np.array([120, 160, 220])
"""Blue, green, red of the planted face."""


@pytest.fixture(scope="module")
def filmed(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the drive's folder with filmed.jsonl, the same detections made from a video."""
    clip = tmp_path_factory.mktemp("card") / "drive.mp4"
    reader = read_detections(drive / "detections.jsonl")
    frames = list(reader)
    write_clip(clip, len(frames), times=[frame.time_s or 0.0 for frame in frames], size=SIZE)
    header = replace(reader.header, source=str(clip), frame_count=len(frames))
    with DetectionsWriter(drive / "filmed.jsonl", header) as writer:
        for frame in frames:
            writer.write(replace(frame, source=str(clip)))
    return drive


def clip_of(filmed: Path) -> Path:
    """Return the video of the detections."""
    return Path(read_detections(filmed / "filmed.jsonl").header.source)


def seen_in(view: View, number: int = 0) -> Asset:
    """Return an asset with a best frame."""
    asset = sample_inventory().assets[0]
    asset.asset_id, asset.view = f"ป้าย/{number}-0a1b2c3d", view
    return asset


def test_every_asset_gets_a_crop_of_its_best_frame(filmed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "thumbnails").mkdir(parents=True)
    (out / "thumbnails" / "gone-12345678.jpg").write_bytes(b"an earlier build's")
    assert build_of(filmed, out, "--thumbnails", detections="filmed.jsonl") == 0
    rows = [one["properties"] for one in json.loads((out / "inventory.geojson").read_text("utf-8"))["features"]]
    pictures = {item.index: item.picture for item in read_frames(clip_of(filmed)) if isinstance(item, VideoFrame)}
    boxes = {
        (record["asset_id"], one["frame"]): one["xyxy"]
        for record in map(json.loads, (out / "observations.jsonl").read_text("utf-8").splitlines()[1:])
        for one in record["observations"]
    }
    assert len(rows) == 8
    for row in rows:
        picture = pictures[row["best_frame"]]
        assert picture is not None
        crop = cut_out(release(picture), boxes[row["asset_id"], row["best_frame"]])
        assert max(crop.pixels.shape[:2]) <= LONGEST_PX
        assert (out / row["thumbnail"]).read_bytes() == encode_jpeg(crop)
    stored = {f"thumbnails/{path.name}" for path in (out / "thumbnails").iterdir()}
    assert stored == {row["thumbnail"] for row in rows}
    table = list(csv.DictReader((out / "inventory.csv").read_text("utf-8-sig").splitlines()))
    assert {row["thumbnail"] for row in table} == stored
    with sqlite3.connect(out / "inventory.gpkg") as connection:
        layers = [connection.execute(f"SELECT thumbnail FROM {name}").fetchall() for name in ("points", "lines")]
        style = connection.execute("SELECT styleQML FROM layer_styles WHERE f_table_name = 'points'").fetchone()[0]
    assert {path for rows in layers for (path,) in rows} == stored
    field = ElementTree.fromstring(style).find("fieldConfiguration/field")
    assert field is not None and field.get("name") == "thumbnail"
    widget = field.find("editWidget")
    assert widget is not None and widget.get("type") == "ExternalResource"
    settings = {option.get("name"): option.get("value") for option in widget.iter("Option")}
    assert settings["expression"] == "file_path(layer_property(@layer_id, 'path'))"
    assert (settings["DocumentViewer"], settings["RelativeStorage"]) == ("1", "2")


def test_sources_that_are_missing_or_others_are_named_and_the_inventory_is_written(
    filmed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    records = [json.loads(line) for line in (filmed / "filmed.jsonl").read_text().splitlines()]
    for record in records:
        record["source"] = "/nowhere/drive.mp4"
    (tmp_path / "lost.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    more = ["--thumbnails", "--sources", str(tmp_path / "empty")]
    assert build_of(filmed, tmp_path / "out", *more, detections=str(tmp_path / "lost.jsonl")) == 3
    captured = capsys.readouterr()
    assert "thumbnails: /nowhere/drive.mp4 is not there (8 assets)" in captured.out
    assert "0 of 8 assets have a thumbnail" in captured.out
    assert json.loads((tmp_path / "out" / "inventory.geojson").read_text("utf-8"))["features"]
    assert list((tmp_path / "out" / "thumbnails").iterdir()) == []
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "0 of 8 assets have a thumbnail" in page
    assert "8 assets without a thumbnail" in page


def made(folder: Path, assets: list[Asset], media: MediaFacts | None = None, **options: object) -> list[str]:
    """Make thumbnails and return what is said."""
    folder.mkdir()
    chosen = ThumbnailOptions(**options)  # type: ignore[arg-type]
    return said(make_thumbnails(folder, assets, media or MediaFacts(), chosen), len(assets))


def test_another_recording_under_the_same_name_is_not_taken(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 30)
    view = View(str(clip), 10, 10, 0.4, (20.0, 20.0, 60.0, 60.0), (160, 96))
    assert made(tmp_path / "0", [seen_in(view)], MediaFacts({str(clip): 30})) == ["1 of 1 assets have a thumbnail"]
    other = made(tmp_path / "1", [seen_in(view)], MediaFacts({str(clip): 31}))
    assert other[0] == f"thumbnails: {clip} has 30 frames, the detections are of a video of 31 (1 assets)"
    larger = made(tmp_path / "2", [seen_in(replace(view, size=(320, 192)))])
    assert larger[0] == f"thumbnails: {clip} has frames of 160x96, the detections are of 320x192 (1 assets)"
    late = made(tmp_path / "3", [seen_in(replace(view, file_time_s=0.413)), seen_in(view, 1)])
    assert late[0] == f"thumbnails: {clip} has not the frames of the detections (1 assets)"
    assert late[1] == "1 of 2 assets have a thumbnail"


@pytest.mark.parametrize("damaged", [False, True])
def test_nothing_is_sought_in_a_file_with_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    clip = write_clip(tmp_path / "a.mp4", 30)
    view = View(str(clip), 10, 10, 0.4, (20.0, 20.0, 60.0, 60.0), (160, 96))
    asked = []

    def picked(path: Path, places: list[FramePlace], *, seek: bool) -> Iterator[tuple[FramePlace, Picture]]:
        asked.append(seek)
        yield from pick_frames(path, places, seek=seek)

    monkeypatch.setattr(frames, "pick_frames", picked)
    made(tmp_path / "out", [seen_in(view)], MediaFacts(disturbed={str(clip)} if damaged else set()))
    assert asked == [not damaged]


def test_moved_sources_are_found_by_the_ends_of_their_names(tmp_path: Path) -> None:
    for card, value in (("card1", 50), ("card2", 200)):
        (tmp_path / "now" / card).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "now" / card / "0001.png"), np.full((96, 160, 3), value, np.uint8))
    views = [View(rf"D:\old\{card}\0001.png", 0, 0, None, (20.0, 20.0, 60.0, 60.0), (160, 96)) for card in
             ("card1", "card2", "card3")]  # fmt: skip
    assets = [seen_in(view, number) for number, view in enumerate(views)]
    lines = made(tmp_path / "out", assets, folders=(tmp_path / "now",))
    assert len(lines) == 2 and lines[1] == "2 of 3 assets have a thumbnail"
    assert lines[0].startswith(r"thumbnails: D:\old\card3\0001.png: ")
    assert lines[0].endswith("may both be meant (1 assets)")
    values = [cv2.imread(str(tmp_path / "out" / Path(asset.values["thumbnail"]).name)) for asset in assets[:2]]
    assert [round(float(picture.mean())) for picture in values] == [50, 200]
    # A class may be called anything; a file not.
    assert assets[0].values["thumbnail"] == "thumbnails/ป้าย_0-0a1b2c3d.jpg"


def test_folders_that_hold_each_other_and_links_that_lead_back(tmp_path: Path) -> None:
    inner = tmp_path / "card" / "day"
    inner.mkdir(parents=True)
    cv2.imwrite(str(inner / "0001.png"), np.zeros((96, 160, 3), np.uint8))
    (inner / "back").symlink_to(tmp_path / "card", target_is_directory=True)
    files = SourceFiles([tmp_path / "card", inner, tmp_path / "card"])
    assert files.find("/old/0001.png") == inner / "0001.png"
    with pytest.raises(MediaError, match="is not there"):
        files.find("x" * 5000)


def test_frames_of_a_chapter_are_those_of_its_own_file(tmp_path: Path, drive: Path) -> None:
    clips = [write_clip(tmp_path / f"{name}.mp4", 20, first=first) for name, first in (("a", 0), ("b", 5))]
    header = replace(read_detections(drive / "detections.jsonl").header, frame_count=None)
    with DetectionsWriter(tmp_path / "drive.jsonl", header) as writer:
        for number, clip in enumerate(clips):
            writer.write_event(Chapter(clip, 20 * number, 0.8 * number))
            for index in range(20 * number, 20 * number + 20):
                writer.write(FrameDetections(str(clip), index, round(index * 0.04, 6), 160, 96))
    looks = read_drive([tmp_path / "drive.jsonl"])
    assert looks.file_frame.tolist() == [*range(20)] * 2
    assert looks.file_time_s[20:].tolist() == pytest.approx([n * 0.04 for n in range(20)])
    assert (looks.media.frame_counts, looks.media.chapters) == ({}, {str(clips[0]): 0, str(clips[1]): 20})
    view = View(str(clips[1]), 27, int(looks.file_frame[27]), float(looks.file_time_s[27]), (0, 0, 40, 96), (160, 96))
    made(tmp_path / "out", [asset := seen_in(view)])
    # The left of each frame tells its number.
    crop = cv2.imread(str(tmp_path / asset.values["thumbnail"].replace("thumbnails", "out")))
    assert round((float(crop[8:-8, 4:32].mean()) - 20) / 10) == 5 + 7


def planted(folder: Path) -> tuple[list[Asset], list[tuple[int, int, int, int]]]:
    """Write frames that show faces in, next to and half beside assets; return the assets, and the faces' boxes."""
    rng = np.random.default_rng(1)
    faces = [(100, 60, 148, 108), (300, 60, 348, 108), (500, 200, 548, 248)]
    assets = []
    for number in range(2):
        picture = rng.integers(90, 110, (384, 640, 3)).astype(np.uint8)
        for x1, y1, x2, y2 in faces:
            picture[y1:y2, x1:x2] = SKIN
            picture[y1:y2:4, x1:x2] = picture[y1 + 1 : y2 : 4, x1:x2] = 20
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        # Around a whole face, at the edge of one, and half in the margin of the crop only.
        for box in ((60, 40, 200, 200), (324, 40, 420, 200), (420, 180, 498, 260)):
            view = View(str(folder / f"{number}.png"), 0, 0, None, tuple(map(float, box)), SIZE)
            assets.append(seen_in(view, len(assets)))
    return assets, faces


def stored_images(folder: Path) -> Iterator[tuple[str, Picture]]:
    """Yield every image in a folder, those in pages included."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix in (".html", ".css"):
            for number, found in enumerate(
                re.findall(r"data:image/[\w+.-]+;base64,([\w+/=]+)", path.read_text("utf-8"))
            ):
                picture = cv2.imdecode(np.frombuffer(base64.b64decode(found), np.uint8), cv2.IMREAD_COLOR)
                if picture is not None:
                    yield f"{path.name} {number}", np.asarray(picture, np.uint8)
        elif path.suffix in (".jpg", ".jpeg", ".png"):
            yield path.name, read_picture(path)


def with_a_face(folder: Path) -> list[str]:
    """Return names of the images in which the stripes of a planted face are to be seen."""
    return [
        name
        for name, picture in stored_images(folder)
        if (np.abs(picture.astype(int) - SKIN).max(axis=2) < 45).sum() >= 30
    ]


def test_no_stored_image_shows_a_face(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    assets, faces = planted(tmp_path / "sources")
    found: list[int] = []

    def private(picture: Picture) -> list[tuple[int, int, int, int]]:
        found.append(picture.shape[0])
        return faces

    for name, finder in (("plain", None), ("blurred", private)):
        inventory = replace(sample_inventory(), assets=assets)
        (tmp_path / name).mkdir()
        made(tmp_path / name / "thumbnails", assets, private=finder)
        write_report(tmp_path / name / "report.html", inventory)
        assert sum(1 for _ in stored_images(tmp_path / name / "thumbnails")) == len(assets)
    # The check sees the faces where nobody blurs, in a page as well.
    assert len(with_a_face(tmp_path / "plain")) == len(assets)
    crop = base64.b64encode((tmp_path / "plain" / assets[0].values["thumbnail"]).read_bytes()).decode()
    (tmp_path / "sources" / "page.html").write_text(f'<img src="data:image/jpeg;base64,{crop}">')
    assert "page.html 0" in with_a_face(tmp_path / "sources")
    assert with_a_face(tmp_path / "blurred") == []
    # Each frame was looked at once, whole.
    assert found == [384, 384]


def test_nothing_of_a_frame_is_stored_that_nobody_could_search_for_faces(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    assets, _ = planted(tmp_path / "sources")

    def private(_picture: Picture) -> list[tuple[int, int, int, int]]:
        raise RegYoloError("face.pt failed; nothing is stored without blurring")

    lines = made(tmp_path / "out", assets, private=private)
    assert lines == [
        "thumbnails: face.pt failed; nothing is stored without blurring (3 assets)",
        "thumbnails: face.pt failed; nothing is stored without blurring (3 assets)",
        "0 of 6 assets have a thumbnail",
    ]
    assert list((tmp_path / "out").iterdir()) == []


def test_detections_whose_images_were_blurred_need_the_weights(
    filmed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *rest = (filmed / "filmed.jsonl").read_text().splitlines()
    blurred = tmp_path / "blurred.jsonl"
    blurred.write_text("\n".join([json.dumps(json.loads(head) | {"blur": ["face.pt"]}), *rest]) + "\n")
    for words, message in (
        (
            ["--thumbnails"],
            "was made with --blur face.pt, and thumbnails are cut from the sources; give --blur face.pt",
        ),
        (["--thumbnails", "--sources", "nowhere"], "--sources: nowhere is not a folder"),
        (["--sources", "."], "--sources: is for --thumbnails"),
        (["--blur", "face.pt"], "--blur: is for --thumbnails"),
    ):
        assert build_of(filmed, tmp_path / "out", *words, detections=str(blurred)) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    blurred.write_text("\n".join([json.dumps(json.loads(head) | {"blur": ["face.pt:face,plate"]}), *rest]) + "\n")
    for given in (("face.pt:face",), ("other.pt:face,plate",), ()):
        with pytest.raises(ConfigError, match=r"give --blur face\.pt:face,plate here as well"):
            check_thumbnails(ThumbnailOptions(blurred_by=given), [blurred])
    check_thumbnails(ThumbnailOptions(blurred_by=("face.pt:eye,face,plate",)), [blurred])


def test_crops_of_an_earlier_build_are_not_left_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "build_inventory", lambda *_: sample_inventory())
    said_of: list[list[str]] = []
    killed = tmp_path / ".thumbnails.0a1b2c3d"
    killed.mkdir()
    for _ in range(2):
        said_of.append([])
        command.build_into(BuildOptions((), ()), tmp_path, say=said_of[-1].append)
        (tmp_path / "thumbnails").mkdir(exist_ok=True)
    line = f"{tmp_path / 'thumbnails'} is of an earlier build and stays; nothing refers to it any more"
    assert [line in lines for lines in said_of] == [False, True] and not killed.exists()


@needs_chromium
def test_a_browser_shows_the_thumbnails(tmp_path: Path) -> None:
    inventory = sample_inventory()
    (tmp_path / "thumbnails").mkdir()
    cv2.imwrite(str(tmp_path / "thumbnails" / "a.jpg"), np.full((200, 100, 3), 90, np.uint8))
    # Letters of an address that would end or change it.
    name = "ป้าย %23 'a&b.jpg"
    shutil.copy(tmp_path / "thumbnails" / "a.jpg", tmp_path / "thumbnails" / name)
    inventory.assets[1].values["thumbnail"] = f"thumbnails/{name}"
    write_report(tmp_path / "report.html", inventory)
    with page_of(tmp_path / "report.html") as page:
        assert page.locator("#table td img").count() == 1
        page.locator("#table td img").click()
        page.wait_for_function("document.querySelector('.leaflet-popup-content img')?.naturalWidth === 100")
        assert "thumbnail" not in page.inner_text(".leaflet-popup-content")
        assert page.evaluate("document.querySelector('#table td img').naturalHeight") == 200
