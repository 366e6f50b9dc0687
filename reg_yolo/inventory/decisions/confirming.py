"""What reviewers say of objects that would be left out: that they are assets all the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.decisions.decision import REGROUPING, UNDO, Decision
from reg_yolo.inventory.decisions.grouping import main_of
from reg_yolo.inventory.decisions.matching import BoxIndex, Sources
from reg_yolo.inventory.decisions.rulings import rule_one
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.drive.rays import Rays

IntArray = NDArray[np.int64]


class Confirming:
    """Says which objects reviewers take for assets.

    Args:
        decisions: Those that stand, in the order of time.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._decisions = [one for one in decisions if one.action not in (*REGROUPING, UNDO)]

    def of_rays(self, looks: DriveLooks, rays: Rays, groups: Sequence[IntArray]) -> list[int]:
        """Return the numbers of the groups that exist by what is decided on them; conflicts confirm nothing.

        A decision is about the group that holds more than half of its observations found.
        """
        if not self._decisions or not groups:
            return []
        index: BoxIndex[int] = BoxIndex(Sources(set(looks.sources)), self._decisions)
        wanted = np.array([index.wants(*key) for key in zip(looks.sources, looks.frame.tolist(), strict=True)])
        owner = np.full(len(rays), -1)
        for number, rows in enumerate(groups):
            owner[rows] = number
        for row in np.flatnonzero(wanted[rays.frame]).tolist():
            frame = int(rays.frame[row])
            box = looks.xyxy[rays.look[row]].tolist()
            index.add(looks.sources[frame], int(looks.frame[frame]), box, int(owner[row]))
        about: dict[int, list[Decision]] = {}
        for decision in self._decisions:
            main = main_of(index.find(decision.parts[0]))
            if main is not None and main >= 0:
                about.setdefault(main, []).append(decision)
        rulings = {number: rule_one(some)[0] for number, some in about.items()}
        return sorted(number for number, ruling in rulings.items() if ruling is not None and ruling.exists)
