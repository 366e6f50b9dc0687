"""The files beside a drive's images: poses, assets, route, tracks and calibration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.files import replace_text
from reg_yolo.scenes.drives.frames import DIRECTIONS, DrivePlan, FramePlan, RenderedFrame
from reg_yolo.scenes.drives.gnss import utc_text
from reg_yolo.scenes.drives.survey_files import START, grid, holes, schema_of
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.objects import PlacedObject

ROUTE_SCHEMA = "reg-yolo/scenes-route/1"


def frames_header(plan: DrivePlan, direction: str) -> str:
    """First line of frames.jsonl."""
    camera = plan.camera
    header: dict[str, Any] = {
        "schema": schema_of(plan, "frames"),
        "direction": direction,
        "seed": plan.options.seed,
        "start_utc": utc_text(START[direction], 0.0),
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
    if plan.options.features.names:
        header["calibration"]["distortion"] = list(camera.distortion)
    return json.dumps(header) + "\n"


def frame_line(
    plan: DrivePlan, frame: FramePlan, rendered: RenderedFrame, file: str, chapter: int, chapter_frame: int
) -> str:
    """One line of frames.jsonl."""
    pose = rendered.view.pose
    easting, northing, height = grid(plan, np.array([pose.x, pose.y, pose.z])).tolist()
    longitude, latitude = plan.zone.to_lon_lat(easting, northing)
    record: dict[str, Any] = {
        "frame": frame.index,
        "file": file,
        "chapter": chapter,
        "chapter_frame": chapter_frame,
        "time_s": round(frame.time_s, 6),
        "utc": utc_text(START[frame.direction], frame.time_s),
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
    if plan.options.features.names:
        record["speed_mps"] = round(plan.motion[frame.direction].speed_at(frame.time_s), 3)
        record["has_fix"] = not any(first <= frame.time_s <= last for first, last in holes(plan, frame.direction))
        for seen in record["objects"]:
            if (middle := rendered.carried.get(seen["asset_id"])) is not None:
                seen["on_vehicle"] = True
                seen["position_utm"] = [round(float(v), 4) for v in grid(plan, middle)]
    return json.dumps(record) + "\n"


def write_world(out: Path, plan: DrivePlan, videos: dict[str, list[str]]) -> None:
    """Write assets.geojson, route.geojson and, last, drive.json."""
    features = [_asset(plan, placed) for placed in plan.world.assets]
    _write_features(out / "assets.geojson", schema_of(plan, "assets"), plan, features)
    _write_features(out / "route.geojson", ROUTE_SCHEMA, plan, _route(plan))
    options = plan.options
    header: dict[str, Any] = {
        "schema": schema_of(plan, "drive"),
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
                "start_utc": utc_text(START[name], 0.0),
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
    if options.features.names:
        header["features"] = list(options.features.names)
        header["tunnels"] = [{"chainage_m": _rounded(tunnel)} for tunnel in plan.stage.tunnels]
        header["twins"] = [[a.asset_id, b.asset_id] for a, b in plan.stage.twins]
        for name in plan.frames:
            header["directions"][name].update(_events(plan, name))
    replace_text(out / "drive.json", json.dumps(header, indent=1) + "\n")


def _events(plan: DrivePlan, direction: str) -> dict[str, Any]:
    """What happens along one direction because of features; times are seconds since its start."""
    way = DIRECTIONS[direction]
    return {
        "stops": [
            {"distance_m": round(stop.distance_m, 2), "seconds": _rounded((stop.from_s, stop.to_s))}
            for stop in plan.motion[direction].stops
        ],
        "fix_holes": [{"seconds": _rounded(hole)} for hole in holes(plan, direction)],
        "hidden_signs": [
            {"asset_id": hidden.sign.asset_id, "seconds": _rounded((hidden.from_s, hidden.to_s))}
            for hidden in plan.stage.hidden
            if hidden.direction == way
        ],
        "lorries": [
            {"kind": lorry.kind, "sign_id": lorry.sign_id, "seconds": _rounded((lorry.times[0], lorry.times[-1]))}
            for lorry in plan.lorries[direction]
        ],
    }


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 3) for value in values]


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
