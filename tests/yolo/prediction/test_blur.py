"""Faces and plates are blurred with the user's weights before anything is stored, or nothing is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, RegYoloError, WeightsError
from reg_yolo.yolo.prediction import annotated as predict_pictures
from reg_yolo.yolo.prediction.blurring import BlurError, PrivateFinder, _split, blur_digest, open_finders
from tests.yolo.prediction.videos import write_video


@pytest.fixture(scope="module")
def pictures(even_rectangles: Path) -> list[np.ndarray]:
    """Six images with rectangles on noise, twice as large as the network's input."""
    files = sorted((even_rectangles.parent / "images/val").glob("*.png"))[:6]
    return [cv2.resize(cv2.imread(str(path)), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for path in files]


def detail(picture: np.ndarray, box: Any) -> float:
    """Return how much neighbouring pixels differ inside a box."""
    left, top, right, bottom = (round(float(value)) for value in box)
    part = picture[max(top, 0) : bottom, max(left, 0) : right].astype(float)
    return float(np.abs(np.diff(part, axis=1)).mean())


def test_only_the_named_classes_are_blurred(detector: Path, pictures: list[np.ndarray]) -> None:
    every, red, two = (
        open_finders([word], device="cpu")[0] for word in (detector, f"{detector}:red", f"{detector}:green")
    )
    boxes = [[box for picture in pictures for box in finder(picture)] for finder in (every, red, two)]
    assert 0 < len(boxes[1]) < len(boxes[0]) and 0 < len(boxes[2]) < len(boxes[0])
    # The same weights for two classes are opened once.
    (both,) = open_finders([f"{detector}:red", f"{detector}:green"], device="cpu")
    assert sum(len(both(picture)) for picture in pictures) > max(len(boxes[1]), len(boxes[2]))
    (listed,) = open_finders([f"{detector}:red,green"], device="cpu")
    assert [listed(picture) for picture in pictures] == [both(picture) for picture in pictures]
    assert listed.stated == both.stated == f"{detector.name}:red,green"
    assert every.stated == f"{detector.name}:{','.join(every._predictor.model.names.values())}"
    digests = [blur_digest([f"{detector}:{names}"]) for names in ("red,green", "green, red", "red")]
    assert digests[0] == digests[1] == blur_digest([f"{detector}:red", f"{detector}:green"]) != digests[2]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        (r"C:\nets\yolov8n.pt:person,car", (r"C:\nets\yolov8n.pt", "person,car")),
        (r"C:\nets\yolov8n.pt", (r"C:\nets\yolov8n.pt", None)),
        ("D:yolov8n.pt", ("D:yolov8n.pt", None)),
        ("D:yolov8n.pt:stop sign", ("D:yolov8n.pt", "stop sign")),
        ("/net:s/yolov8n.pt", ("/net:s/yolov8n.pt", None)),
    ],
)
def test_a_colon_of_a_drive_letter_names_no_class(word: str, parts: tuple[str, str | None]) -> None:
    assert _split(word) == parts


@pytest.mark.parametrize("kind", ["video", "image"])
def test_a_finder_that_fails_leaves_no_picture(
    kind: str, detector: Path, pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail_at_fourth(*_: Any) -> list[Any]:
        calls.append(1)
        if len(calls) == (4 if kind == "video" else 1):
            raise BlurError("faces.pt failed; nothing is stored without blurring")
        return []

    monkeypatch.setattr(PrivateFinder, "__call__", fail_at_fourth)
    if kind == "video":
        source = write_video(tmp_path / "road.mp4", pictures)
    else:
        source = tmp_path / "road.png"
        cv2.imwrite(str(source), pictures[0])
    with pytest.raises(BlurError, match="nothing is stored without blurring"):
        reg_yolo.predict(detector, source, device="cpu", out="found", blur=[detector])
    assert sorted(path.suffix for path in Path("found").iterdir()) == [".csv", ".jsonl"]
    assert not read_detections("found/detections.jsonl").is_complete or kind == "image"


def test_numbers_that_are_none_do_not_pass_for_no_faces(
    detector: Path, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    (finder,) = open_finders([detector], device="cpu")
    assert finder(pictures[0])
    monkeypatch.setattr(finder._predictor, "inference", lambda _: torch.full((1, 7, 336), torch.nan))
    with pytest.raises(BlurError, match="not finite; nothing is stored"):
        finder(pictures[0])

    def lose(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory\nat line 7")

    monkeypatch.setattr(finder._predictor, "inference", lose)
    with pytest.raises(BlurError, match=r"failed \(RuntimeError: out of memory\); nothing is stored"):
        finder(pictures[0])


def test_every_frame_passes_the_finder_before_it_is_drawn_on(
    detector: Path, pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def find(_: object, picture: np.ndarray) -> list[Any]:
        seen.append(picture.copy())
        return [(0.0, 0.0, 256.0, 192.0)]

    monkeypatch.setattr(predict_pictures, "find_all", find)
    summary = reg_yolo.predict(detector, write_video(tmp_path / "a.mp4", pictures), device="cpu", conf=1.0)
    capture, stored = cv2.VideoCapture(str(summary.annotated[0])), []
    while (frame := capture.read())[0]:
        stored.append(frame[1])
    assert len(seen) == len(stored) == 6
    for before, after in zip(seen, stored, strict=True):
        assert detail(after, (0, 0, 256, 192)) < 0.2 * detail(before, (0, 0, 256, 192))


@pytest.mark.parametrize("word", ["{weights}:rad", "{weights}:green,rad", "nowhere.pt", "nowhere.pt:face"])
def test_wrong_weights_or_classes_store_nothing(word: str, detector: Path, pictures: list[np.ndarray]) -> None:
    cv2.imwrite("road.png", pictures[0])
    with pytest.raises(RegYoloError) as caught:
        reg_yolo.predict(detector, "road.png", device="cpu", blur=[word.format(weights=detector)])
    if "rad" in word:
        assert isinstance(caught.value, ConfigError) and "Did you mean red?" in str(caught.value)
        assert "has no class 'rad', only red, " in str(caught.value) and "\n" not in str(caught.value)
    else:
        assert isinstance(caught.value, WeightsError) and "nowhere.pt: no such file" in str(caught.value)
    assert not Path("runs").exists()


def test_nothing_of_a_cameras_metadata_is_copied(detector: Path, pictures: list[np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "Dashcam of J. Doe", "2025:06:02 08:15:30"
    exif.get_ifd(0x8825)[2] = (13.0, 45.0, 1.0)
    Image.fromarray(pictures[0][..., ::-1]).save("road.jpg", exif=exif)
    assert b"J. Doe" in Path("road.jpg").read_bytes()
    summary = reg_yolo.predict(detector, "road.jpg", device="cpu", out="found")
    stored = summary.annotated[0]
    assert b"J. Doe" not in stored.read_bytes() and not dict(Image.open(stored).getexif())
