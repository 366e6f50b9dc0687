"""A fingerprint of a split, by which a later run tells whether its images or labels have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for

# Of an image its size, beginning and end are read: whole files would take minutes where the images are many.
_EDGE_BYTES = 4096


def split_fingerprint(descriptions: Sequence[DatasetDescription], split: str) -> dict[str, Any]:
    """Return what tells one state of a split from another.

    Names count relative to the folder that all images lie in, so that a data set which has only moved is the same. Of
    labels every byte counts; of images their size and the first and last 4 KiB.

    Args:
        descriptions: The data sets; one that does not name the split is left out.
        split: Name of the split.

    Returns:
        `images` and `label_files` (counts), `image_digest` and `label_digest` (16 hexadecimal digits each).

    Raises:
        DataError: If a source of the split is missing or holds no image.
    """
    images_digest, labels_digest = hashlib.blake2b(digest_size=8), hashlib.blake2b(digest_size=8)
    count = label_files = 0
    for description in descriptions:
        if split not in description.splits:
            continue
        images = description.images(split)
        base = os.path.commonpath([image.parent for image in images])
        for image in images:
            name = os.path.relpath(image, base).encode("utf-8", "surrogateescape")
            _add(images_digest, name, _edges(image))
            label = label_path_for(image)
            if label.is_file():
                _add(labels_digest, name, [label.read_bytes()])
                label_files += 1
        count += len(images)
    return {
        "images": count,
        "label_files": label_files,
        "image_digest": images_digest.hexdigest(),
        "label_digest": labels_digest.hexdigest(),
    }


def fingerprint_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what has changed from one fingerprint of a split to another, in words.

    Example:
        >>> old = {"images": 3, "image_digest": "a", "label_files": 3, "label_digest": "b"}
        >>> fingerprint_changes(old, {**old, "images": 2, "image_digest": "c"})
        ['2 images, 3 before']
        >>> fingerprint_changes(old, {**old, "label_digest": "d"})
        ['other content in its labels']
    """
    changes = []
    for counted, digest, what in (("images", "image_digest", "images"), ("label_files", "label_digest", "labels")):
        if before.get(counted) != now[counted]:
            changes.append(f"{now[counted]} {counted.replace('_', ' ')}, {before.get(counted)} before")
        elif before.get(digest) != now[digest]:
            changes.append(f"other content in its {what}")
    return changes


def _add(digest: Any, name: bytes, parts: Iterable[bytes]) -> None:
    for part in (name, *parts):
        # Lengths keep "a" + "bc" apart from "ab" + "c".
        digest.update(len(part).to_bytes(8, "little") + part)


def _edges(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            first = stream.read(_EDGE_BYTES)
            stream.seek(max(size - _EDGE_BYTES, 0))
            return [size.to_bytes(8, "little"), first, stream.read(_EDGE_BYTES)]
    except OSError:
        # Who reads the image says that it cannot be read.
        return [b"unreadable"]
