"""A camera's calibration in `camera.yaml`, and pixels turned into rays."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.panorama import ADVICE
from reg_yolo.inventory.settings_files import read_settings_file

FloatArray = NDArray[np.float64]

DEFAULT_HFOV_DEG = 70.0
_AHEAD_DEG = 45.0
_MOST_READOUT_S = 0.2


@dataclass(frozen=True)
class Camera:
    """How a camera sees and sits; only its size must be known.

    Attributes:
        width, height: Size of the frames in pixels.
        focal_px: Focal length in pixels.
        cx, cy: Principal point in pixels from the upper left corner; None for the middle.
        distortion: k1, k2, p1, p2, k3 as OpenCV defines them.
        height_m: Height of the lens above the road.
        pitch_deg: Positive looks up, against the road's grade.
        roll_deg: Positive leans to the right.
        yaw_deg: Positive looks to the right of the way travelled.
        lever_arm_m: Lens minus antenna: right, forward, up.
        readout_s: Time from the first row of a frame to the last; negative where it is read from below. A frame's time
            is that of its first row in time.
        focal_sigma: Standard deviation of the focal length as a share of it.
        yaw_sigma_deg, pitch_sigma_deg: Standard deviations of the mount's angles.
    """

    width: int
    height: int
    focal_px: float
    cx: float | None = None
    cy: float | None = None
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    height_m: float = 1.6
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    lever_arm_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    readout_s: float = 0.0
    focal_sigma: float = 0.004
    yaw_sigma_deg: float = 1.5
    pitch_sigma_deg: float = 1.0

    @classmethod
    def from_field_of_view(cls, width: int, height: int, hfov_deg: float = DEFAULT_HFOV_DEG) -> Camera:
        """Return a camera known by its horizontal field of view alone; the drive refines it."""
        focal = width / 2 / math.tan(math.radians(hfov_deg) / 2)
        return cls(width, height, focal, focal_sigma=0.05, yaw_sigma_deg=3.0, pitch_sigma_deg=3.0)

    @property
    def looks_ahead(self) -> bool:
        """Whether it looks ahead rather than to the side or back."""
        return math.cos(math.radians(self.yaw_deg)) > math.cos(math.radians(_AHEAD_DEG))

    def delay_s(self, y: FloatArray) -> FloatArray:
        """Return when rows at these heights are read, against the middle of the frame's readout, shape of `y`."""
        return np.asarray((np.clip(y / self.height, 0.0, 1.0) - 0.5) * self.readout_s)

    def with_focal(self, focal_px: float) -> Camera:
        """Return the same camera with another focal length."""
        return replace(self, focal_px=focal_px)

    def normalized(self, pixels: FloatArray, roll_rad: FloatArray | float = 0.0) -> FloatArray:
        """Return tangents to the right and downwards, shape (N, 2), of pixels (N, 2).

        They are those of a level camera in the same place: distortion, roll and pitch are taken out.

        Args:
            pixels: Shape (N, 2).
            roll_rad: Of the vehicle, on top of the mount's; shape (N,) or one for all.
        """
        centre = np.array(
            [self.width / 2 if self.cx is None else self.cx, self.height / 2 if self.cy is None else self.cy]
        )
        if any(self.distortion):
            import cv2

            matrix = np.array([[self.focal_px, 0, centre[0]], [0, self.focal_px, centre[1]], [0, 0, 1.0]])
            points = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-9)
            plain = cv2.undistortPoints(points, matrix, np.array(self.distortion), criteria=criteria).reshape(-1, 2)
        else:
            plain = (np.asarray(pixels, np.float64) - centre) / self.focal_px
        roll = math.radians(self.roll_deg) + roll_rad
        # Camera axes lean by the roll: right = right0 cos + down0 sin, down = down0 cos - right0 sin.
        right = plain[:, 0] * np.cos(roll) - plain[:, 1] * np.sin(roll)
        down = plain[:, 0] * np.sin(roll) + plain[:, 1] * np.cos(roll)
        pitch = math.radians(self.pitch_deg)
        forward = math.cos(pitch) + down * math.sin(pitch)
        return np.stack([right / forward, (down * math.cos(pitch) - math.sin(pitch)) / forward], axis=-1)

    def pixels(self, tangents: FloatArray, roll_rad: float = 0.0) -> FloatArray:
        """Return pixels, shape (N, 2), of tangents to the right and downwards of a level camera, shape (N, 2).

        The other way round from `normalized`; what lies behind the camera gives NaN.

        Args:
            tangents: Shape (N, 2).
            roll_rad: Of the vehicle, on top of the mount's.
        """
        pitch, roll = math.radians(self.pitch_deg), math.radians(self.roll_deg) + roll_rad
        level = np.asarray(tangents, np.float64).reshape(-1, 2)
        forward = math.cos(pitch) - level[:, 1] * math.sin(pitch)
        forward = np.where(forward > 1e-9, forward, np.nan)
        down = (level[:, 1] * math.cos(pitch) + math.sin(pitch)) / forward
        right = level[:, 0] * (math.cos(pitch) + down * math.sin(pitch))
        plain = np.stack([right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)], 1)
        k1, k2, p1, p2, k3 = self.distortion
        x, y, r2 = plain[:, 0], plain[:, 1], (plain**2).sum(axis=1)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent = np.stack([
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        ], 1)  # fmt: skip
        centre = [self.width / 2 if self.cx is None else self.cx, self.height / 2 if self.cy is None else self.cy]
        return np.asarray(bent * self.focal_px + centre)


