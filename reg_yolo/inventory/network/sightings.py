"""What a drive knows of one object, as it enters the network of drives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.observations import Observations, SeenAtHand, SeenBy

FloatArray = NDArray[np.float64]


@dataclass(slots=True)
class Sighting:
    """One object of one pass.

    Attributes:
        drive: Number of the drive.
        time_s: POSIX time of the look that saw it nearest.
        place_m: East and north, shape (2,), in the network's projection, the drive's way taken as true.
        covariance: Of the place, shape (2, 2), the drive's way taken as true.
        velocity_mps: Of the vehicle at that time, shape (2,).
        votes: Sum of confidences by class.
        is_sign: Whether it is named from its front only.
        height_m, width_m: Its size.
        lower_m: Its lower edge above the road.
        first_s, last_s: POSIX times of the first and last look.
        frames: Frames in which it was seen.
        features: What its existence is judged by; see existence.py.
        ends_m: Two ends of a line or span, shape (2, 2), else None.
        details: What is handed on to the outputs: camera position, method.
        seen: The boxes that it was seen by, and the frame that shows it best.
        looks_back: Whether the camera looks back along the way.
    """

    drive: int
    time_s: float
    place_m: FloatArray
    covariance: FloatArray
    velocity_mps: FloatArray
    votes: dict[str, float]
    is_sign: bool
    height_m: float
    width_m: float
    lower_m: float
    first_s: float
    last_s: float
    frames: int
    features: dict[str, float]
    ends_m: FloatArray | None = None
    details: dict[str, Any] = field(default_factory=dict)
    seen: SeenBy = field(default_factory=SeenAtHand)
    looks_back: bool = False

    @property
    def observations(self) -> Observations:
        """The boxes that it was seen by."""
        return self.seen.observations

    @property
    def class_name(self) -> str:
        """The class with the most votes."""
        return max(self.votes, key=lambda name: self.votes[name])

    @property
    def way(self) -> FloatArray:
        """Along the road as the camera looks, shape (2,), of length 1."""
        speed = max(float(np.hypot(*self.velocity_mps)), 1e-6)
        return np.asarray(self.velocity_mps / (-speed if self.looks_back else speed))
