"""`inventory build`: detections, positions and cameras of one or more drives to assets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.assets import Asset, assemble, bridge_lines, mark_supports, name_assets
from reg_yolo.inventory.classes import LINE, ClassShape, shape_of
from reg_yolo.inventory.decisions.applying import Decisions, counted, follow
from reg_yolo.inventory.decisions.decision import NotApplied
from reg_yolo.inventory.decisions.matching import Sources
from reg_yolo.inventory.drive.driving import DriveResult, run_drive
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.drive.not_static import NotStatic
from reg_yolo.inventory.drive.stretches import Stretch, surveyed_stretches
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.drive.unlocated import Unlocated, unlocated_objects
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.shifts import fit_drives
from reg_yolo.inventory.opening import BuildOptions, Drives, open_drives, settings_digest
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

DIGEST_DIGITS = 12
"""Of a SHA-256, in the columns of provenance."""


@dataclass(frozen=True)
class Inventory:
    """A built inventory.

    Attributes:
        projection: What the metres mean.
        assets: In the order of class and place.
        ways: Each drive's way in metres, shape (N, 2), in pieces.
        notes: What the user should read, line by line.
        counts: What was used and dropped.
        digests: Of the weights that made the detections.
        shapes: Geometry of the classes.
        stretches: Where frames looked.
        stretch_chainages: Chainage as text at both ends of each stretch; empty without a route.
        unlocated: What was seen where no position is known.
        not_static: What moves along the road, such as signs on lorries.
        rejected: Assets that reviewers have rejected; None where no decisions were given.
        not_applied: Decisions that are not followed; None likewise.
        media: What the detections files say of their sources.
    """

    projection: LocalProjection
    assets: list[Asset]
    ways: list[list[FloatArray]]
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digests: tuple[str, ...] = ()
    shapes: dict[str, ClassShape] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    stretch_chainages: list[tuple[str | None, str | None]] = field(default_factory=list)
    unlocated: list[Unlocated] = field(default_factory=list)
    rejected: list[Asset] | None = None
    not_applied: list[NotApplied] | None = None
    media: MediaFacts = field(default_factory=MediaFacts)
    not_static: list[NotStatic] = field(default_factory=list)

    @property
    def is_partial(self) -> bool:
        """Whether decisions are not applied, or thumbnails are missing."""
        return bool(self.not_applied) or bool(self.counts.get("assets without a thumbnail"))


@dataclass
class _Driven:
    """What came of all drives, one after the other.

    Attributes:
        results: Of each.
        weights: Digests of the weights that made the detections of each.
        names: Classes.
        sources: Of all frames, where decisions are given.
    """

    results: list[DriveResult] = field(default_factory=list)
    weights: list[tuple[str, ...]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    stretches: list[Stretch] = field(default_factory=list)
    unlocated: list[Unlocated] = field(default_factory=list)
    not_static: list[NotStatic] = field(default_factory=list)
    media: MediaFacts = field(default_factory=MediaFacts)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, task: DriveTask, result: DriveResult, *, with_sources: bool) -> None:
        """Add one; a month of images has many sources, which only decisions need."""
        self.results.append(result)
        self.weights.append(task.looks.digests)
        self.names |= set(task.looks.classes)
        if with_sources:
            self.sources |= set(task.looks.sources)
        self.media.add(task.looks.media)
        self.stretches += surveyed_stretches(task, result.poses, result.frames)
        lost, left_out = unlocated_objects(task, result.poses)
        self.unlocated += lost
        self.not_static += result.not_static
        self.counts.update(result.counts)
        self.counts.update(left_out)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the weights of all drives."""
        return tuple(dict.fromkeys(digest for some in self.weights for digest in some))


@dataclass(frozen=True)
class _Found:
    """The assets of all drives, whatever their probability.

    Attributes:
        assets: Those that stand.
        rejected: Those that reviewers have rejected.
        not_applied: Decisions that are not followed.
        shapes: Geometry of the classes.
    """

    assets: list[Asset]
    rejected: list[Asset]
    not_applied: list[NotApplied]
    shapes: dict[str, ClassShape]


