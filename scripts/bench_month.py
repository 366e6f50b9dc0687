"""Measure what merging a month of drives takes: time and memory of all that `inventory build` does after the drives.

    python -m scripts.bench_month BUILT --out FOLDER [--roads 100]

BUILT is what `inventory build DRIVES --drive-per-folder` left of one road, driven both ways, that
`scripts.bench_scale` wrote. Its kept outcomes are copied to as many places as there are to be roads, so that only the
merge is done: matching, fitting, assets, and all outputs. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from unittest.mock import patch

from reg_yolo.inventory import building
from reg_yolo.inventory.command import build_into
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.work.folders import WORK_FOLDER, Place, Worked

APART_DEG = 0.4
IN_A_ROW = 20


def copy_outcome(source: Path, target: Path, road: int) -> tuple[float, int]:
    """Write the outcome of a drive for another road; return kilometres and objects."""
    kilometres, objects = 0.0, 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            if line.startswith('{"is":"DriveOutcome"'):
                found = json.loads(line)
                east, north = found["centre"]["items"]
                place = east + APART_DEG * (road % IN_A_ROW), north + APART_DEG * (road // IN_A_ROW)
                found["centre"]["items"] = [round(one, 3) for one in place]
                found["name"] = f"road_{road:03d}_{source.stem}"
                line = json.dumps(found, separators=(",", ":")) + "\n"
                kilometres += sum(one["track_to_m"] - one["track_from_m"] for one in found["stretches"]["items"]) / 1000
            elif line.startswith('{"is":"Sighting"'):
                objects += 1
            out.write(line)
    return kilometres, objects


def main() -> None:
    """Read the command line, copy, merge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("built", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--roads", type=int, default=100)
    arguments = parser.parse_args()
    kept = sorted((arguments.built / WORK_FOLDER / "detections").glob("*.jsonl"))
    files, kilometres, objects = [], 0.0, 0
    for road in range(arguments.roads):
        for source in kept:
            files.append(arguments.out / "outcomes" / f"road_{road:03d}" / source.name)
            length, count = copy_outcome(source, files[-1], road)
            kilometres, objects = kilometres + length, objects + count
    begun, used = time.perf_counter(), time.process_time()
    with patch.object(building, "work_on_folders", lambda *_: Worked(files, [])):
        built = build_into(
            BuildOptions(detections=(), gnss=()), arguments.out / "inventory",
            folders=(arguments.out, Place()), say=print,
        )  # fmt: skip
    took = time.perf_counter() - begun, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("| drives | km | objects | assets | seconds | processor s | MB |\n|---|---|---|---|---|---|---|")
    print(
        f"| {len(files)} | {kilometres:.0f} | {objects} | {len(built.assets)} | {took[0]:.0f} | {took[1]:.0f} | "
        f"{memory:.0f} |"
    )


if __name__ == "__main__":
    main()
