"""`inventory labels`: what reviewers have decided becomes labels of the frames in which it was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, read_dataset_yaml
from reg_yolo.data.dataset.frame_file_names import FrameNames
from reg_yolo.data.export.formats import check_format
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.errors import DataError, MediaError, RegYoloError
from reg_yolo.files import whole_folder
from reg_yolo.inventory.labels.choosing import (
    PROJECTED,
    ChoiceOptions,
    ChosenFrame,
    Label,
    choose_frames,
    drives_of,
)
from reg_yolo.inventory.labels.images import Privacy
from reg_yolo.inventory.labels.reviewed import REJECTED, UNDECIDED, ReviewedAssets, read_reviewed
from reg_yolo.inventory.labels.summary import LabelsSummary
from reg_yolo.inventory.labels.writing import LabelsFolder
from reg_yolo.inventory.thumbnails.cutting import Picture
from reg_yolo.inventory.thumbnails.finding import SourceFiles
from reg_yolo.inventory.thumbnails.frames import frames_of
from reg_yolo.video.picking import FramePlace

MODEL = "reviewed inventory"
NOT_FOUND = "has not the frames of the detections"
Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LabelsOptions:
    """How labels are made of an inventory.

    Attributes:
        decisions: Decisions files that the build does not know yet.
        choice: Which frames are taken.
        to: Format, one of `EXPORT_FORMATS`.
        classes: data.yaml whose classes the result gets, in their order; None takes those of the accepted assets.
        folders: Where the sources lie, if not where the detections files say.
        privacy: What is blurred.
    """

    decisions: tuple[Path, ...] = ()
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    to: str = "yolo"
    classes: Path | None = None
    folders: tuple[Path, ...] = ()
    privacy: Privacy = field(default_factory=Privacy)


def write_labels(
    inventory: Path,
    out: Path,
    options: LabelsOptions | None = None,
    say: Say = lambda _line: None,
    progress: Progress = lambda _done, _total: None,
) -> LabelsSummary:
    """Write the frames in which reviewed assets stand as a data set.

    Args:
        inventory: Folder of a build.
        out: Folder to be made; it appears when it is complete.
        options: How.
        say: Called with each line that the user should read.
        progress: Called with the frames done and to do.

    Raises:
        ConfigError: If the detections were made with a blur that is not given here.
        DataError: If a file cannot be read, `out` holds something, or nothing is left to write.
        MediaError: If a folder of sources is none.
    """
    options = options or LabelsOptions()
    check_format(options.to)
    for folder in options.folders:
        if not folder.is_dir():
            raise MediaError(f"--sources: {folder} is not a folder; name one that holds the sources of the detections")
    # What it holds would be lost after hours of decoding.
    with whole_folder(out) as folder:
        reviewed, not_applied = read_reviewed(inventory, options.decisions, say)
        options.privacy.refuse_less_than(sorted(reviewed.media.blur))
        choice = choose_frames(reviewed, options.choice)
        names = _class_names(reviewed, choice.frames, options.classes)
        if not choice.frames:
            raise DataError(_nothing(inventory, reviewed, choice.skipped))
        summary = LabelsSummary(out, names, out, skipped=choice.skipped, not_applied=len(not_applied))
        say(options.privacy.said)
        writer = LabelsFolder(folder, options.to, names, MODEL, summary)
        try:
            _write(writer, reviewed, choice.frames, options, summary, progress)
            if not summary.images:
                raise DataError(f"{inventory}: no frame could be written: {next(iter(summary.lost))}")
            summary.result = out / writer.finish()
        finally:
            writer.close()
    return summary


def _class_names(reviewed: ReviewedAssets, frames: Sequence[ChosenFrame], classes: Path | None) -> list[str]:
    """Return the names that the data set gets."""
    labelled = {label.asset for frame in frames for label in frame.labels if label.verdict != REJECTED}
    used = sorted({reviewed.assets[number].class_name for number in labelled})
    if classes is None:
        # Where all is rejected, the images are of these classes all the same.
        return used or sorted({asset.class_name for asset in reviewed.assets})
    known = read_dataset_yaml(find_dataset_yaml(classes), required=()).class_names
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(f"{classes} has no class {', '.join(unknown)}, only {', '.join(known)}; give another --classes")
    return known


def _nothing(inventory: Path, reviewed: ReviewedAssets, skipped: Counter[str]) -> str:
    verdicts = Counter(asset.verdict for asset in reviewed.assets)
    counts = ", ".join(f"{verdicts[name]} {name}" for name in ("accepted", "rejected", "undecided"))
    causes = "; ".join(f"{count} {reason}" for reason, count in skipped.items())
    hint = "; --undecided accept takes those as well, --undecided ignore labels none of them"
    more = f" ({causes})" if causes else ""
    return f"{inventory}: nothing is left to write of {counts} assets{more}{hint if verdicts[UNDECIDED] else ''}"


def _write(
    writer: LabelsFolder,
    reviewed: ReviewedAssets,
    frames: Sequence[ChosenFrame],
    options: LabelsOptions,
    summary: LabelsSummary,
    progress: Progress,
) -> None:
    files, names, done = SourceFiles(options.folders), FrameNames(), 0
    first, drives = reviewed.media.chapters, drives_of(reviewed.media.chapters)
    for number, group in groupby(frames, key=lambda frame: frame.source):
        source, members = reviewed.sources[number], list(group)
        # An image has no time.
        is_image = all(frame.time_s != frame.time_s for frame in members)
        start = first.get(source, 0)
        waiting = {FramePlace(one.frame - start, 0.0 if is_image else one.time_s): one for one in members}
        reason = f"{source} {NOT_FOUND}"
        try:
            path = files.find(source)
            for place, picture in frames_of(path, source, list(waiting), reviewed.media):
                _refuse_other_size(picture, waiting[place], source)
                frame = waiting.pop(place)
                name = names.of(Path(drives.get(source, source)), None if is_image else frame.frame)
                image = options.privacy.opened(picture, path)
                boxes = [_annotation(reviewed, label) for label in frame.labels]
                kept = writer.add(f"{Path(name).stem}.jpg", (source, frame.frame, frame.time_s), image, boxes)
                _count(summary, kept)
                done += 1
                progress(done, len(frames))
        except RegYoloError as error:
            reason = str(error).split("\n", 1)[0]
        if waiting:
            summary.lost[reason] += len(waiting)
            done += len(waiting)
            progress(done, len(frames))


def _refuse_other_size(picture: Picture, frame: ChosenFrame, source: str) -> None:
    height, width = picture.shape[:2]
    if any(frame.size) and frame.size != (width, height):
        stated = f"{frame.size[0]}x{frame.size[1]}"
        raise MediaError(f"{source} has frames of {width}x{height}, the detections are of {stated}")


def _annotation(reviewed: ReviewedAssets, label: Label) -> tuple[ObjectAnnotation, str]:
    asset = reviewed.assets[label.asset]
    notes = ["projected between detections"] if label.origin == PROJECTED else []
    notes += ["nobody has decided on this asset"] if label.verdict == UNDECIDED else []
    item = ObjectAnnotation(asset.class_name, asset.asset_id, label.xyxy, score=label.confidence, note="; ".join(notes))
    return item, REJECTED if label.verdict == REJECTED else " ".join(
        [label.origin, *([UNDECIDED] if label.verdict == UNDECIDED else [])]
    )


def _count(summary: LabelsSummary, kept: Sequence[tuple[ObjectAnnotation, str]]) -> None:
    rejected = 0
    for item, origin in kept:
        rejected += origin == REJECTED
        if origin != REJECTED:
            (summary.projected if origin.startswith(PROJECTED) else summary.detected)[item.class_name] += 1
            summary.undecided += origin.endswith(UNDECIDED)
    summary.hard_negatives += rejected
    summary.hard_images += bool(rejected)
