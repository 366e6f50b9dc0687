"""`inventory build`: detections, positions and cameras of one or more drives to assets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.assets import Asset, assemble, bridge_lines, mark_supports, name_assets
from reg_yolo.inventory.classes import LINE, ClassShape, read_shapes, shape_of
from reg_yolo.inventory.decisions.applying import Decisions, counted, follow
from reg_yolo.inventory.decisions.decision import NotApplied
from reg_yolo.inventory.decisions.matching import Sources
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.drive.not_static import NotStatic
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.drive.unlocated import Unlocated
from reg_yolo.inventory.existence import by_pass, probability
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.shifts import DriveErrors, fit_drives
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.network.unseen import unseen_odds
from reg_yolo.inventory.opening import BuildOptions, open_drives, settings_digest
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.work.folders import Place, work_on_folders
from reg_yolo.inventory.work.outcome import DriveOutcome, renumbered
from reg_yolo.inventory.work.stored import read_outcomes
from reg_yolo.inventory.work.working import worked
from reg_yolo.text_tables import how_many

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
        """Whether decisions are not applied, or thumbnails or drives are missing."""
        return bool(self.not_applied) or any(
            self.counts.get(key) for key in ("assets without a thumbnail", "drives left out")
        )


@dataclass
class _Driven:
    """What came of all drives.

    Attributes:
        errors: What is known of the errors of each.
        weights: Digests of the weights that made the detections of each.
        names: Classes.
        sources: Of all frames, where decisions are given.
        ways: Of each receiver.
    """

    sightings: list[Sighting] = field(default_factory=list)
    errors: list[DriveErrors] = field(default_factory=list)
    weights: list[tuple[str, ...]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    ways: dict[int | None, list[FloatArray]] = field(default_factory=dict)
    length_km: float = 0.0
    stretches: list[Stretch] = field(default_factory=list)
    unlocated: list[Unlocated] = field(default_factory=list)
    not_static: list[NotStatic] = field(default_factory=list)
    media: MediaFacts = field(default_factory=MediaFacts)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: DriveOutcome, *, with_sources: bool) -> None:
        """Add one; a month of images has many sources, which only decisions need."""
        self.sightings += outcome.sightings
        self.errors.append(outcome.errors)
        self.weights.append(outcome.digests)
        self.names |= set(outcome.classes)
        if with_sources:
            self.sources |= set(outcome.sources)
        if outcome.errors.receiver not in self.ways:
            # Several cameras of one vehicle have surveyed its way once.
            self.ways[outcome.errors.receiver] = outcome.ways
            self.length_km += sum(stretch.length_m for stretch in outcome.stretches) / 1000
        self.media.add(outcome.media)
        self.stretches += outcome.stretches
        self.unlocated += outcome.unlocated
        self.not_static += outcome.not_static
        self.counts.update(outcome.counts)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the weights of all drives."""
        return tuple(dict.fromkeys(digest for some in self.weights for digest in some))


@dataclass(frozen=True)
class _Found:
    """The assets of all drives.

    Attributes:
        assets: Those that stand, but for the improbable ones that no decision is about.
        improbable: How many these are.
        rejected: Those that reviewers have rejected.
        not_applied: Decisions that are not followed.
        shapes: Geometry of the classes.
    """

    assets: list[Asset]
    improbable: int
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
    for outcome in worked(drives, decisions, tell):
        driven.add(outcome, with_sources=bool(decisions.files))
        progress(len(driven.errors), len(drives.files))
    return _merged(driven, drives.projection, drives.shapes, options, decisions, notes, tell)


