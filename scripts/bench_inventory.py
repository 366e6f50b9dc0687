"""Measure the inventory on embedded drives: true boxes (T), true boxes made worse (T-), or what a detector found (D).

    python -m scripts.bench_inventory DRIVES --out results --draws 50 [--kind T-] [--passes one|both]

DRIVES are folders that `reg-yolo scenes OUT --drive 10 --both-directions --truth-only` wrote. Each draw of the
positions is one file in the results' folder; a second run goes on where the first one stopped. The table is printed at
the end.

D takes drives with images, and for each direction the detections that were made of them:

    reg-yolo scenes D0 --drive 10 --every 5 --both-directions
    reg-yolo predict demo D0/forward/frames --for-inventory --out D0/forward/found      # and of D0/backward
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from shapely import LineString

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter, read_detections
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.assets import assemble, bridge_lines
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import shape_of
from reg_yolo.inventory.defaults import MIN_PROBABILITY
from reg_yolo.inventory.diff.differences import one_to_one
from reg_yolo.inventory.drive.driving import DriveTask, run_drive
from reg_yolo.inventory.drive.looks import read_drive
from reg_yolo.inventory.drive.overlaps import iou
from reg_yolo.inventory.drive.stretches import surveyed_stretches
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.unseen import unseen_odds
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.gpx import read_gpx
from reg_yolo.inventory.positions.smoothing import Drift
from reg_yolo.inventory.positions.trajectory import build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.score.scoring import line_lengths
from reg_yolo.scenes.drives.gnss import NoiseModel, correlated_noise, draw_constants
from scripts.bench_lorries import add_lorries, listed_lorries

MISSED, WRONG, FALSE, JITTER_PX = 0.15, 0.05, 0.05, 3.0
WITHIN_M, LISTED = 10.0, MIN_PROBABILITY


def write_detections(
    frames: Path, out: Path, kind: str, seed: int, lorries: int = 0, source: str = "truth"
) -> Counter[str]:
    """Write true boxes, or worse ones, as a detections file; return how often each asset was labelled.

    `lorries` puts that many signs on vehicles among them, named after `PREFIX`; `source` is what the boxes are of.
    """
    with frames.open(encoding="utf-8") as stream:
        head = json.loads(next(stream))
        records = [json.loads(line) for line in stream]
    width, height, names = head["calibration"]["width"], head["calibration"]["height"], head["names"]
    if kind == "D":
        return _write_found(frames, records, names, (width, height), out)
    if lorries:
        add_lorries(records, head["calibration"], names, lorries, seed)
    labelled = Counter(found["asset_id"] for record in records for found in record["objects"])
    if out.exists():
        return labelled
    rng = np.random.default_rng([seed, 77])
    header = DetectionsHeader(
        source=str(frames), classes=tuple(names), weights_name="truth", weights_sha256="0" * 64, engine="pytorch",
        precision="f32", imgsz=(height, width), device="cpu", thresholds={}, reg_yolo_version="0", width=width,
        height=height,
    )  # fmt: skip
    if lorries:
        # They are counted by pass, so that boxes must say which one they are of.
        source = str(frames)
    limits = np.array([width, height, width, height])
    with DetectionsWriter(out, header) as writer:
        for record in records:
            found = []
            for truth in record["objects"]:
                class_id, box, confidence = truth["class_id"], np.array(truth["xyxy"], float), 0.9
                if kind == "T-":
                    if rng.random() < MISSED:
                        continue
                    if rng.random() < WRONG:
                        class_id = int(rng.choice([k for k in range(len(names)) if k != class_id]))
                    box = np.clip(box + rng.normal(0, JITTER_PX, 4), 0, limits)
                    box = np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])
                    confidence = float(np.clip(rng.normal(0.7, 0.15), 0.26, 0.99))
                found.append(Detection(names[class_id], class_id, confidence, tuple(box.tolist())))
            for _ in range(rng.binomial(len(record["objects"]), FALSE) if kind == "T-" else 0):
                class_id, half = int(rng.integers(len(names))), np.exp(rng.uniform(np.log(5), np.log(60), 2))
                middle = rng.uniform([0, 0], [width, height])
                box = np.clip(np.concatenate([middle - half, middle + half]), 0, limits)
                confidence = float(np.clip(rng.normal(0.4, 0.12), 0.26, 0.9))
                found.append(Detection(names[class_id], class_id, confidence, tuple(box.tolist())))
            writer.write(FrameDetections(source, record["frame"], record["time_s"], width, height, tuple(found)))
    return labelled


def _write_found(
    frames: Path, records: list[dict[str, Any]], names: list[str], size: tuple[int, int], out: Path
) -> Counter[str]:
    """Write a detector's boxes with the frames' own times; return in how many frames it found each asset.

    An asset is found where a box of its class that reaches the threshold of that class has an IoU of 0.5 with it.
    """
    by_image = {Path(record["file"]).name: record for record in records}
    found: Counter[str] = Counter()
    parts = sorted((frames.parent / "found").glob("**/*.jsonl"))
    if not parts:
        raise SystemExit(f"{frames.parent / 'found'}: no detections; see `python -m scripts.bench_inventory --help`")
    header, looks = None, []
    for part in parts:
        reader = read_detections(part)
        header = header or reader.header
        limits = reader.header.extra.get("stored_thresholds") or {}
        for frame in reader:
            record = by_image[Path(frame.source).name]
            looks.append(replace(frame, source="truth", frame=record["frame"], time_s=record["time_s"]))
            strong = [one for one in frame.detections if one.confidence >= limits.get(one.class_name, 0.0)]
            for truth in record["objects"]:
                same = [one.box_xyxy for one in strong if one.class_name == names[truth["class_id"]]]
                overlaps = iou(np.array([truth["xyxy"]], float), np.array(same).reshape(-1, 4))
                found[truth["asset_id"]] += bool((overlaps >= 0.5).any())
    labelled = Counter(one["asset_id"] for record in records for one in record["objects"])
    counted = [name for name, frames_with in labelled.items() if frames_with >= 2]
    print(f"{frames}: {sum(found[name] >= 2 for name in counted)} of {len(counted)} assets found in two frames or more")
    if not out.exists():
        assert header is not None
        looks.sort(key=lambda one: one.frame)
        with DetectionsWriter(out, replace(header, source=str(frames), width=size[0], height=size[1])) as writer:
            for look in looks:
                writer.write(look)
    return found


def run(
    root: Path, directions: list[str], kind: str, draw: int | None, folder: Path, lorries: int = 0
) -> dict[str, Any]:
    """Build one inventory and compare it; `draw` numbers the noise, None takes clean tracks and calibrations."""
    assets, labelled, projection, results = _built(root, directions, kind, draw, folder, lorries)
    compared = _compared(root, assets, labelled, projection)
    if lorries:
        listed = [asset.observations for asset in assets if asset.probability >= LISTED and asset.values["passes"] == 1]
        for direction, result in zip(directions, results, strict=True):
            frames = root / direction / "frames.jsonl"
            own = [some for some in listed if str(frames) in set(some.sources)]
            counted = listed_lorries(frames, lorries, 0, own)
            compared["lorries"] = compared.get("lorries", 0) + counted[0]
            compared["listed lorries"] = compared.get("listed lorries", 0) + counted[1]
            compared["not static"] = compared.get("not static", 0) + len(result.not_static)
    return compared


def build(
    root: Path, directions: list[str], kind: str, draw: int | None, folder: Path
) -> tuple[list[Any], Counter[str], LocalProjection]:
    """Return the assets, how often each true one was labelled, and what the assets' metres mean; see `run`."""
    return _built(root, directions, kind, draw, folder, 0)[:3]


