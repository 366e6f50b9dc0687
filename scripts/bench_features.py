"""Measure the inventory on a kilometre of every feature of the embedded drives, from true boxes and clean tracks.

    python -m scripts.bench_features OUT [--features none,tunnel] [--seed 4] [--fps 5] [--size 640x384]

Prints one row of a table a feature. Assets that are labelled in two frames or more count. A drive that is there
already is not made again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.inventory.command import build_into
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.score.identities import IdentityScore, score_identities
from reg_yolo.inventory.score.scoring import score_files
from reg_yolo.scenes import DriveFeatures, write_drive
from reg_yolo.scenes.drives.gnss import clock_offset
from scripts.bench_inventory import write_detections


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--features", default=",".join(["none", *(one.name for one in fields(DriveFeatures))]))
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--size", default="640x384")
    options = parser.parse_args()
    print("| feature | median, m | p90, m | found | false | double | HOTA | IDF1 | |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in options.features.split(","):
        folder = options.out / f"{name}_{options.seed}_{options.size}"
        if not (folder / "assets.geojson").is_file():
            features = DriveFeatures.parse("" if name == "none" else name)
            width, height = (int(part) for part in options.size.split("x"))
            write_drive(folder, 1.0, (width, height), options.seed, fps=options.fps, features=features, truth_only=True)
        print(measured(folder, name, options.seed), flush=True)


def measured(root: Path, name: str, seed: int) -> str:
    """Build an inventory of a drive and return its row."""
    drive = root / "forward"
    frames = drive / "frames.jsonl"
    labelled = write_detections(frames, drive / "boxes.jsonl", "T", 0, source=str(frames))
    clean = json.loads((drive / "calibration_clean.json").read_text(encoding="utf-8"))
    camera = {key: clean[key] for key in ("width", "height", "focal_px", "cx", "cy")} | clean["mount"]
    if "distortion" in clean:
        camera["distortion"] = clean["distortion"]
    (drive / "camera.yaml").write_text(dump_yaml(camera), encoding="utf-8")
    with frames.open(encoding="utf-8") as stream:
        start = datetime.fromisoformat(json.loads(next(stream))["start_utc"])
    if name == "clock":
        # The clean track has the camera's time; a receiver that is ahead shows as a camera that is late.
        start -= timedelta(seconds=clock_offset(seed))
    lines: list[str] = []
    build_into(
        BuildOptions(
            (drive / "boxes.jsonl",),
            (drive / "track_clean.gpx",),
            (drive / "camera.yaml",),
            starts=(start.isoformat(),),
        ),
        root / "built",
        say=lines.append,
    )
    truth = json.loads((root / "assets.geojson").read_text(encoding="utf-8"))
    truth["features"] = [
        one
        for one in truth["features"]
        if labelled[one["properties"]["asset_id"]] >= 2 or one["properties"]["geometry_kind"] == "line"
    ]
    (root / "counted.geojson").write_text(json.dumps(truth), encoding="utf-8")
    score = score_files(root / "built" / "inventory.geojson", root / "counted.geojson", 10.0).to_dict()
    same = score_identities(root / "built" / "inventory.geojson", root / "counted.geojson")
    identities = f"{same.hota:.3f} | {same.idf1:.3f}" if isinstance(same, IdentityScore) else "- | -"
    clock = "; ".join(line for line in lines if "clock" in line or "not static" in line)
    errors = f"{score['error_median_m']:.2f} | {score['error_p90_m']:.2f}"
    counts = f"{score['found']} of {score['true']} | {score['false']} | {score['double']}"
    return f"| {name} | {errors} | {counts} | {identities} | {clock} |"


if __name__ == "__main__":
    main()
