"""The files beside a drive's images: poses, assets, route, tracks and calibration."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.files import replace_text
from reg_yolo.scenes.drives.frames import DIRECTIONS, DrivePlan, FramePlan, RenderedFrame, view_at
from reg_yolo.scenes.drives.gnss import Fix, noisy_fixes, utc_text
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.objects import PlacedObject

DRIVE_SCHEMA = "reg-yolo/scenes-drive/1"
FRAMES_SCHEMA = "reg-yolo/scenes-frames/1"
ASSETS_SCHEMA = "reg-yolo/scenes-assets/1"
ROUTE_SCHEMA = "reg-yolo/scenes-route/1"
CALIBRATION_SCHEMA = "reg-yolo/scenes-calibration/1"

_START = {"forward": datetime(2024, 5, 1, 3, 0, 0, tzinfo=UTC), "backward": datetime(2024, 5, 1, 5, 0, 0, tzinfo=UTC)}


def grid(plan: DrivePlan, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """World points `[..., 3]` as easting, northing and height in metres."""
    return np.asarray(points + np.array(plan.origin))


def frames_header(plan: DrivePlan, direction: str) -> str:
    """First line of frames.jsonl."""
    camera = plan.camera
    header = {
        "schema": FRAMES_SCHEMA,
        "direction": direction,
        "seed": plan.options.seed,
        "start_utc": utc_text(_START[direction], 0.0),
        "crs": {"utm_zone": str(plan.zone), "epsg": plan.zone.epsg},
        "calibration": {
            "width": camera.width,
            "height": camera.height,
            "focal_px": round(camera.focal_px, 4),
            "cx": camera.cx,
            "cy": camera.cy,
        },
        "names": list(catalogue.CLASS_NAMES),
    }
    return json.dumps(header) + "\n"


def frame_line(
    plan: DrivePlan, frame: FramePlan, rendered: RenderedFrame, file: str, chapter: int, chapter_frame: int
) -> str:
    """One line of frames.jsonl."""
    pose = rendered.view.pose
    easting, northing, height = grid(plan, np.array([pose.x, pose.y, pose.z])).tolist()
    longitude, latitude = plan.zone.to_lon_lat(easting, northing)
    record = {
        "frame": frame.index,
        "file": file,
        "chapter": chapter,
        "chapter_frame": chapter_frame,
        "time_s": round(frame.time_s, 6),
        "utc": utc_text(_START[frame.direction], frame.time_s),
        "chainage_m": round(frame.s, 4),
        "pose": {
            "easting_m": round(easting, 4),
            "northing_m": round(northing, 4),
            "height_m": round(height, 4),
            "longitude_deg": round(longitude, 9),
            "latitude_deg": round(latitude, 9),
            "heading_deg": round(pose.heading_deg % 360.0, 6),
            "pitch_deg": round(pose.pitch_deg, 6),
            "roll_deg": round(pose.roll_deg, 6),
        },
        "objects": [
            {
                "asset_id": label.asset_id,
                "class_id": label.class_id,
                "class": catalogue.CLASS_NAMES[label.class_id],
                "xyxy": list(label.box),
                "visible_pixels": label.visible_pixels,
                "visible_share": round(label.visible_share, 4),
                "mask": mask,
            }
            for label, mask in zip(rendered.labels, rendered.masks, strict=True)
        ],
    }
    return json.dumps(record) + "\n"


def write_direction(folder: Path, plan: DrivePlan, direction: str) -> None:
    """Write the calibrations and tracks of one direction, clean and noisy."""
    draw, camera = plan.noise[direction], plan.camera
    for name, pitch, factor in (("clean", 0.0, 1.0), ("noisy", draw.pitch_deg, draw.focal_factor)):
        calibration = {
            "schema": CALIBRATION_SCHEMA,
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
        replace_text(folder / f"calibration_{name}.json", json.dumps(calibration, indent=1) + "\n")
    fixes = _fixes(plan, direction)
    rng = np.random.default_rng([plan.options.seed, 6, DIRECTIONS[direction] + 1])
    noisy = noisy_fixes(rng, fixes, plan.options.noise, draw.clock_s)
    for name, track in (("clean", fixes), ("noisy", noisy)):
        replace_text(folder / f"track_{name}.gpx", _gpx(plan, direction, track))


def _fixes(plan: DrivePlan, direction: str) -> list[Fix]:
    """True fixes of an antenna at the lens, from the drive's start to its last frame."""
    frames = plan.frames[direction]
    speed = plan.options.speed_kmh / 3.6
    start, sign = frames[0].s, DIRECTIONS[direction]
    count = int(frames[-1].time_s * plan.options.gps_hz + 1e-9) + 1
    fixes = []
    for k in range(count):
        time_s = k / plan.options.gps_hz
        pose = view_at(plan, direction, time_s, start + sign * speed * time_s).pose
        easting, northing, height = grid(plan, np.array([pose.x, pose.y, pose.z])).tolist()
        fixes.append(Fix(time_s, easting, northing, height))
    return fixes


def _gpx(plan: DrivePlan, direction: str, fixes: list[Fix]) -> str:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="reg-yolo scenes" xmlns="http://www.topografix.com/GPX/1/1">',
        f" <trk><name>{DRIVE_SCHEMA} seed {plan.options.seed} {direction}</name>",
        "  <trkseg>",
    ]
    for fix in fixes:
        longitude, latitude = plan.zone.to_lon_lat(fix.easting_m, fix.northing_m)
        when = utc_text(_START[direction], fix.time_s)
        lines.append(
            f'   <trkpt lat="{latitude:.9f}" lon="{longitude:.9f}">'
            f"<ele>{fix.height_m:.3f}</ele><time>{when}</time></trkpt>"
        )
    lines += ["  </trkseg>", " </trk>", "</gpx>"]
    return "\n".join(lines) + "\n"