def _built(
    root: Path, directions: list[str], kind: str, draw: int | None, folder: Path, lorries: int
) -> tuple[list[Any], Counter[str], LocalProjection, list[Any]]:
    tasks, labelled, projection = [], Counter(), None
    for number, direction in enumerate(directions):
        path = folder / f"{root.name}_{direction}_{kind}{f'_{lorries}' if lorries else ''}.jsonl"
        labelled += write_detections(root / direction / "frames.jsonl", path, kind, 0, lorries)
        looks = read_drive([path])
        clean = json.loads((root / direction / "calibration_clean.json").read_text(encoding="utf-8"))
        mount = clean["mount"]
        camera = Camera(
            looks.width, looks.height, clean["focal_px"], clean["cx"], clean["cy"], height_m=mount["height_m"],
            pitch_deg=mount["pitch_deg"], roll_deg=mount["roll_deg"], yaw_deg=mount["yaw_deg"],
        )  # fmt: skip
        fixes = read_gpx(root / direction / "track_clean.gpx")
        projection = projection or LocalProjection.around(fixes.longitude_deg, fixes.latitude_deg)
        if draw is not None:
            fixes, camera = _noisy(fixes, camera, projection, np.random.default_rng([draw, number, 9]))
        with (root / direction / "frames.jsonl").open(encoding="utf-8") as stream:
            start = datetime.fromisoformat(json.loads(next(stream))["start_utc"]).timestamp()
        trajectory = build_trajectory(fixes, projection, Drift())
        shapes = tuple(shape_of(name) for name in looks.classes)
        tasks.append(DriveTask(number, direction, looks, looks.time_s + start, trajectory, camera, shapes))
    results = [run_drive(task) for task in tasks]
    sightings = [sighting for result in results for sighting in result.sightings]
    groups, shifted = match_drives([result.errors for result in results], sightings)
    assert projection is not None
    stretches = [
        one for task, result in zip(tasks, results, strict=True)
        for one in surveyed_stretches(task, result.poses, result.frames)
    ]  # fmt: skip
    unseen = unseen_odds(stretches, sightings, groups, shifted.places_m)
    assets = assemble(sightings, groups, shifted, projection, {}, unseen=unseen)
    return assets, labelled, projection, results


