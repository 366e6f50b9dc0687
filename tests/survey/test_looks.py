"""Faults planted into rendered images are seen, and sound images pass."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reg_yolo.survey.looks import constant_spots, measure_drive, reduced
from reg_yolo.survey.picture_checks import picture_items

Pictures = list[np.ndarray]


def verdicts(pictures: Pictures) -> dict[str, str]:
    """Return the verdict of each item that is not ok."""
    items = picture_items("d", measure_drive([reduced(picture) for picture in pictures]), [])
    return {item.name: item.verdict for item in items if item.verdict != "ok"}


def turned(pictures: Pictures, degrees: float) -> Pictures:
    """Return images of a camera that leans to the right by so much."""
    height, width = pictures[0].shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.3)
    return [cv2.warpAffine(picture, matrix, (width, height)) for picture in pictures]


def soiled(pictures: Pictures, x: float, y: float, radius: float, *, drop: bool) -> Pictures:
    """Return images with a spot of dirt, or a drop that blurs what lies behind it; measures are fractions."""
    height, width = pictures[0].shape[:2]
    mask = np.zeros((height, width), np.float32)
    cv2.circle(mask, (int(x * width), int(y * height)), int(radius * width), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), radius * width / 4)[..., None] * (1.0 if drop else 0.7)
    dirt = np.array((50.0, 60.0, 70.0))
    behind = [cv2.GaussianBlur(one, (0, 0), radius * width / 2) if drop else dirt for one in pictures]
    return [(one * (1 - mask) + mask * other).astype(np.uint8) for one, other in zip(pictures, behind, strict=True)]


def test_sound_images_pass(rendered: Pictures) -> None:
    assert verdicts(rendered) == {}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: [(one * 0.25).astype(np.uint8) for one in p], {"light": "problem"}),
        (lambda p: [cv2.GaussianBlur(one, (0, 0), 3) for one in p], {"focus": "problem"}),
        (lambda p: [cv2.rotate(one, cv2.ROTATE_180) for one in p], {"mount": "problem"}),
        (lambda p: turned(p, 16), {"mount": "problem"}),
        (lambda p: [p[0]] * len(p), {"movement": "problem"}),
    ],
    ids=["dark", "blurred", "upside down", "tilted", "frozen"],
)
def test_a_planted_fault_is_seen(
    rendered: Pictures, spoil: Callable[[Pictures], Pictures], expected: dict[str, str]
) -> None:
    found = verdicts(spoil(rendered))
    assert found.items() >= expected.items()


@pytest.mark.parametrize("degrees", [-14, -8, 8, 14])
def test_the_lean_of_the_horizon_is_measured(rendered: Pictures, degrees: int) -> None:
    upright = measure_drive(rendered).roll_deg
    assert measure_drive(turned(rendered, degrees)).roll_deg - upright == pytest.approx(degrees, abs=3)


def test_bright_sand_to_one_side_is_no_lean() -> None:
    picture = np.full((192, 320, 3), 70, np.uint8)
    picture[:96] = (230, 180, 120)
    picture[96:120, :110] = (130, 175, 195)  # in grey brighter than the sky
    picture[84:96, 210:] = 60
    assert "mount" not in verdicts([picture] * 2)
    for degrees in (-15, 15):
        assert "mount" in verdicts(turned([picture] * 2, degrees))


@pytest.mark.parametrize(("drop", "y"), [(True, 0.45), (False, 0.2)], ids=["drop", "dirt"])
def test_a_spot_that_stays_is_found_where_it_is(rendered: Pictures, drop: bool, y: float) -> None:
    grey = [cv2.cvtColor(one, cv2.COLOR_BGR2GRAY) for one in soiled(rendered, 0.3, y, 0.045, drop=drop)]
    spots = constant_spots(grey)
    assert any(abs(spot.x - 0.3) < 0.05 and abs(spot.y - y) < 0.07 for spot in spots), spots
    assert constant_spots(grey[:5]) == []


def test_few_images_or_no_horizon_are_not_judged() -> None:
    grey = [np.full((96, 160, 3), 120 + 10 * (n % 2), np.uint8) for n in range(4)]
    texts = {item.name: item.text for item in picture_items("d", measure_drive(grey), [])}
    assert texts["mount"].startswith("not judged") and texts["lens"].startswith("not judged: 4 images")
    [item] = picture_items("d", None, ["a.jpg is empty."])
    assert (item.verdict, item.blocks) == ("problem", True) and "a.jpg is empty." in item.text
