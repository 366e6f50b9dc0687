"""Which split a path speaks of: train, val or test."""

from __future__ import annotations

import re

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_BESIDE_SPLITS = {"image", "images", "img", "imgs", "pictures", "label", "labels", "annotations", "data", "set", "coco"}


def split_of(folders: str, stem: str = "") -> str | None:
    """Tell the split that a path speaks of, or None.

    Args:
        folders: A path of folders, or the name of a subset; the last that names a split wins. Nothing but the split
            and words such as `images` may stand in it: `train2017` and `images_val` name one, `test drive 3` none.
        stem: Name of an annotation file, without suffix, in which any words may stand: `instances_val2017`.
    """
    for number, part in enumerate([stem, *reversed(re.split(r"[/\\]", folders))]):
        words = [word for word in re.split(r"[\W\d_]+", part.lower()) if word]
        found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
        if len(found) == 1 and (number == 0 or all(word in _SPLIT_WORDS or word in _BESIDE_SPLITS for word in words)):
            return found.pop()
    return None