def build_inventory(
    options: BuildOptions,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Inventory:
    """Build an inventory.

    Args:
        options: What from.
        say: Called with each line that the user should read.
        progress: Called with the drives done and to do.

    Raises:
        ConfigError: If options do not fit each other.
        DataError: If a file is malformed, nothing overlaps, or decisions are for another drive.
    """
    drives = open_drives(options)
    decisions = Decisions.of_files(options.decisions)
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    driven = _Driven()
    progress(0, len(drives.files))
    for task in drives.tasks(tell):
        result = run_drive(task, decisions.regrouping.of_rays, decisions.confirming.of_rays)
        driven.add(task, result, with_sources=bool(decisions.files))
        tell(f"{task.name}: {_estimates(result)}")
        progress(len(driven.results), len(drives.files))
    counts, stretches, lost = driven.counts, driven.stretches, driven.unlocated
    counts["surveyed stretches"], counts["objects without a position"] = len(stretches), len(lost)
    counts["objects that are not static"] = len(driven.not_static)
    # Several cameras of one vehicle have surveyed its way once.
    receivers = [result.errors.receiver for result in driven.results]
    alone = [receivers.index(receiver) == number for number, receiver in enumerate(receivers)]
    length_km = sum(stretch.length_m for stretch in stretches if alone[stretch.drive]) / 1000
    tell(f"{len(stretches)} stretches surveyed, {length_km:.2f} km; {len(lost)} objects without a position")
    if driven.not_static:
        tell(f"{len(driven.not_static)} objects that move along the road are listed as not_static, and are no assets")
    found = _found(driven, drives, decisions)
    probable = [asset for asset in found.assets if asset.probability >= options.min_probability]
    assets = bridge_lines(probable)
    counts["pieces of lines joined to others"] = len(probable) - len(assets)
    for some in (assets, found.rejected):
        some.sort(key=lambda asset: (asset.class_name, *asset.middle_m.tolist()))
    name_assets([*assets, *found.rejected], drives.projection, {})
    mark_supports(assets, found.shapes)
    if any(result.sightings for result in driven.results):
        weak = counts["objects below the probability"] = len(found.assets) - len(probable)
        tell(f"{len(assets)} assets; {weak} less probable than {options.min_probability:g} left out")
    if decisions.files:
        reviewed = counts["assets reviewed"] = sum(bool(asset.values.get("decisions")) for asset in assets)
        counts["assets rejected"], counts["decisions not applied"] = len(found.rejected), len(found.not_applied)
        tell(f"{len(decisions.read)} decisions: {reviewed} assets reviewed, {len(found.rejected)} rejected")
        new = sorted(set(found.shapes) - driven.names)
        if new:
            tell(f"classes that only decisions name: {', '.join(new)}")
        if found.not_applied:
            tell(counted(found.not_applied))
    ways = [_pieces(result) for result, counts_once in zip(driven.results, alone, strict=True) if counts_once]
    return Inventory(
        drives.projection, assets, ways, notes, dict(counts), driven.digests, found.shapes, stretches, [], lost,
        found.rejected if decisions.files else None, found.not_applied if decisions.files else None, driven.media,
        driven.not_static,
    )  # fmt: skip


def _found(driven: _Driven, drives: Drives, decisions: Decisions) -> _Found:
    """Match the drives to each other, and make assets of what they saw and of what reviewers say of it."""

    def shape(name: str) -> ClassShape:
        return shape_of(name, drives.shapes)

    sightings = [sighting for result in driven.results for sighting in result.sightings]
    errors = [result.errors for result in driven.results]
    groups, shifted = match_drives(errors, sightings) if sightings else ([], None)
    regrouped = decisions.regrouping.of_sightings(sightings, groups, Sources(driven.sources))
    if regrouped is not groups:
        groups, shifted = regrouped, fit_drives(errors, sightings, regrouped)
    rulings, not_applied = decisions.rule(sightings, groups, driven.sources, lambda name: shape(name).geometry == LINE)
    called = {number: ruling.class_name for number, ruling in rulings.items() if ruling.class_name}
    shapes = {name: shape(name) for name in driven.names | set(called.values())}
    if shifted is None:
        return _Found([], [], not_applied, shapes)
    everything = assemble(
        sightings, groups, shifted, drives.projection, shapes, called, [one.receiver for one in errors]
    )
    settings = settings_digest(drives.options)
    for asset, members in zip(everything, groups, strict=True):
        makers = dict.fromkeys(digest for n in members for digest in driven.weights[sightings[n].drive])
        asset.values["weights_digest"] = ", ".join(digest[:DIGEST_DIGITS] for digest in makers)
        asset.values["settings_digest"] = settings[:DIGEST_DIGITS]
    for number, ruling in rulings.items():
        follow(ruling, everything[number], drives.projection)
    rejected = {number for number, ruling in rulings.items() if not ruling.exists}
    left = [asset for number, asset in enumerate(everything) if number not in rejected]
    return _Found(left, [everything[number] for number in sorted(rejected)], not_applied, shapes)


def _estimates(result: DriveResult) -> str:
    camera = result.camera
    if "focal_px" not in camera:
        return "nothing to refine the camera by"
    known = camera["clock_sigma_s"] < 0.08
    clock = (
        f"clock {camera['clock_s']:+.2f} s +- {camera['clock_sigma_s']:.2f}" if known else "clock offset not observable"
    )
    angles = f"yaw {camera['yaw_deg']:.2f}, pitch {camera['pitch_deg']:.2f} degrees"
    return f"focal {camera['focal_px']:.0f} px, {angles}, {clock}"


def _pieces(result: DriveResult) -> list[FloatArray]:
    """The way of a drive, cut where its positions have a hole."""
    rows = result.frames
    points = result.poses.position_m[rows]
    if not len(rows):
        return []
    far = np.flatnonzero(np.linalg.norm(np.diff(points, axis=0), axis=1) > 200) + 1
    return [piece for piece in np.split(points, far) if len(piece) > 1]
