"""Decisions in a build: read, merged and split by, and ruled by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.decisions.confirming import Confirming
from reg_yolo.inventory.decisions.decision import MOVE, Decision, NotApplied
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.decisions.grouping import Regrouping
from reg_yolo.inventory.decisions.matching import Sources, refuse_other_drives
from reg_yolo.inventory.decisions.rulings import Ruling, rule
from reg_yolo.inventory.decisions.standing import standing_decisions
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.projection import LocalProjection


@dataclass(frozen=True)
class Decisions:
    """The decisions of a build.

    Attributes:
        files: Where they were read.
        read: All of them.
        standing: Those that count, in the order of time.
        dropped: Those, and lines of the files, that do not, whatever is built.
    """

    files: tuple[Path, ...]
    read: list[Decision] = field(default_factory=list)
    standing: list[Decision] = field(default_factory=list)
    dropped: list[NotApplied] = field(default_factory=list)

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Decisions:
        """Read decisions files.

        Raises:
            DataError: If one cannot be read, or a line is not a decision.
        """
        read, torn = read_decisions(paths)
        standing, dropped = standing_decisions(read)
        return cls(tuple(paths), read, standing, [*torn, *dropped])

    @property
    def regrouping(self) -> Regrouping:
        """What merges and splits."""
        return Regrouping(self.standing)

    @property
    def confirming(self) -> Confirming:
        """What makes an asset of what would be left out."""
        return Confirming(self.standing)

    def rule(
        self,
        sightings: Sequence[Sighting],
        groups: Sequence[Sequence[int]],
        names: Iterable[str],
        is_line: Callable[[str], bool],
    ) -> tuple[dict[int, Ruling], list[NotApplied]]:
        """Return a ruling by the number of the group, and everything that is not followed.

        Args:
            sightings: Of all drives.
            groups: Sightings of each asset, merged and split already.
            names: Sources of all frames of the build.
            is_line: Whether assets of a class are lines.

        Raises:
            DataError: If a file's decisions are for another drive.
        """
        names = frozenset(names)
        refuse_other_drives(self.files, self.read, names)
        rulings, dropped = rule(self.standing, sightings, groups, Sources(names), is_line)
        return rulings, [*self.dropped, *dropped]


def follow(ruling: Ruling, asset: Asset, projection: LocalProjection) -> None:
    """Change an asset to what reviewers say of it; its class has been changed when it was made.

    What they have confirmed exists: its probability is 1. A line or span that was moved is shifted, so that its middle
    lies where they put it.
    """
    asset.values["reviewed_by"], asset.values["decisions"] = ruling.reviewed_by, ruling.actions
    if not ruling.exists:
        return
    asset.probability = 1.0
    if ruling.place is None:
        return
    middle, place = asset.middle_m, ruling.place
    if asset.found_as is None:
        asset.found_as = (asset.class_name, middle)
    target = projection.to_metres(np.array([place.longitude_deg]), np.array([place.latitude_deg]))[0]
    asset.points_m = asset.points_m + (target - middle)
    asset.covariance = np.eye(2) * place.sigma_m**2
    sigma = round(place.sigma_m, 2)
    asset.values |= {"sigma_along_m": sigma, "sigma_across_m": sigma, "method": MOVE}


def counted(dropped: Sequence[NotApplied]) -> str:
    """Return how many decisions are not applied, and where the first ones stand.

    Example:
        >>> counted([NotApplied(None, "the line is cut off", "a.jsonl:7")])
        '1 decisions not applied: a.jsonl:7 (the line is cut off)'
    """
    shown = ", ".join(f"{one.read_from} ({one.reason})" for one in dropped[:3])
    more = f" and {len(dropped) - 3} more" if len(dropped) > 3 else ""
    return f"{len(dropped)} decisions not applied: {shown}{more}"
