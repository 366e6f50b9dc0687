"""A small inventory that lies on both sides of a place."""

from __future__ import annotations

import numpy as np

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.drive.unlocated import Unlocated
from reg_yolo.inventory.projection import LocalProjection

START_S = 1714532400.0
"""2024-05-01 03:00:00 UTC."""


def asset(name: str, kind: str, points: list[list[float]], **values: object) -> Asset:
    """Return an asset with what every asset has."""
    known = {"sigma_along_m": 0.5, "sigma_across_m": 0.5, "observations": 4, "passes": 1, "best_frame": 7}
    made = Asset(name, kind, np.array(points), np.eye(2) * 0.25, 0.9, {**known, **values})
    made.asset_id = f"{name}-{int(points[0][0])}"
    return made


def sample_inventory(longitude_deg: float = 102.0, latitude_deg: float = 14.0) -> Inventory:
    """Return poles, a guardrail and a bridge along a road to the east, 400 m to both sides of a place."""
    poles = [asset("ป้าย", "point", [[x, 5.0]], route="4-0101", side="left") for x in (-400.0, -1.0, 1.0, 400.0)]
    rail = asset("guardrail", "line", [[-30.0, 4.0], [30.0, 4.0]], length_m=60.0)
    bridge = asset("bridge", "span", [[80.0, -12.0], [80.0, 12.0]], class_votes="bridge 3.2, " + "ป้าย 0.1, " * 40)
    way = np.array([[-450.0, 0.0], [450.0, 0.0]])
    stretch = Stretch(0, "a.mp4", way, 91, START_S, START_S + 45, 0.0, 900.0, 60.0, 0.0)
    lost = Unlocated(
        "pole", {"pole": 1.4}, 0, "a.mp4", 40, 42, START_S + 50, START_S + 51, 3, 0.8, (1.0, 2.0, 30.0, 40.0), way[1]
    )
    return Inventory(
        LocalProjection(longitude_deg, latitude_deg), [*poles, rail, bridge], [[way]], ["a note"], {"frames": 91},
        stretches=[stretch], unlocated=[lost],
    )  # fmt: skip
