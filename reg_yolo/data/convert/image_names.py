"""Names of the written images: the source's own, told apart by their folders where two would be the same."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from reg_yolo.data.dataset.image_finder import path_parts
from reg_yolo.data.objects.annotations import AnnotatedImage

# File systems take 255 bytes; a suffix, a number and the dots of temporary files come on top.
_LONGEST_BYTES = 220


def image_stems(images: Sequence[AnnotatedImage]) -> list[str]:
    """Return a name without suffix for every image, unique within its split whatever the case of its letters.

    A name that several images of a split share gets the names of as many folders in front as tell them apart, such as
    `day1__000123`; where those do not, a number in the order of `images`.
    """
    common = _common_folder(images)
    paths = [_parts(image, common) for image in images]
    splits = [image.split or "train" for image in images]
    longest = max((len(parts) for parts in paths), default=0)
    chosen = [parts[-1] for parts in paths]
    for depth in range(2, longest + 1):
        counts = Counter((split, stem.casefold()) for split, stem in zip(splits, chosen, strict=True))
        if max(counts.values()) == 1:
            break
        chosen = [
            "__".join(parts[-depth:]) if counts[(split, stem.casefold())] > 1 else stem
            for parts, split, stem in zip(paths, splits, chosen, strict=True)
        ]
    taken: set[tuple[str, str]] = set()
    result = []
    for split, stem in zip(splits, chosen, strict=True):
        base = _shortened(stem)
        name, number = base, 1
        while (split, name.casefold()) in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add((split, name.casefold()))
        result.append(name)
    return result


def _common_folder(images: Sequence[AnnotatedImage]) -> Path | None:
    """The folder that all files have in common: what is above it belongs in no name."""
    files = [image.source.path for image in images if image.source is not None and image.source.frame is None]
    try:
        return Path(os.path.commonpath([str(path.parent) for path in files])) if files else None
    except ValueError:
        # Two drives of Windows.
        return None


def _parts(image: AnnotatedImage, common: Path | None) -> list[str]:
    source = image.source
    path = PurePosixPath(*path_parts(image.name))
    if source and source.frame is None:
        place = source.path
        place = place.relative_to(common) if common is not None and place.is_relative_to(common) else place
        path = PurePosixPath(*path_parts(place.as_posix()))
    if source is not None and source.embedded:
        path = path.with_suffix("")
    own = path.name if source is not None and (source.frame is not None or source.embedded) else path.stem
    return [_safe(part) for part in (*path.parts[:-1], own or "picture") if part not in ("/", "..")]


def _safe(name: str) -> str:
    """Replace what Windows forbids in names, and a dot in front, which hides a file."""
    cleaned = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).rstrip(" .")
    return re.sub(r"^\.", "_", cleaned) or "picture"


def _shortened(stem: str) -> str:
    while len(stem.encode("utf-8")) > _LONGEST_BYTES:
        stem = stem[1:]
    return stem
