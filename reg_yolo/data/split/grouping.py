"""Find the images that must stay together: frames of one drive, of one burst, of one place.

A rule ties images; several rules together tie what any of them ties. All rules err towards groups that are too large,
since a group that is torn apart puts almost the same image on both sides of a split.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.dataset.frame_names import drive_by_pattern, drive_in_name, name_below_images, time_in_name
from reg_yolo.data.images.exif import ExifFacts, read_exif
from reg_yolo.data.images.similarity import Similarity, similar_pairs
from reg_yolo.data.split.ties import Ties, tie_in_place, tie_in_time
from reg_yolo.errors import ConfigError, DataError

RULES = ("drive", "time", "gps", "burst", "folder")

# Dash cameras cut a drive into files of 1 to 5 minutes, each named by the time it starts.
_CLIP_S = 310.0
# No file name begins with it, so no drive that a name tells is mixed up with one that times tell.
_BY_TIME = "\0"


@dataclass(frozen=True)
class GroupingRules:
    """How images are tied together.

    Attributes:
        by: Some of `drive`, `time`, `gps`, `burst` and `folder`.
        pattern: Regular expression for `drive` whose groups name the drive, searched in the path below `images/`;
            None for the forms that `reg_yolo.data.dataset.frame_names` knows.
        gap_s: `time`: a longer pause than this starts a new group, seconds.
        radius_m: `gps`: images taken at most this far apart stay together, metres.
        similarity: `burst`: what counts as the same view.
        workers: Processes that read images; 0 takes one for each core.
    """

    by: tuple[str, ...] = ("drive",)
    pattern: str | None = None
    gap_s: float = 60.0
    radius_m: float = 50.0
    similarity: Similarity = field(default_factory=Similarity)
    workers: int = 0

    def __post_init__(self) -> None:
        unknown = [rule for rule in self.by if rule not in RULES]
        if unknown or not self.by:
            hint = did_you_mean(unknown[0], RULES) if unknown else ""
            raise ConfigError(f"by: got {', '.join(unknown) or 'nothing'}, expected some of {', '.join(RULES)}.{hint}")
        if self.pattern is not None and "drive" not in self.by:
            raise ConfigError("pattern names drives; it goes with by=drive")
        if not (math.isfinite(self.gap_s) and self.gap_s >= 0):
            raise ConfigError(f"gap_s must be a number of seconds from 0, got {self.gap_s:g}")
        if not (math.isfinite(self.radius_m) and self.radius_m > 0):
            raise ConfigError(f"radius_m must be a number of metres above 0, got {self.radius_m:g}")


def group_images(
    images: Sequence[Path],
    root: Path,
    rules: GroupingRules,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[str], list[str]]:
    """Return the group of every image, and sentences about images that a rule could not place.

    Args:
        images: Image files, in any order; the groups do not depend on it.
        root: Folder that names are relative to.
        rules: What ties images together.
        progress: Called with the images read and to read.

    Raises:
        ConfigError: If the pattern is wrong.
        DataError: If the pattern does not fit, no image says when or where it was taken, or one does not decode.
    """
    names = [name_below_images(image, root) for image in images]
    order = sorted(range(len(images)), key=lambda index: (str(names[index]), str(images[index])))
    ties = Ties(len(images))
    notes: list[str] = []
    facts: list[ExifFacts] = []
    if "time" in rules.by or "gps" in rules.by:
        for image in images:
            facts.append(read_exif(image))
            if progress is not None:
                progress(len(facts), len(images))
    for rule in rules.by:
        if rule == "drive":
            ties.tie_equal(_drives(names, rules.pattern))
        elif rule == "folder":
            ties.tie_equal([str(name.parent) for name in names])
        elif rule == "time":
            times = [fact.time or time_in_name(name.stem) for fact, name in zip(facts, names, strict=True)]
            notes += _tie_missing(ties, names, [time is not None for time in times], "time")
            tie_in_time(ties, times, rules.gap_s)
        elif rule == "gps":
            positions = [fact.position for fact in facts]
            notes += _tie_missing(ties, names, [position is not None for position in positions], "GPS position")
            tie_in_place(ties, positions, rules.radius_m)
        else:
            ordered = [images[index] for index in order]
            pairs = similar_pairs(
                ordered, [names[i] for i in order], rules.similarity, workers=rules.workers, progress=progress
            )
            ties.tie_pairs((order[first], order[second]) for first, second in pairs)
    # A group is named after its first image; a drive that the name tells is shorter.
    titles = [str(name.with_suffix("")) for name in names]
    if rules.by[0] == "drive":
        drives = _drives(names, rules.pattern)
        titles = [title if drive.startswith(_BY_TIME) else drive for title, drive in zip(titles, drives, strict=True)]
    labels: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for index in order:
        if ties.find(index) not in labels:
            # train/1.jpg and val/1.jpg have one name and may have nothing else in common.
            taken[titles[index]] += 1
            again = taken[titles[index]]
            labels[ties.find(index)] = titles[index] if again == 1 else f"{titles[index]} ({again})"
    return [labels[ties.find(index)] for index in range(len(images))], notes


def _drives(names: list[PurePosixPath], pattern: str | None) -> list[str]:
    if pattern is not None:
        return drive_by_pattern(names, pattern)
    times = [time_in_name(name.stem) for name in names]
    chained = Ties(len(names))
    tie_in_time(chained, times, _CLIP_S)
    return [
        drive_in_name(name) if time is None else f"{_BY_TIME}{chained.find(index)}"
        for index, (name, time) in enumerate(zip(names, times, strict=True))
    ]


def _tie_missing(ties: Ties, names: list[PurePosixPath], known: list[bool], what: str) -> list[str]:
    """Tie the images that lack a time or place by drive instead, and say so."""
    missing = [index for index, has in enumerate(known) if not has]
    if len(missing) == len(known):
        raise DataError(f"None of the {len(known)} images has a {what}; by: expected another of {', '.join(RULES)}")
    if not missing:
        return []
    drives = dict(zip(missing, _drives([names[index] for index in missing], None), strict=True))
    ties.tie_equal(drives.get(index) for index in range(len(names)))
    return [
        f"{len(missing)} of {len(known)} images have no {what}, such as {names[missing[0]]}; they are grouped by the "
        "drive in their names."
    ]