def read_camera(path: Path, hfov_deg: float = DEFAULT_HFOV_DEG) -> Camera:
    """Read camera.yaml; only `width` and `height` must be there.

    Raises:
        ConfigError: If it cannot be read, has an unknown key or a value out of range.
    """
    content = read_settings_file(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys such as width, height and focal_px")
    projection = content.pop("projection", "perspective")
    if projection != "perspective":
        raise ConfigError(f"{path}: projection must be perspective, got {projection!r}; for 360-degree video {ADVICE}")
    known = {entry.name for entry in fields(Camera)}
    unknown = sorted(set(map(str, content)) - known)
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; expected {', '.join(sorted(known))}")
    values = {key: _value(path, key, value) for key, value in content.items()}
    for key in ("width", "height"):
        if not isinstance(values.get(key), (int, float)) or values[key] < 1:
            raise ConfigError(f"{path}: {key} must be a number of pixels, got {content.get(key)!r}")
        values[key] = int(values[key])
    plain = Camera.from_field_of_view(values["width"], values["height"], hfov_deg)
    if "focal_px" in values:
        plain = replace(plain, focal_sigma=0.004, yaw_sigma_deg=1.5 if "yaw_deg" in values else 3.0)
        plain = replace(plain, pitch_sigma_deg=1.0 if "pitch_deg" in values else 3.0)
    camera = replace(plain, **values)
    if not (math.isfinite(camera.focal_px) and camera.focal_px > 0):
        raise ConfigError(f"{path}: focal_px must be above 0, got {camera.focal_px}")
    if not 0.3 <= camera.height_m <= 6:
        raise ConfigError(f"{path}: height_m must be from 0.3 to 6 metres above the road, got {camera.height_m}")
    if abs(camera.readout_s) > _MOST_READOUT_S:
        raise ConfigError(f"{path}: readout_s must be from -0.2 to 0.2 seconds, got {camera.readout_s}")
    return camera


def _value(path: Path, key: str, value: Any) -> Any:
    lengths = {"distortion": 5, "lever_arm_m": 3}
    if key in lengths:
        if not isinstance(value, list) or not all(_is_number(entry) for entry in value) or len(value) > lengths[key]:
            raise ConfigError(f"{path}: {key} must be a list of up to {lengths[key]} numbers, got {value!r}")
        return tuple(float(entry) for entry in value) + (0.0,) * (lengths[key] - len(value))
    if not _is_number(value):
        raise ConfigError(f"{path}: {key} must be a number, got {value!r}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
