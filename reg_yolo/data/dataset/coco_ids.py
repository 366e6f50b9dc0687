"""Ids of images in COCO files: whole numbers that follow from the name alone.

A conversion to COCO writes them into its instances, `val save_json=True` into its predictions, so that the two fit
together whenever each was made and whatever else is in the set. A stem of digits is the number itself, as Ultralytics
has it and COCO's own names want it; of any other, 48 bits of its BLAKE2 digest behind 2**52, which numbers as small as
JavaScript's take exactly.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ID_FILE = "image_ids.json"
_FIRST_DIGEST = 1 << 52


def image_id(stem: str, taken: Sequence[int] | set[int] = ()) -> int:
    """Return the id of an image.

    Args:
        stem: Its file name without suffix.
        taken: Ids of other images of the file: `1.jpg` and `0001.jpg` cannot both be 1.

    Example:
        >>> image_id("000000000139"), image_id("drive03_000123") > 2**52
        (139, True)
    """
    if stem.isascii() and stem.isdigit() and int(stem) < _FIRST_DIGEST and int(stem) not in taken:
        return int(stem)
    digest = hashlib.blake2b(unicodedata.normalize("NFC", stem).encode("utf-8", "surrogateescape"), digest_size=6)
    number = _FIRST_DIGEST | int.from_bytes(digest.digest(), "big")
    while number in taken:
        number += 1
    return number


def image_ids(paths: Sequence[Path]) -> dict[Path, int]:
    """Return the id of every image of a split; of equal names the folder counts, as in a conversion."""
    counts = Counter(path.stem.casefold() for path in paths)
    ids: dict[Path, int] = {}
    taken: set[int] = set()
    for path in sorted(paths):
        stem = path.stem if counts[path.stem.casefold()] == 1 else f"{path.parent.name}__{path.stem}"
        ids[path] = image_id(stem, taken)
        taken.add(ids[path])
    return ids
