"""What a survey has of a drive: tracks and calibrations, clean ones and those with its errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.files import replace_text
from reg_yolo.scenes.drives.frames import DIRECTIONS, DrivePlan, view_at
from reg_yolo.scenes.drives.gnss import Fix, noisy_fixes, utc_text

START = {"forward": datetime(2024, 5, 1, 3, 0, 0, tzinfo=UTC), "backward": datetime(2024, 5, 1, 5, 0, 0, tzinfo=UTC)}


def schema_of(plan: DrivePlan, file: str) -> str:
    """Name and version of a file's schema: 2 has more keys, and is written where a drive has features."""
    return f"reg-yolo/scenes-{file}/{2 if plan.options.features.names else 1}"


def grid(plan: DrivePlan, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """World points `[..., 3]` as easting, northing and height in metres."""
    return np.asarray(points + np.array(plan.origin))


def holes(plan: DrivePlan, direction: str) -> list[tuple[float, float]]:
    """First and last second since the drive's start that the car is in each tunnel, where it has no fixes."""
    motion, start, sign = plan.motion[direction], plan.frames[direction][0].s, DIRECTIONS[direction]
    found = []
    for tunnel in plan.stage.tunnels:
        near, far = sorted((s - start) * sign for s in tunnel)
        found.append((motion.time_at(near), motion.time_at(far)))
    return found


def write_direction(folder: Path, plan: DrivePlan, direction: str) -> None:
    """Write the calibrations and tracks of one direction, clean and noisy."""
    draw, camera = plan.noise[direction], plan.camera
    for name, pitch, factor in (("clean", 0.0, 1.0), ("noisy", draw.pitch_deg, draw.focal_factor)):
        calibration: dict[str, Any] = {
            "schema": schema_of(plan, "calibration"),
            "width": camera.width,
            "height": camera.height,
            "focal_px": round(camera.focal_px * factor, 4),
            "cx": camera.cx,
            "cy": camera.cy,
            "mount": {
                "height_m": round(plan.mount.height_m, 4),
                "pitch_deg": round(plan.mount.pitch_deg + pitch, 4),
                "yaw_deg": round(plan.mount.yaw_deg, 4),
                "roll_deg": round(plan.mount.roll_deg, 4),
            },
        }
        if plan.options.features.names:
            calibration["distortion"] = list(camera.distortion)
            replace_text(folder / f"camera_{name}.yaml", _camera_yaml(calibration))
        replace_text(folder / f"calibration_{name}.json", json.dumps(calibration, indent=1) + "\n")
    fixes = _fixes(plan, direction)
    rng = np.random.default_rng([plan.options.seed, 6, DIRECTIONS[direction] + 1])
    noisy = noisy_fixes(rng, fixes, plan.options.noise, draw.clock_s)
    for name, track in (("clean", fixes), ("noisy", noisy)):
        replace_text(folder / f"track_{name}.gpx", _gpx(plan, direction, track))


def _fixes(plan: DrivePlan, direction: str) -> list[Fix]:
    """True fixes of an antenna at the lens, from the drive's start to its last frame; none in tunnels."""
    frames, motion, blind = plan.frames[direction], plan.motion[direction], holes(plan, direction)
    start, sign = frames[0].s, DIRECTIONS[direction]
    count = int(frames[-1].time_s * plan.options.gps_hz + 1e-9) + 1
    fixes = []
    for k in range(count):
        time_s = k / plan.options.gps_hz
        if any(first <= time_s <= last for first, last in blind):
            continue
        pose = view_at(plan, direction, time_s, start + sign * motion.distance_at(time_s)).pose
        easting, northing, height = grid(plan, np.array([pose.x, pose.y, pose.z])).tolist()
        fixes.append(Fix(time_s, easting, northing, height))
    return fixes


def _camera_yaml(calibration: dict[str, Any]) -> str:
    """The calibration in the form of `camera.yaml`."""
    lens = {key: calibration[key] for key in ("width", "height", "focal_px", "cx", "cy", "distortion")}
    return "".join(f"{key}: {value}\n" for key, value in (lens | calibration["mount"]).items())


def _gpx(plan: DrivePlan, direction: str, fixes: list[Fix]) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="reg-yolo scenes" xmlns="http://www.topografix.com/GPX/1/1">',
        f" <trk><name>{schema_of(plan, 'drive')} seed {plan.options.seed} {direction}</name>",
        "  <trkseg>",
    ]
    for fix in fixes:
        longitude, latitude = plan.zone.to_lon_lat(fix.easting_m, fix.northing_m)
        when = utc_text(START[direction], fix.time_s)
        lines.append(
            f'   <trkpt lat="{latitude:.9f}" lon="{longitude:.9f}">'
            f"<ele>{fix.height_m:.3f}</ele><time>{when}</time></trkpt>"
        )
    lines += ["  </trkseg>", " </trk>", "</gpx>"]
    return "\n".join(lines) + "\n"
