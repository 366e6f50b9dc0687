"""Where the camera of a car on the road is, and where it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.rendering.camera import Camera, Pose
from reg_yolo.scenes.rendering.projection import View


@dataclass(frozen=True)
class Mount:
    """How the camera sits in its car.

    Args:
        height_m: of the lens above the road.
        pitch_deg: against the road's grade, positive looks up.
        yaw_deg: against the direction of travel, positive looks to the right.
        roll_deg: positive leans to the right.
    """

    height_m: float
    pitch_deg: float
    yaw_deg: float
    roll_deg: float


def random_mount(rng: np.random.Generator) -> Mount:
    """A mount as people fix dash cameras: never quite straight."""
    return Mount(
        height_m=float(rng.uniform(1.25, 2.4)),
        pitch_deg=float(rng.uniform(-2.5, 2.5)),
        yaw_deg=float(rng.uniform(-3, 3)),
        roll_deg=float(rng.normal(0, 0.7)),
    )


def viewpoint(
    setting: Setting,
    camera: Camera,
    mount: Mount,
    s: float,
    direction: int,
    offset_m: float,
    reach_m: float,
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
) -> View:
    """The view from a car at chainage s that drives along `direction` (1 or -1).

    Args:
        offset_m: of the car from the axis, positive to the right of growing chainage.
        reach_m: how far the view goes.
        yaw_deg, pitch_deg: the car's own small movements, added to the mount's angles.
    """
    road = setting.road
    x, y, z = road.to_world(s, offset_m, mount.height_m)
    rise = float(road.height_at(s + 8 * direction) - road.height_at(s - 2 * direction))
    heading = math.degrees(float(road.heading_at(s))) + (0.0 if direction > 0 else 180.0)
    pose = Pose(
        float(x),
        float(y),
        float(z),
        heading + mount.yaw_deg + yaw_deg,
        math.degrees(math.atan2(rise, 10.0)) + mount.pitch_deg + pitch_deg,
        mount.roll_deg,
    )
    return View(camera, pose, s, direction, reach_m)