def _noisy(fixes: Fixes, camera: Camera, projection: LocalProjection, rng: np.random.Generator) -> tuple[Fixes, Camera]:
    model = NoiseModel()
    constants = draw_constants(rng, model)
    metres = projection.to_metres(fixes.longitude_deg, fixes.latitude_deg)
    metres = metres + np.stack(
        [correlated_noise(rng, fixes.time_s, model.position_m, model.correlation_s) for _ in range(2)], 1
    )
    degrees = projection.to_degrees(metres)
    moved = replace(
        fixes, longitude_deg=degrees[:, 0], latitude_deg=degrees[:, 1], time_s=fixes.time_s + constants.clock_s
    )
    return moved, replace(
        camera, focal_px=camera.focal_px * constants.focal_factor, pitch_deg=camera.pitch_deg + constants.pitch_deg
    )


def read_truth(root: Path, projection: LocalProjection) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the true points and spans of a drive, and where they stand in metres, shape (N, 2)."""
    truth = [f["properties"] for f in json.loads((root / "assets.geojson").read_text(encoding="utf-8"))["features"]]
    truth = [one for one in truth if one["geometry_kind"] != "line"]
    zone = json.loads((root / "assets.geojson").read_text(encoding="utf-8"))["crs_utm"]["epsg"]
    import pyproj

    back = pyproj.Transformer.from_crs(zone, 4326, always_xy=True)
    places = projection.to_metres(*back.transform(*np.array([one["position_utm"][:2] for one in truth]).T))
    return truth, places


def _lines(root: Path, projection: LocalProjection) -> dict[str, LineString]:
    """Return the true lines of a drive by name, in metres."""
    found = {}
    for feature in json.loads((root / "assets.geojson").read_text(encoding="utf-8"))["features"]:
        if feature["properties"]["geometry_kind"] == "line":
            degrees = np.array(feature["geometry"]["coordinates"])[:, :2]
            found[feature["properties"]["asset_id"]] = LineString(projection.to_metres(*degrees.T))
    return found


def _compared(root: Path, assets: list[Any], labelled: Counter[str], projection: LocalProjection) -> dict[str, Any]:
    truth, places = read_truth(root, projection)
    listed = [asset for asset in assets if asset.probability >= LISTED and asset.kind != "line"]
    middles = np.array([asset.middle_m for asset in listed]).reshape(-1, 2)
    pairs: dict[int, int] = {}
    for name in {one["class"] for one in truth}:
        rows = [n for n, asset in enumerate(listed) if asset.class_name == name]
        columns = [n for n, one in enumerate(truth) if one["class"] == name]
        pairs |= one_to_one(middles, places, rows, columns, WITHIN_M)
    counted = {n for n, one in enumerate(truth) if labelled[one["asset_id"]] >= 2}
    double = 0
    for n, asset in enumerate(listed):
        if n not in pairs:
            near = np.linalg.norm(places - middles[n], axis=1) <= WITHIN_M
            double += any(truth[k]["class"] == asset.class_name for k in np.flatnonzero(near))
    errors, axes, inside = [], [], []
    for i, j in pairs.items():
        apart = middles[i] - places[j]
        covariance = listed[i].covariance
        inside.append(float(apart @ np.linalg.solve(covariance, apart)) < 5.991)
        axes += (np.abs(apart) < np.sqrt(np.diag(covariance))).tolist()
        if j in counted:
            errors.append((float(np.hypot(*apart)), listed[i].values["passes"]))
    lines = _lines(root, projection)
    rails = bridge_lines([asset for asset in assets if asset.probability >= LISTED and asset.kind == "line"])
    seen = [line for name, line in lines.items() if labelled[name] >= 2]
    lengths = line_lengths([LineString(rail.points_m) for rail in rails], seen, list(lines.values()))
    return {
        **dict(zip(("shared", "missed", "extra"), lengths, strict=True)),
        "built": len(listed), "counted": len(counted), "found": len(set(pairs.values()) & counted),
        "matched": len(pairs), "double": double, "errors": errors, "axes": axes, "inside": inside,
    }  # fmt: skip


def table(results: list[dict[str, Any]], label: str) -> str:
    """Return one line of figures over all draws."""
    counted = ("built", "counted", "found", "matched", "double", "shared", "missed", "extra")
    total = {key: sum(one[key] for one in results) for key in counted}
    overlap = total["shared"] / max(total["shared"] + total["missed"] + total["extra"], 1e-9)
    errors = np.array([error for one in results for error in one["errors"]])
    both = errors[errors[:, 1] > 1, 0] if len(errors) else np.zeros(0)
    axes = np.concatenate([one["axes"] for one in results])
    inside = np.concatenate([one["inside"] for one in results])
    seen_in_both = f"; seen in both {np.median(both):.2f} / {np.quantile(both, 0.9):.2f}" if len(both) else ""
    return (
        f"{label}: {len(results)} runs, median {np.median(errors[:, 0]):.2f}, p90 {np.quantile(errors[:, 0], 0.9):.2f}"
        f"{seen_in_both}; recall {total['found'] / total['counted']:.3f}, "
        f"precision {total['matched'] / total['built']:.3f}, "
        f"duplicates removed {1 - total['double'] / total['found']:.3f}, "
        f"strict {(total['found'] - total['double']) / total['counted']:.3f}; inside 1 sigma {axes.mean():.3f}, "
        f"inside 95 % ellipse {inside.mean():.3f}; line overlap {overlap:.3f}{_moving(results)}"
    )


def _moving(results: list[dict[str, Any]]) -> str:
    total = {key: sum(one.get(key, 0) for one in results) for key in ("lorries", "listed lorries", "not static")}
    return f"; {', '.join(f'{count} {name}' for name, count in total.items())}" if any(total.values()) else ""


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drives", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("bench_inventory"))
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--kind", choices=("T", "T-", "D"), default="T-")
    parser.add_argument("--passes", choices=("one", "both"), default="both")
    parser.add_argument("--clean", action="store_true", help="clean tracks and calibrations, one run")
    parser.add_argument("--lorries", type=int, default=0, help="signs on this many vehicles a pass, which move")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    directions = ["forward", "backward"] if options.passes == "both" else ["forward"]
    results = []
    for draw in [None] if options.clean else range(options.draws):
        for root in options.drives:
            more = f"_{options.lorries}" if options.lorries else ""
            name = f"{root.name}_{options.kind}_{options.passes}_{'clean' if draw is None else draw}{more}.json"
            target = options.out / name
            if not target.exists():
                result = run(root, directions, options.kind, draw, options.out, options.lorries)
                target.write_text(json.dumps(result), encoding="utf-8")
            results.append(json.loads(target.read_text(encoding="utf-8")))
            print(table(results, f"{options.kind} {options.passes}"), flush=True)


if __name__ == "__main__":
    main()
