"""Preflight of a drive's images: light, focus, lens and mount; docs/survey.md says what the limits were tested on."""

from __future__ import annotations

import math

from reg_yolo.survey.items import Item
from reg_yolo.survey.looks import LEAST_IMAGES, DriveMeasures

DARK, VERY_DARK = 60.0, 40.0
"""Mean luminance of 255, median over the images."""
SOFT, BLURRED = 0.48, 0.58
"""Blur metric, median over the images: 0.25 to 0.28 on sharp rendered drives, 0.31 to 0.46 on real ones."""
LEANING_DEG, TILTED_DEG = 7.0, 11.0
UPSIDE_DOWN = -10.0
"""Grey levels by which the lower part is brighter than the upper one."""
CLEAR_HORIZON = 15.0
FROZEN = 0.7
"""Grey levels between images far apart: less is one image again and again."""


def picture_items(drive: str, measures: DriveMeasures | None, failed: list[str]) -> list[Item]:
    """Return what the images of a drive tell.

    Args:
        drive: Its name.
        measures: Of its images; None where none could be read.
        failed: Why images could not be read.
    """
    if measures is None:
        why = failed[0] if failed else "no image"
        return [Item(drive, "images", "problem", f"none can be read: {why}", "copy the card again", blocks=True)]
    items = [_light(drive, measures), _focus(drive, measures), _mount(drive, measures), _lens(drive, measures)]
    if measures.change < FROZEN:
        text = f"{measures.images} images from all of the drive hardly differ ({measures.change:.1f} grey levels)"
        items.append(Item(drive, "movement", "problem", text, "the camera was frozen, covered or standing"))
    return items


def _light(drive: str, found: DriveMeasures) -> Item:
    text, values = f"mean luminance {found.brightness:.0f} of 255", {"brightness": round(found.brightness, 1)}
    if found.brightness < VERY_DARK:
        return Item(drive, "light", "problem", text, "too dark; drive again by day", values=values)
    if found.brightness < DARK:
        return Item(drive, "light", "warning", text, "dark: expect to miss more", values=values)
    return Item(drive, "light", "ok", text, values=values)


def _focus(drive: str, found: DriveMeasures) -> Item:
    values = {"blur": round(found.blur, 3), "blurred_most": round(found.blurred_most, 3)}
    text = f"blur {found.blur:.2f} (0 sharp, 1 blurred)"
    if found.blur > BLURRED:
        return Item(drive, "focus", "problem", text, "clean and refocus the camera, and drive again", values=values)
    if found.blur > SOFT:
        return Item(drive, "focus", "warning", text, "soft: check focus and windscreen", values=values)
    return Item(drive, "focus", "ok", text, values=values)


def _mount(drive: str, found: DriveMeasures) -> Item:
    values = {
        "roll_deg": None if math.isnan(found.roll_deg) else found.roll_deg,
        "horizon_contrast": round(found.horizon_contrast, 1),
    }
    if found.brightness < VERY_DARK or abs(found.horizon_contrast) < CLEAR_HORIZON:
        return Item(drive, "mount", "ok", "not judged: no clear border of sky and road", values=values)
    if found.horizon_contrast < UPSIDE_DOWN and found.sky_contrast < UPSIDE_DOWN:
        text = f"brighter below than above by {-found.horizon_contrast:.0f} grey levels: upside down?"
        return Item(drive, "mount", "problem", text, "turn the camera, or the video by 180 degrees", values=values)
    text = f"horizon leans by {found.roll_deg:+.0f} degrees"
    if abs(found.roll_deg) > TILTED_DEG:
        return Item(drive, "mount", "problem", text, "level the camera, and drive again", values=values)
    if abs(found.roll_deg) > LEANING_DEG:
        return Item(
            drive, "mount", "warning", text, "level the camera, or state roll_deg in camera.yaml", values=values
        )
    return Item(drive, "mount", "ok", text, values=values)


def _lens(drive: str, found: DriveMeasures) -> Item:
    if found.images < LEAST_IMAGES:
        return Item(drive, "lens", "ok", f"not judged: {found.images} images, {LEAST_IMAGES} are needed")
    values = {"spots": [[round(spot.x, 3), round(spot.y, 3), round(spot.size, 3)] for spot in found.spots]}
    if not found.spots:
        return Item(drive, "lens", "ok", "nothing stays in place", values=values)
    largest = max(found.spots, key=lambda spot: spot.size)
    count = f"{len(found.spots)} spots stay" if len(found.spots) > 1 else "a spot stays"
    where = f"at {largest.x:.0%} of the width and {largest.y:.0%} of the height"
    text = f"{count} in all images, the largest {where}, {largest.size:.0%} of the width"
    return Item(drive, "lens", "warning", text, "clean lens and windscreen", values=values)
