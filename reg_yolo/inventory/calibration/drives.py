"""Yaw, pitch and, far less surely, focal length that make static objects agree over whole drives.

Along a straight road an object twice as far to the side through a lens of half the focal length looks the same: only
bends constrain the focal length. Over six simulated drives of 2 km a drive's own estimate was off by 2.6 % (true boxes
and positions) and 5.5 % (noisy ones), whatever the solution's covariance states; yaw and pitch are as sure as it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from reg_yolo.errors import DataError
from reg_yolo.inventory.calibration.result import Calibration
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.driving import run_drive, with_camera
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.opening import BuildOptions, open_drives

# What the drives may find whatever a first camera.yaml says: shares of the focal length, degrees.
_OPEN_FOCAL, _OPEN_DEG = 0.05, 3.0
# Solutions are linearised around the start; a second round starts from the first one's result.
_ROUNDS = 2
# Least deviation that a drive is credited with; for the focal length a share of it.
_FLOOR = {"focal_px": 0.055, "yaw_deg": 0.05, "pitch_deg": 0.1}
# Above this share a chessboard is worth the walk.
_UNSURE_FOCAL = 0.01


def calibrate_from_drives(options: BuildOptions, say: Callable[[str], None] = lambda _line: None) -> Calibration:
    """Return what drives with known positions say of one camera.

    Each drive is solved by itself with wide priors; the estimates are averaged by their deviations, which are widened
    where the drives differ by more than they state. The first camera.yaml's focal length counts with its deviation.

    Args:
        options: Detections, positions, times, and a first camera.yaml or a field of view.
        say: Called with each line that the user should read.

    Raises:
        ConfigError: If options do not fit each other.
        DataError: If nothing along the drives determines the camera, or frames differ in size.
    """
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in _FLOOR}
    lines, first = [], None
    for task in open_drives(options).tasks(say):
        first = first or task.camera
        if (task.camera.width, task.camera.height) != (first.width, first.height):
            raise DataError(
                f"{task.name}: frames of {task.camera.width}x{task.camera.height}, those before of "
                f"{first.width}x{first.height}; calibrate one camera at a time"
            )
        estimate = _estimate(task)
        if not estimate:
            lines.append(f"{task.name}: nothing determines the camera")
            continue
        for key, value in estimate.items():
            found[key].append(value)
        stated = (f"{key} {value:.2f} +- {sigma:.2f}" for key, (value, sigma) in estimate.items())
        lines.append(f"{task.name}: {', '.join(stated)}")
    drives = len(found["yaw_deg"])
    if first is None or not drives:
        raise DataError("no drive determines the camera: static objects must be seen in several frames each")
    found["focal_px"].append((first.focal_px, first.focal_px * first.focal_sigma))
    combined = {key: weighted_mean(values) for key, values in found.items()}
    return Calibration(_values(first, combined), [*lines, *_said(combined, drives, first)])


def _estimate(task: DriveTask) -> dict[str, tuple[float, float]]:
    """What one drive says, with deviations; nothing where it says nothing."""
    camera = replace(task.camera, focal_sigma=_OPEN_FOCAL, yaw_sigma_deg=_OPEN_DEG, pitch_sigma_deg=_OPEN_DEG)
    own: dict[str, float] = {}
    for _ in range(_ROUNDS):
        own = run_drive(with_camera(task, camera)).camera
        if "focal_px" not in own:
            return {}
        camera = replace(camera, focal_px=own["focal_px"], yaw_deg=own["yaw_deg"], pitch_deg=own["pitch_deg"])
    floor = {**_FLOOR, "focal_px": _FLOOR["focal_px"] * own["focal_px"]}
    return {key: (own[key], math.hypot(own[key.replace("_", "_sigma_")], floor[key])) for key in _FLOOR}


def weighted_mean(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean of values with deviations, and its deviation.

    Where the values scatter more than they state, the deviation is widened by that factor (Birge's ratio).
    """
    weights = [sigma**-2 for _, sigma in values]
    mean = sum(value * weight for (value, _), weight in zip(values, weights, strict=True)) / sum(weights)
    scatter = sum((value - mean) ** 2 * weight for (value, _), weight in zip(values, weights, strict=True))
    ratio = math.sqrt(scatter / (len(values) - 1)) if len(values) > 1 else 1.0
    return mean, max(1.0, ratio) / math.sqrt(sum(weights))


def _values(camera: Camera, combined: dict[str, tuple[float, float]]) -> dict[str, object]:
    """What camera.yaml will hold: the first one's mount and lens with the new estimates."""
    focal, focal_sigma = combined["focal_px"]
    values: dict[str, object] = {"width": camera.width, "height": camera.height, "focal_px": round(focal, 2)}
    for key in ("cx", "cy"):
        if getattr(camera, key) is not None:
            values[key] = getattr(camera, key)
    if any(camera.distortion):
        values["distortion"] = list(camera.distortion)
    values |= {
        "height_m": camera.height_m,
        "pitch_deg": round(combined["pitch_deg"][0], 3),
        "roll_deg": camera.roll_deg,
        "yaw_deg": round(combined["yaw_deg"][0], 3),
        "lever_arm_m": list(camera.lever_arm_m),
        "readout_s": camera.readout_s,
        "focal_sigma": round(focal_sigma / focal, 5),
        "yaw_sigma_deg": round(combined["yaw_deg"][1], 3),
        "pitch_sigma_deg": round(combined["pitch_deg"][1], 3),
    }
    return values


def _said(combined: dict[str, tuple[float, float]], drives: int, first: Camera) -> list[str]:
    focal, sigma = combined["focal_px"]
    angles = {name: combined[f"{name}_deg"] for name in ("yaw", "pitch")}
    lines = [
        f"of {drives} drive{'s' * (drives > 1)}: focal {focal:.1f} +- {sigma:.1f} px, "
        + ", ".join(f"{name} {value:.2f} +- {wide:.2f} degrees" for name, (value, wide) in angles.items())
    ]
    if sigma / focal > _UNSURE_FOCAL:
        lines.append(
            f"the focal length is known to {100 * sigma / focal:.1f} % only, as drives hardly constrain it: "
            "take it from images of a chessboard (--board), then run this with that camera.yaml as --camera"
        )
    if first.height_m == Camera.height_m:
        lines.append(f"height_m is {first.height_m:g} as assumed: measure it from the road to the lens")
    return lines
