"""`inventory labels --legacy`: a list of assets proposes labels in frames that no detector has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, read_dataset_yaml
from reg_yolo.data.dataset.frame_file_names import FrameNames
from reg_yolo.data.export.formats import check_format
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.errors import ConfigError, DataError, RegYoloError
from reg_yolo.files import whole_folder
from reg_yolo.inventory.camera import read_camera
from reg_yolo.inventory.classes import LINE, shape_of
from reg_yolo.inventory.diff.columns import ForeignColumns, read_columns
from reg_yolo.inventory.diff.known import Known, read_known
from reg_yolo.inventory.labels.images import Privacy
from reg_yolo.inventory.labels.projecting import Projected, Projector, View
from reg_yolo.inventory.labels.summary import LabelsSummary
from reg_yolo.inventory.labels.typical_sizes import Size, read_sizes, size_of
from reg_yolo.inventory.labels.writing import LabelsFolder
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.positions.smoothing import Drift
from reg_yolo.inventory.positions.trajectory import Trajectory, build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.thumbnails.cutting import Picture
from reg_yolo.inventory.timing import Start, find_start
from reg_yolo.video.decoding import VideoFrame, read_frames

MODEL = "legacy inventory"
PROPOSED = "proposed"
LINES = "lines (guardrails and the like), which a point and a size do not describe"
NO_BOX = "frames in which nothing of the list must be seen"
NO_POSITION = "frames without a position"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ProposalOptions:
    """How labels are proposed.

    Attributes:
        legacy: The list: GeoPackage, GeoJSON, Shapefile, FileGDB or CSV.
        gnss: Positions of the drive.
        camera: camera.yaml.
        columns: What the columns of the list mean; None for this package's own.
        sizes: YAML file of sizes by class.
        starts: When the clocks of the videos were zero: none, or one a video.
        time_base: Of starts without an offset.
        position_sigma_m: Deviation of the receiver's drift on each axis.
        every: Every so many frames of a video are looked at.
        view: What counts as in sight.
        to: Format, one of `EXPORT_FORMATS`.
        classes: data.yaml whose classes the result gets; None takes those of the list.
        privacy: What is blurred.
    """

    legacy: Path
    gnss: Path
    camera: Path
    columns: Path | None = None
    sizes: Path | None = None
    starts: tuple[str, ...] = ()
    time_base: str = "utc"
    position_sigma_m: float = 2.5
    every: int = 10
    view: View = field(default_factory=View)
    to: str = "cvat"
    classes: Path | None = None
    privacy: Privacy = field(default_factory=Privacy)


def propose_labels(
    videos: Sequence[Path],
    out: Path,
    options: ProposalOptions,
    say: Say = lambda _line: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> LabelsSummary:
    """Write frames of videos with boxes where assets of a list must be seen, for a person to correct.

    Args:
        videos: Of one drive; each is opened once.
        out: Folder to be made; it appears when it is complete.
        options: How.
        say: Called with each line that the user should read.
        progress: Called with the videos done and to do.

    Raises:
        ConfigError: If options do not fit each other.
        DataError: If a file cannot be read, `out` holds something, or nothing is left to write.
    """
    check_format(options.to)
    if options.every < 1:
        raise ConfigError(f"--every: got {options.every}, expected a number of frames from 1 on")
    if len(options.starts) not in (0, len(videos)):
        raise ConfigError(f"--start: got {len(options.starts)} for {len(videos)} videos; give one each")
    with whole_folder(out) as folder:
        camera = read_camera(options.camera)
        columns = read_columns(options.columns)[0] if options.columns else ForeignColumns()
        known, fixes = read_known(options.legacy, columns, say), read_positions(options.gnss)
        lines = [one for one in known if one.kind == LINE or shape_of(one.class_name).geometry == LINE]
        known = [one for one in known if one not in lines]
        names = _class_names(known, options)
        projection = LocalProjection.around(fixes.longitude_deg, fixes.latitude_deg)
        trajectory = build_trajectory(fixes, projection, Drift(sigma_m=options.position_sigma_m))
        sizes = _sizes(known, options, say)
        projector = Projector(known, sizes, projection, camera, options.view)
        summary = LabelsSummary(out, names, out)
        summary.skipped[LINES] = len(lines)
        say(options.privacy.said)
        writer = LabelsFolder(folder, options.to, names, MODEL, summary)
        run = _Run(options, known, camera_size=(camera.width, camera.height), projector=projector, writer=writer)
        try:
            for number, video in enumerate(videos):
                start = find_start(
                    str(video), options.starts[number] if options.starts else None, (), options.time_base,
                    fixes.starts.get(video.name),
                )  # fmt: skip
                say(f"{video.name}: time from {start.source}")
                try:
                    run.video(video, start, trajectory, summary)
                except RegYoloError as error:
                    summary.lost[str(error).split("\n", 1)[0]] += 1
                progress(number + 1, len(videos))
            if not summary.images:
                raise DataError(_nothing(options, summary, fixes))
            summary.result = out / writer.finish()
        finally:
            writer.close()
    return summary


@dataclass
class _Run:
    options: ProposalOptions
    known: Sequence[Known]
    camera_size: tuple[int, int]
    projector: Projector
    writer: LabelsFolder
    names: FrameNames = field(default_factory=FrameNames)

    def video(self, path: Path, start: Start, trajectory: Trajectory, summary: LabelsSummary) -> None:
        """Write the frames of a video in which something must be seen."""
        for index, time_s, found, picture in self._seen(path, start, trajectory, summary):
            height, width = picture.shape[:2]
            if (width, height) != self.camera_size:
                stated = f"{self.camera_size[0]}x{self.camera_size[1]}"
                raise ConfigError(f"{path} has frames of {width}x{height}, {self.options.camera} is for {stated}")
            image = self.options.privacy.opened(picture, path)
            boxes = [(self._annotation(one), PROPOSED) for one in found]
            kept = self.writer.add(self.names.of(path, index), (str(path), index, time_s), image, boxes)
            summary.projected.update(item.class_name for item, _ in kept)

    def _seen(
        self, path: Path, start: Start, trajectory: Trajectory, summary: LabelsSummary
    ) -> Iterator[tuple[int, float, list[Projected], Picture]]:
        boxes: dict[int, list[Projected]] = {}

        def wanted(index: int, time_s: float) -> bool:
            if index % self.options.every:
                return False
            poses = trajectory.at(start.times(np.array([time_s])))
            boxes[index] = self.projector(poses, 0)
            if not boxes[index]:
                summary.skipped[NO_BOX if poses.located[0] else NO_POSITION] += 1
            return bool(boxes[index])

        for frame in read_frames(path, wanted):
            if isinstance(frame, VideoFrame) and frame.picture is not None:
                yield frame.index, frame.time_s, boxes.pop(frame.index), frame.picture

    def _annotation(self, one: Projected) -> ObjectAnnotation:
        asset = self.known[one.number]
        name = f" {asset.asset_id}" if asset.asset_id else ""
        note = f"proposed from the list{name}, {one.distance_m:.0f} m away"
        return ObjectAnnotation(asset.class_name, asset.asset_id, one.xyxy, note=note)


def _class_names(known: Sequence[Known], options: ProposalOptions) -> list[str]:
    used = sorted({one.class_name for one in known})
    if options.classes is None:
        if not used:
            raise DataError(f"{options.legacy} holds nothing but {LINES}")
        return used
    names = read_dataset_yaml(find_dataset_yaml(options.classes), required=()).class_names
    unknown = [name for name in used if name not in names]
    if unknown:
        raise DataError(
            f"{options.classes} has no class {', '.join(unknown)}, only {', '.join(names)}; say with classes: in the "
            "file of --columns what they are called there"
        )
    return names


def _sizes(known: Sequence[Known], options: ProposalOptions, say: Say) -> list[Size]:
    """Return the size of each: what its row states, then what `--sizes` says, then what is usual."""
    stated = read_sizes(options.sizes) if options.sizes else {}
    sizes, guessed = [], set()
    for one in known:
        usual, sure = size_of(one.class_name, stated)
        own = [one.height_m, one.width_m, one.lower_edge_m]
        height, width, lower = (
            mine if mine is not None and mine >= least else other
            for mine, other, least in zip(
                own, (usual.height_m, usual.width_m, usual.lower_edge_m), (0.01, 0.01, 0.0), strict=True
            )
        )
        if not sure and None in own:
            guessed.add(one.class_name)
        sizes.append(Size(height, width, lower))
    if guessed:
        say(f"no size is known of {', '.join(sorted(guessed))}: 1 m is assumed; give --sizes")
    return sizes


def _nothing(options: ProposalOptions, summary: LabelsSummary, fixes: Fixes) -> str:
    causes = [*summary.lost, *(f"{count} {reason}" for reason, count in summary.skipped.items() if count)]
    return (
        f"{options.legacy}: nothing of it must be seen along {fixes.source} ({'; '.join(causes)}); check --start, the "
        "list's coordinates and --camera"
    )
