"""`inventory build`: detections, positions and cameras of one or more drives to assets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.assets import Asset, assemble, mark_supports, name_assets
from reg_yolo.inventory.classes import LINE, ClassShape, shape_of
from reg_yolo.inventory.decisions.applying import Decisions, counted, follow
from reg_yolo.inventory.decisions.decision import NotApplied
from reg_yolo.inventory.decisions.matching import Sources
from reg_yolo.inventory.drive.driving import DriveResult, run_drive
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.drive.stretches import Stretch, surveyed_stretches
from reg_yolo.inventory.drive.unlocated import Unlocated, unlocated_objects
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.shifts import fit_drives
from reg_yolo.inventory.opening import BuildOptions, open_drives, settings_digest
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

    @property
    def is_partial(self) -> bool:
        """Whether decisions are not applied, or thumbnails are missing."""
        return bool(self.not_applied) or bool(self.counts.get("assets without a thumbnail"))


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
        DataError: If a file is malformed, or nothing overlaps.
    """
    drives = open_drives(options)
    decisions = Decisions.of_files(options.decisions)
    regrouping = decisions.regrouping
    notes: list[str] = []
    counts: dict[str, int] = {}

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    results: list[DriveResult] = []
    digests: list[str] = []
    weights: list[tuple[str, ...]] = []
    stretches: list[Stretch] = []
    unlocated: list[Unlocated] = []
    names: set[str] = set()
    sources: set[str] = set()
    media = MediaFacts()
    progress(0, len(drives.files))
    for task in drives.tasks(tell):
        looks = task.looks
        digests += [digest for digest in looks.digests if digest not in digests]
        weights.append(looks.digests)
        names |= set(looks.classes)
        sources |= set(looks.sources) if decisions.files else set()
        media.add(looks.media)
        result = run_drive(task, regrouping.of_rays)
        results.append(result)
        stretches += surveyed_stretches(task, result.poses, result.frames)
        lost, left_out = unlocated_objects(task, result.poses)
        unlocated += lost
        for key, value in [*result.counts.items(), *left_out.items()]:
            counts[key] = counts.get(key, 0) + value
        tell(f"{task.name}: {_estimates(result)}")
        progress(len(results), len(drives.files))
    counts["surveyed stretches"], counts["objects without a position"] = len(stretches), len(unlocated)
    length_km = sum(stretch.length_m for stretch in stretches) / 1000
    tell(f"{len(stretches)} stretches surveyed, {length_km:.2f} km; {len(unlocated)} objects without a position")
    projection = drives.projection
    shapes = {name: shape_of(name, drives.shapes) for name in names}
    sightings = [sighting for result in results for sighting in result.sightings]
    errors = [result.errors for result in results]
    groups, shifted = match_drives(errors, sightings) if sightings else ([], None)
    regrouped = regrouping.of_sightings(sightings, groups, Sources(sources))
    if regrouped is not groups:
        groups, shifted = regrouped, fit_drives(errors, sightings, regrouped)
    rulings, not_applied = decisions.rule(
        sightings, groups, sources, lambda name: shape_of(name, drives.shapes).geometry == LINE
    )
    called = {number: ruling.class_name for number, ruling in rulings.items() if ruling.class_name}
    shapes |= {name: shape_of(name, drives.shapes) for name in called.values()}
    everything = [] if shifted is None else assemble(sightings, groups, shifted, projection, shapes, called)
    settings = settings_digest(options)
    for number, (asset, members) in enumerate(zip(everything, groups, strict=True)):
        makers = dict.fromkeys(digest for n in members for digest in weights[sightings[n].drive])
        asset.values["weights_digest"] = ", ".join(digest[:DIGEST_DIGITS] for digest in makers)
        asset.values["settings_digest"] = settings[:DIGEST_DIGITS]
        if number in rulings:
            follow(rulings[number], asset, projection)
    rejected = [everything[n] for n, ruling in rulings.items() if not ruling.exists]
    left = [asset for asset in everything if all(asset is not one for one in rejected)]
    assets = [asset for asset in left if asset.probability >= options.min_probability]
    for some in (assets, rejected):
        some.sort(key=lambda asset: (asset.class_name, *asset.middle_m.tolist()))
    name_assets([*assets, *rejected], projection, {})
    mark_supports(assets, shapes)
    if everything:
        counts["objects below the probability"] = len(left) - len(assets)
        tell(f"{len(assets)} assets; {len(left) - len(assets)} less probable than {options.min_probability:g} left out")
    if decisions.files:
        counts["assets reviewed"] = sum(bool(asset.values.get("decisions")) for asset in assets)
        counts["assets rejected"], counts["decisions not applied"] = len(rejected), len(not_applied)
        reviewed = f"{counts['assets reviewed']} assets reviewed, {len(rejected)} rejected"
        tell(f"{len(decisions.standing)} decisions: {reviewed}")
        new = sorted(set(called.values()) - names)
        if new:
            tell(f"classes that only decisions name: {', '.join(new)}")
        if not_applied:
            tell(counted(not_applied))
    return Inventory(
        projection, assets, [_pieces(result) for result in results], notes, counts, tuple(digests), shapes, stretches,
        [], unlocated, rejected if decisions.files else None, not_applied if decisions.files else None,
        media,
    )  # fmt: skip


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
