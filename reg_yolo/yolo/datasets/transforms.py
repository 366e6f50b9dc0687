"""Albumentations transforms on their way into upstream's data set, and the proof that they arrived.

Upstream logs a transform that it cannot build and trains without all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
from ultralytics.data.augment import Albumentations
from ultralytics.utils import LOGGER

from reg_yolo.config.schema import AlbumentationsSettings
from reg_yolo.data.augmentation import build_transforms
from reg_yolo.drawing.contact_sheet import contact_sheet
from reg_yolo.errors import RegYoloError

SHEET_FILE = "augmentation_transforms.jpg"
SHEET_SIZE = (320, 240)


def serialised_augmentations(settings: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the transforms as the dictionaries that upstream takes; None leaves upstream's own list as it is.

    With mode `extend`, upstream's list goes first; it is read from upstream, so that it stays the installed one.

    Raises:
        ConfigError: If a transform or an argument of it is unknown.
    """
    parsed = AlbumentationsSettings.from_mapping(settings)
    if parsed.is_stock:
        return None
    transforms = build_transforms(parsed)
    if parsed.mode == "extend":
        transforms = [*Albumentations(transforms=None).transform.transforms, *transforms]
    return [albumentations.to_dict(transform) for transform in transforms]


def active_transforms(dataset: Any) -> list[str]:
    """Return the names of the Albumentations transforms that a training data set really applies."""
    found: list[str] = []
    pending = [getattr(dataset, "transforms", None)]
    while pending:
        step = pending.pop()
        if isinstance(step, Albumentations):
            found += [type(transform).__name__ for transform in getattr(step.transform, "transforms", [])]
            continue
        inner = [*(getattr(step, "transforms", None) or []), getattr(step, "pre_transform", None)]
        pending += [item for item in inner if item is not None]
    return found


def prove_augmentations(dataset: Any, expected: Sequence[Mapping[str, Any]] | None) -> None:
    """Stop the run unless every requested transform is in the training pipeline.

    Raises:
        RegYoloError: With the transforms that are missing.
    """
    wanted = [type(albumentations.from_dict(dict(item))).__name__ for item in expected or []]
    active = active_transforms(dataset)
    # By count, since one kind may be asked for twice with different arguments.
    missing = list((Counter(wanted) - Counter(active)).elements())
    if missing:
        raise RegYoloError(
            f"albumentations: {', '.join(missing)} did not arrive in the training pipeline (active: "
            f"{', '.join(active) or 'none'}); this Ultralytics version builds them differently"
        )
    if wanted:
        LOGGER.info(f"Augmentations active: {', '.join(active)}")


def draw_transforms(dataset: Any, augmentations: Sequence[Mapping[str, Any]] | None, folder: Path) -> None:
    """Write a sheet on which each requested transform is forced once on a training image.

    Draws from images read anew, and with random states of its own, so that it does not change what is trained on.
    """
    if not augmentations:
        return
    files = list(dataset.im_files)
    tiles = []
    for number, item in enumerate(augmentations):
        image = cv2.imread(str(files[(number * 7919) % len(files)]))
        if image is None:
            continue
        forced = albumentations.from_dict(dict(item))
        forced.p = 1.0
        changed = albumentations.Compose([forced], seed=number)(image=cv2.resize(image, SHEET_SIZE))["image"]
        tiles.append((type(forced).__name__, np.ascontiguousarray(changed)))
    contact_sheet(tiles, folder / SHEET_FILE)