def build_from_folders(
    root: Path,
    options: BuildOptions,
    out: Path,
    place: Place,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Inventory:
    """Build an inventory of a folder of drives, each processed separately and only when necessary.

    Args:
        root: Folder whose folders are the drives.
        options: What they share; detections and positions are those of each folder.
        out: Folder of the inventory.
        place: Where the drives are processed.
        say: Called with each line that the user should read.
        progress: Called with the drives done and to do.

    Returns:
        The inventory; what failed is counted in it, and `is_partial`.

    Raises:
        ConfigError: If options do not fit each other, or the cluster cannot be used.
        DataError: If there are no drives, all of them have failed, or decisions are for other ones.
    """
    decisions = Decisions.of_files(options.decisions)
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    done = work_on_folders(root, options, out, place, say, progress)
    outcomes = [read_outcomes(path) for path in done.files]
    centres = np.array([outcome.centre for some in outcomes for outcome in some])
    projection = LocalProjection.around(centres[:, 0], centres[:, 1])
    driven = _Driven()
    receivers: dict[tuple[int, int | None], int] = {}
    for folder, some in enumerate(outcomes):
        for outcome in some:
            receiver = receivers.setdefault((folder, outcome.errors.receiver), len(receivers))
            moved = renumbered(outcome, len(driven.errors), receiver, projection)
            driven.add(moved, with_sources=bool(decisions.files))
            notes += outcome.lines
        some.clear()
    for line in done.failed:
        tell(f"left out: {line}")
    driven.counts["drives left out"] = len(done.failed)
    shapes = read_shapes(options.classes) if options.classes else {}
    return _merged(driven, projection, shapes, options, decisions, notes, tell)


def _merged(
    driven: _Driven,
    projection: LocalProjection,
    stated: dict[str, ClassShape],
    options: BuildOptions,
    decisions: Decisions,
    notes: list[str],
    tell: Callable[[str], None],
) -> Inventory:
    """Make the inventory of what came of all drives."""
    counts, stretches, lost = driven.counts, driven.stretches, driven.unlocated
    counts["surveyed stretches"], counts["objects without a position"] = len(stretches), len(lost)
    counts["objects that are not static"] = len(driven.not_static)
    surveyed = f"{how_many(len(stretches), 'stretch', 'stretches')} surveyed, {driven.length_km:.2f} km"
    tell(f"{surveyed}; {how_many(len(lost), 'object')} without a position")
    if driven.not_static:
        tell(f"{len(driven.not_static)} objects that move along the road are listed as not_static, and are no assets")
    found = _found(driven, projection, stated, options, decisions)
    any_seen = bool(driven.sightings)
    # Assets hold what is still needed of them, and those of a month are most of its memory.
    driven.sightings.clear()
    probable = [asset for asset in found.assets if asset.probability >= options.min_probability]
    assets = bridge_lines(probable)
    counts["pieces of lines joined to others"] = len(probable) - len(assets)
    for some in (assets, found.rejected):
        some.sort(key=lambda asset: (asset.class_name, *asset.middle_m.tolist()))
    name_assets([*assets, *found.rejected], projection, {})
    mark_supports(assets, found.shapes)
    if any_seen:
        weak = counts["objects below the probability"] = found.improbable + len(found.assets) - len(probable)
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
    return Inventory(
        projection, assets, list(driven.ways.values()), notes, dict(counts), driven.digests, found.shapes, stretches,
        [], lost, found.rejected if decisions.files else None, found.not_applied if decisions.files else None,
        driven.media, driven.not_static,
    )  # fmt: skip


def _found(
    driven: _Driven,
    projection: LocalProjection,
    stated: dict[str, ClassShape],
    options: BuildOptions,
    decisions: Decisions,
) -> _Found:
    """Match the drives to each other, and make assets of what they saw and of what reviewers say of it."""

    def shape(name: str) -> ClassShape:
        return shape_of(name, stated)

    sightings, errors = driven.sightings, driven.errors
    groups, shifted = match_drives(errors, sightings) if sightings else ([], None)
    regrouped = decisions.regrouping.of_sightings(sightings, groups, Sources(driven.sources))
    if regrouped is not groups:
        groups, shifted = regrouped, fit_drives(errors, sightings, regrouped)
    rulings, not_applied = decisions.rule(sightings, groups, driven.sources, lambda name: shape(name).geometry == LINE)
    called = {number: ruling.class_name for number, ruling in rulings.items() if ruling.class_name}
    shapes = {name: shape(name) for name in driven.names | set(called.values())}
    if shifted is None:
        return _Found([], 0, [], not_applied, shapes)
    receivers = [one.receiver for one in errors]
    unseen = unseen_odds(driven.stretches, sightings, groups, shifted.places_m, receivers)

    def exists(number: int) -> float:
        return probability(by_pass([sightings[n] for n in groups[number]]), unseen=float(unseen[number]))

    likely = [n for n in range(len(groups)) if n in rulings or exists(n) >= options.min_probability]
    made = assemble(sightings, groups, shifted, projection, shapes, called, receivers, likely, unseen)
    settings = settings_digest(options)
    everything = dict(zip(likely, made, strict=True))
    for number, asset in everything.items():
        makers = dict.fromkeys(digest for n in groups[number] for digest in driven.weights[sightings[n].drive])
        asset.values["weights_digest"] = ", ".join(digest[:DIGEST_DIGITS] for digest in makers)
        asset.values["settings_digest"] = settings[:DIGEST_DIGITS]
    for number, ruling in rulings.items():
        follow(ruling, everything[number], projection)
    rejected = {number for number, ruling in rulings.items() if not ruling.exists}
    left = [asset for number, asset in everything.items() if number not in rejected]
    improbable = len(groups) - len(likely)
    return _Found(left, improbable, [everything[number] for number in sorted(rejected)], not_applied, shapes)
