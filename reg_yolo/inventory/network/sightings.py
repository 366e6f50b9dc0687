"""What a drive knows of one object, as it enters the network of drives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.observations import Observations, SeenAtHand, SeenBy

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """What the existence of an object is judged by; existence.py says how, and what a drive's usual confidences are.

    Attributes:
        way: Logarithm of the metres between first and last look.
        confidence: Mean confidence, in terms of the drive's usual ones; -1 at least.
        strong: Logarithm of the number of looks that reach their threshold.
        density: Share of the frames between first and last look in which it was seen.
        purity: Share of its main class in the votes.
        unsure: Logarithm of its deviation in metres.
        rival: Share of its frames in which a like object close by, seen more often, was not seen: it may be that one.
        missed: Odds that frames leave in which it should have been seen and was not, see `drive/missed.py`.
    """

    way: float = 0.0
    confidence: float = 0.0
    strong: float = 0.0
    density: float = 0.0
    purity: float = 0.0
    unsure: float = 0.0
    rival: float = 0.0
    missed: float = 0.0


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
        features: What its existence is judged by.
        ends_m: Two ends of a line or span, shape (2, 2), else None.
        camera_m: Where the camera stood in the frame that shows it best, east and north.
        track_m: Metres driven when it was seen nearest.
        method: How its place was found.
        ends_looks: Looks that have shown its left and its right end.
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
    features: Features
    ends_m: FloatArray | None = None
    camera_m: tuple[float, float] = (0.0, 0.0)
    track_m: float = 0.0
    method: str = ""
    ends_looks: tuple[int, int] = (0, 0)
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