def write_world(out: Path, plan: DrivePlan, videos: dict[str, list[str]]) -> None:
    """Write assets.geojson, route.geojson and, last, drive.json."""
    features = [_asset(plan, placed) for placed in plan.world.assets]
    _write_features(out / "assets.geojson", ASSETS_SCHEMA, plan, features)
    _write_features(out / "route.geojson", ROUTE_SCHEMA, plan, _route(plan))
    options = plan.options
    header = {
        "schema": DRIVE_SCHEMA,
        "seed": options.seed,
        "km": options.km,
        "size": list(options.size),
        "fps": options.fps,
        "speed_kmh": options.speed_kmh,
        "every_m": options.every_m,
        "traffic_side": options.traffic_side,
        "crs": {"utm_zone": str(plan.zone), "epsg": plan.zone.epsg},
        "gps_hz": options.gps_hz,
        "noise_model": asdict(options.noise),
        "label_rule": asdict(options.rule),
        "lane": plan.lane,
        "lanes_each_way": plan.world.setting.section.lanes,
        "directions": {
            name: {
                "chainage_sign": DIRECTIONS[name],
                "start_utc": utc_text(_START[name], 0.0),
                "frames": len(frames),
                "videos": videos.get(name, []),
                "time": plan.lighting[name].time,
                "weather": plan.lighting[name].weather,
                "true_errors": {
                    "clock_s": round(plan.noise[name].clock_s, 6),
                    "pitch_deg": round(plan.noise[name].pitch_deg, 6),
                    "focal_factor": round(plan.noise[name].focal_factor, 6),
                },
            }
            for name, frames in plan.frames.items()
        },
        "files": {"assets": "assets.geojson", "route": "route.geojson"},
    }
    if options.truth_only:
        header["truth_only"] = True
    replace_text(out / "drive.json", json.dumps(header, indent=1) + "\n")


def _asset(plan: DrivePlan, placed: PlacedObject) -> dict[str, object]:
    assert placed.geometry is not None
    middle = placed.geometry.mean(axis=0)
    corners = placed.model.vertices
    kind = {1: "point"}.get(len(placed.geometry), "line")
    if placed.class_id in catalogue.SPAN_CLASSES or placed.attributes.get("kind") == "overhead":
        kind = "span"
    if placed.facing is not None:
        middle = corners.mean(axis=0)
    elif kind == "point":
        middle = np.array([*middle[:2], (corners[:, 2].min() + corners[:, 2].max()) / 2])
    shape = grid(plan, placed.geometry if kind != "point" else middle[None])
    around = []
    for easting, northing, height in shape.tolist():
        longitude, latitude = plan.zone.to_lon_lat(easting, northing)
        around.append([round(longitude, 8), round(latitude, 8), round(height, 3)])
    geometry: dict[str, object] = {"type": "LineString", "coordinates": around}
    if kind == "point":
        geometry = {"type": "Point", "coordinates": around[0]}
    attributes = {k: round(v, 4) if isinstance(v, float) else v for k, v in placed.attributes.items()}
    return {
        "type": "Feature",
        "id": placed.asset_id,
        "geometry": geometry,
        "properties": {
            "asset_id": placed.asset_id,
            "class_id": placed.class_id,
            "class": catalogue.CLASS_NAMES[placed.class_id],
            "geometry_kind": kind,
            "position_utm": [round(float(v), 4) for v in grid(plan, middle)],
            "geometry_utm": [[round(float(v), 4) for v in p] for p in shape],
            "chainage_m": [round(placed.footprint[0], 3), round(placed.footprint[1], 3)],
            "offset_m": round(placed.t, 3),
            "attributes": attributes,
        },
    }


def _route(plan: DrivePlan) -> list[dict[str, object]]:
    road, setting = plan.world.setting.road, plan.world.setting
    length = plan.options.km * 1000

    def lon_lat(s: float) -> list[float]:
        easting, northing, height = grid(plan, road.to_world(s, 0.0)).tolist()
        return [round(v, 8) for v in plan.zone.to_lon_lat(easting, northing)] + [round(height, 3)]

    stations = np.append(np.arange(0.0, length, 10.0), length).tolist()
    features: list[dict[str, object]] = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [lon_lat(s) for s in stations]},
            "properties": {
                "kind": "axis",
                "chainage_m": stations,
                "geometry_utm": [[round(float(v), 4) for v in grid(plan, road.to_world(s, 0.0))] for s in stations],
            },
        }
    ]
    features += [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": lon_lat(s)},
            "properties": {
                "kind": "kilometre_post",
                "kilometre": setting.first_kilometre + int(s // 1000),
                "chainage_m": s,
            },
        }
        for s in np.arange(0.0, length + 1, 1000.0).tolist()
    ]
    return features


def _write_features(path: Path, schema: str, plan: DrivePlan, features: list[dict[str, object]]) -> None:
    collection = {
        "type": "FeatureCollection",
        "schema": schema,
        "crs_utm": {"utm_zone": str(plan.zone), "epsg": plan.zone.epsg},
        "features": features,
    }
    replace_text(path, json.dumps(collection, indent=1) + "\n")
