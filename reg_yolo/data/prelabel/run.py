"""From detections to what a labelling tool imports: `reg-yolo data prelabel`."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, read_dataset_yaml
from reg_yolo.data.dataset.label_scan import read_sound_labels
from reg_yolo.data.export.cvat import LABELS_FILE, write_labels, write_xml
from reg_yolo.data.export.formats import check_format, dataset_writer
from reg_yolo.data.export.writer import LabelledImage
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.prelabel.frames import DetectedFrame, DetectedFrames, read_detected_frames
from reg_yolo.data.prelabel.objects import detected_objects
from reg_yolo.data.prelabel.pictures import NOT_FOUND, image_hashes, opened_frames, perceptual_hashes
from reg_yolo.data.prelabel.summary import PICKS_NAME, PrelabelSummary, picks_csv
from reg_yolo.data.prelabel.tracks import track_elements
from reg_yolo.data.prelabel.uncertain import Picked, pick_uncertain
from reg_yolo.errors import DataError
from reg_yolo.files import replace_text, whole_folder

KEYFRAME_PX = 2.0
# Of a video, this many times the frames that are wanted are decoded to be compared.
_SHORTLIST = 4
_SPLIT = "train"

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class PrelabelSettings:
    """What the caller wants.

    Attributes:
        to: One of `data.export.formats.EXPORT_FORMATS`.
        annotations_only: Write no images, since the tool has them.
        link: Hard-link image files instead of copying them.
        keyframe_px: Pixels by which the sides of a track's box may be off between keyframes.
    """

    to: str = "cvat"
    annotations_only: bool = False
    link: bool = False
    keyframe_px: float = KEYFRAME_PX

    def __post_init__(self) -> None:
        check_format(self.to)
        if not 0 <= self.keyframe_px < 1000:
            raise DataError(f"`keyframe_px`: got {self.keyframe_px:g}, expected pixels from 0 on")
        if self.annotations_only and self.to == "label-studio":
            raise DataError(
                "`annotations_only`: Label Studio makes a new task of each image that its file names, so that they "
                "must be there; leave it out"
            )


def prelabel_detections(
    detections: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    to: str = "cvat",
    threshold: float | None = None,
    images: str | Path | None = None,
    uncertain: int | None = None,
    labelled: str | Path | None = None,
    annotations_only: bool = False,
    link: bool = False,
    keyframe_px: float = KEYFRAME_PX,
    progress: Progress = None,
) -> PrelabelSummary:
    """Write detections as pre-annotations that a labelling tool imports, of all frames or of those worth it.

    Whole videos become tracks in CVAT XML for video; for any other format, and where frames are picked, frames are
    written as images.

    Args:
        detections: Detections files as `predict` writes them.
        out: The folder to be made; it appears when it is complete.
        to: `cvat`, `label-studio`, `labelme`, `coco` or `yolo`.
        threshold: Least confidence of an object that is written, and the confidence that margins are measured from;
            None takes the thresholds of the files, of one with weak detections (`for_inventory`) those of the weights.
        images: A further folder in which images and videos are looked for.
        uncertain: Write only this many frames, those worth labelling next; see `uncertain.pick_uncertain`.
        labelled: A data-set YAML of what is labelled already: its images are not picked, and its labels say which
            classes are rare.
        annotations_only: Write no images, since the tool has them.
        link: Hard-link image files instead of copying them.
        keyframe_px: Pixels by which the sides of a track's box may be off between keyframes.
        progress: Called with the images done and to do: those compared where frames are picked, else those written.

    Raises:
        DataError: If a file cannot be read, an argument is wrong, or nothing is left to write.
    """
    files = [Path(path) for path in ([detections] if isinstance(detections, (str, Path)) else detections)]
    settings = PrelabelSettings(to, annotations_only, link, keyframe_px)
    if threshold is not None and not 0 <= threshold <= 1:
        raise DataError(f"`threshold`: got {threshold:g}, expected a number from 0 to 1")
    if uncertain is not None and uncertain < 1:
        raise DataError(f"`uncertain`: got {uncertain}, expected a number of frames from 1 on")
    if labelled is not None and uncertain is None:
        raise DataError("`labelled`: says what not to pick, and nothing is to be picked; give `uncertain`, too")
    with whole_folder(Path(out)) as folder:
        read = read_detected_frames(files, Path(images) if images is not None else None, threshold)
        summary = PrelabelSummary(Path(out), read.class_names, Path(out), skipped=read.skipped, notes=read.notes)
        frames = read.frames
        if uncertain is not None:
            if not annotations_only:
                _leave_out_missing(read, summary)
            summary.picked = pick_frames(read, uncertain, Path(labelled) if labelled is not None else None, progress)
            frames = [pick.frame for pick in summary.picked.picks]
            summary.notes += summary.picked.notes
            replace_text(folder / PICKS_NAME, picks_csv(summary.picked))
            # Comparing takes longer than writing what was picked, and a bar goes one way.
            progress = None
        as_tracks = to == "cvat" and uncertain is None
        videos = [frame for frame in frames if frame.frame is not None] if as_tracks else []
        stills = [frame for frame in frames if frame.frame is None] if as_tracks else frames
        if videos:
            _write_videos(folder, videos, read, settings, summary)
        if stills:
            summary.result = Path(out) / _write_images(folder, stills, read, settings, summary, progress)
        if not summary.frames:
            causes = "; ".join(f"{count} times {reason}" for reason, count in sorted(summary.skipped.items()) if count)
            raise DataError(f"{files[0]}: nothing is left to write{': ' + causes if causes else ''}")
    return summary


def _leave_out_missing(read: DetectedFrames, summary: PrelabelSummary) -> None:
    """Leave out frames that cannot be written: none of them must be picked in place of another."""
    there = [frame for frame in read.frames if frame.found is not None]
    summary.images_lost += len(read.frames) - len(there)
    summary.skipped[NOT_FOUND] += summary.images_lost
    if not there:
        raise DataError(f"`images`: none of {len(read.frames)} frames is found, such as {read.frames[0].place}")
    read.frames = there


def pick_frames(read: DetectedFrames, count: int, labelled: Path | None, progress: Progress = None) -> Picked:
    """Pick the frames that are worth labelling next, compared by their pixels where these are available.

    Args:
        read: The frames of some detections files.
        count: How many are wanted.
        labelled: The data-set YAML of what is labelled already.
        progress: Called with the images compared and to compare.

    Raises:
        DataError: If `labelled` cannot be read, imagehash is not installed, or there is nothing to pick.
    """
    counts, paths = _labelled(labelled) if labelled is not None else (None, [])
    stems = {path.stem for path in paths}
    # Frames of a video are identified by their names; names of images may be of another drive, so pixels decide.
    known = [
        frame for frame in read.frames if frame.name_stem in stems and (frame.frame is not None or not frame.found)
    ]
    names = {frame.name for frame in known}
    candidates = [frame for frame in read.frames if frame.detections and frame.name not in names]
    if not candidates:
        raise DataError("`uncertain`: no frame has a detection that is not labelled already; predict with a lower conf")
    compared = [*candidates, *known]
    if any(frame.frame is not None for frame in candidates):
        # Decoding a whole drive to compare all of its frames would take hours.
        rough = pick_uncertain(
            read.frames, _SHORTLIST * count, read.class_names, labelled=known, labelled_counts=counts
        )
        compared = [*(pick.frame for pick in rough.picks), *known]
    compared = in_order(compared)
    signs = perceptual_hashes([frame for frame in compared if frame.found is not None], progress)
    picked = pick_uncertain(
        read.frames,
        count,
        read.class_names,
        among={frame.name for frame in compared},
        signs=signs,
        labelled=known,
        labelled_signs=image_hashes(paths),
        labelled_counts=counts,
    )
    picked.candidates = len(candidates)
    unseen = sum(frame.name not in signs for frame in compared)
    if unseen:
        picked.notes.append(f"{unseen} frames without pixels were compared by time or by their place in name order")
    if not picked.picks:
        raise DataError("`uncertain`: every frame with a detection looks like one that is labelled already")
    if len(picked.picks) < count:
        picked.notes.append(
            f"{count} frames were asked for; {len(picked.picks)} are left that look like no labelled or picked one"
        )
    return picked


def in_order(frames: Iterable[DetectedFrame]) -> list[DetectedFrame]:
    """Return frames with those of one file together, in their order."""
    return sorted(frames, key=lambda frame: (str(frame.source), frame.frame or 0))


def _labelled(yaml_path: Path) -> tuple[Counter[str], list[Path]]:
    """Return the labelled objects by class, and the images."""
    description = read_dataset_yaml(find_dataset_yaml(yaml_path), required=())
    counts: Counter[str] = Counter()
    images = [image for split in description.present_splits for image in description.images(split)]
    for _, rows in read_sound_labels(images, len(description.names), description.keypoint_columns):
        counts.update(description.names[row.class_id] for row in rows)
    return counts, images


def _write_images(
    folder: Path,
    frames: Sequence[DetectedFrame],
    read: DetectedFrames,
    settings: PrelabelSettings,
    summary: PrelabelSummary,
    progress: Progress,
) -> Path:
    writer = dataset_writer(settings.to, folder, read.class_names, link=settings.link, model=read.model)
    ordered = in_order(frames)
    pictures = ((f, None, "") for f in ordered) if settings.annotations_only else opened_frames(ordered)
    try:
        for done, (frame, picture, fault) in enumerate(pictures, start=1):
            if fault:
                summary.images_lost += 1
                summary.skipped[fault] += 1
            else:
                objects = [item for item, _ in detected_objects(frame, summary.skipped)]
                name = frame.name if picture is None else f"{frame.name_stem}{picture.suffix}"
                writer.add(LabelledImage(name, frame.size, objects, _SPLIT, picture))
                _count(summary, objects)
            if progress is not None:
                progress(done, len(ordered))
        return writer.finish().relative_to(folder)
    finally:
        writer.close()


def _write_videos(
    folder: Path,
    frames: Sequence[DetectedFrame],
    read: DetectedFrames,
    settings: PrelabelSettings,
    summary: PrelabelSummary,
) -> None:
    by_source: defaultdict[Path, list[DetectedFrame]] = defaultdict(list)
    for frame in frames:
        by_source[frame.source].append(frame)
    for source, members in by_source.items():
        found: dict[int, list[tuple[ObjectAnnotation, int | None]]] = {}
        for frame in members:
            assert frame.frame is not None
            found[frame.frame] = detected_objects(frame, summary.skipped)
            _count(summary, [item for item, _ in found[frame.frame]])
        looked_at = sorted(found)
        tracks = track_elements(looked_at, found, settings.keyframe_px, summary.skipped)
        summary.tracks += len(tracks)
        stem = read.video_stems[source]
        meta = _video_meta(source, looked_at, members[0].size, read.frame_counts)
        write_xml(folder / f"{stem}.xml", meta, read.class_names, tracks)
    write_labels(folder / LABELS_FILE, read.class_names)


def _video_meta(
    source: Path, looked_at: Sequence[int], size: tuple[int, int], frame_counts: Mapping[Path, int]
) -> dict[str, str | dict[str, str]]:
    """Return what a CVAT file says of its video; a frame filter where only every so many frames were looked at."""
    steps = {later - earlier for earlier, later in itertools.pairwise(looked_at)}
    step = steps.pop() if len(steps) == 1 else 1
    start, stop = (
        (looked_at[0], looked_at[-1]) if step > 1 else (0, max(looked_at[-1], frame_counts.get(source, 0) - 1))
    )
    return {
        "size": str((stop - start) // step + 1),
        "mode": "interpolation",
        "start_frame": str(start),
        "stop_frame": str(stop),
        "frame_filter": f"step={step}" if step > 1 else "",
        "original_size": {"width": str(size[0]), "height": str(size[1])},
        "source": source.name,
    }


def _count(summary: PrelabelSummary, objects: Sequence[ObjectAnnotation]) -> None:
    summary.frames += 1
    summary.objects.update(item.class_name for item in objects)
    summary.outlines += sum(bool(item.parts) for item in objects)
