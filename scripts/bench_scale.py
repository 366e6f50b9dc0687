"""Make long drives and many of them out of pieces of embedded drives, to measure what `inventory build` takes.

    python -m scripts.bench_scale PIECE --out FOLDER [--frames 36000] [--roads 1] [--both]

PIECE is what `reg-yolo scenes OUT --drive 10 --both-directions --truth-only` wrote (with `--every 5`, or 10 frames a
second). Each road is a chain of copies of it from south to north, and noisy as T- of
bench_inventory.py: boxes, positions and calibration, drawn for every drive. FOLDER gets a folder for each drive with
`detections.jsonl`, `track.gpx`, `camera.yaml` and `drive.yaml`; drives that are there are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.scenes.drives.gnss import NoiseModel, correlated_noise, draw_constants
from scripts.bench_inventory import write_detections

FloatArray = NDArray[np.float64]

_APART_DEG = 0.5
"""Between the starts of two roads, so that they do not meet."""
_ROADS_IN_A_ROW = 12


@dataclass(frozen=True)
class Piece:
    """The frames of a direction of an embedded drive.

    Attributes:
        head: First line of frames.jsonl.
        mount: Height and angles of the camera.
        records: The others, without masks.
        places: Easting and northing of the vehicle, shape (F, 2).
        heading_rad: Shape (F,).
    """

    head: dict[str, Any]
    mount: dict[str, float]
    records: list[dict[str, Any]]
    places: FloatArray
    heading_rad: FloatArray

    @classmethod
    def read(cls, folder: Path) -> Piece:
        """Read frames.jsonl and calibration_clean.json."""
        with (folder / "frames.jsonl").open(encoding="utf-8") as stream:
            head = json.loads(next(stream))
            records = [json.loads(line) for line in stream]
        for record in records:
            for found in record["objects"]:
                found.pop("mask", None)
        places = np.array([[one["pose"]["easting_m"], one["pose"]["northing_m"]] for one in records])
        heading = np.radians([one["pose"]["heading_deg"] for one in records])
        mount = json.loads((folder / "calibration_clean.json").read_text(encoding="utf-8"))["mount"]
        return cls(head, mount, records, places, heading)


@dataclass(frozen=True)
class Move:
    """A turn about the origin, then a shift."""

    turn_rad: float
    shift: FloatArray

    def __call__(self, points: FloatArray) -> FloatArray:
        """Move points, shape (N, 2)."""
        sin, cos = np.sin(self.turn_rad), np.cos(self.turn_rad)
        east, north = points.T
        return np.stack([east * cos + north * sin, north * cos - east * sin], 1) + self.shift


def chain(piece: Piece, copies: int) -> list[Move]:
    """Return how each copy of a piece is moved: to where the one before ends, and so that the road leads north.

    Where two copies meet the road has a corner. Going on straight there, the copies of most pieces meet in a ring.
    """
    whole = piece.places[-1] - piece.places[0]
    turn = -float(np.arctan2(whole[0], whole[1]))
    unshifted = Move(turn, np.zeros(2))(piece.places)
    step = 2 * unshifted[-1] - unshifted[-2] - unshifted[0]
    return [Move(turn, n * step - unshifted[0]) for n in range(copies)]


def write_long_drive(
    folder: Path, piece: Piece, moves: list[Move], frames: int, origin: tuple[float, float], seed: int, start: datetime
) -> int:
    """Write a drive over copies of a piece; return how many objects it shows.

    Args:
        folder: Made; nothing is done where it holds a camera.yaml.
        piece: Frames of one copy.
        moves: Of each copy, in the order of driving.
        frames: The drive ends after so many.
        origin: Longitude and latitude of the roads' zero.
        seed: Of the noise.
        start: Time of the first frame.
    """
    step = piece.records[1]["time_s"] - piece.records[0]["time_s"]
    truth = folder / "frames.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "camera.yaml").exists():
        return 0
    names, places, count = set(), [], 0
    with truth.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(piece.head) + "\n")
        for number, move in enumerate(moves):
            moved = move(piece.places)
            for record, place in zip(piece.records, moved, strict=True):
                if count == frames:
                    break
                objects = [{**found, "asset_id": f"{number}-{found['asset_id']}"} for found in record["objects"]]
                names |= {found["asset_id"] for found in objects}
                stream.write(json.dumps({"frame": count, "time_s": round(count * step, 6), "objects": objects}) + "\n")
                places.append(place)
                count += 1
    write_detections(truth, folder / "detections.jsonl", "T-", seed)
    truth.unlink()
    rng, model = np.random.default_rng([seed, 5]), NoiseModel()
    constants = draw_constants(rng, model)
    time_s = np.arange(count) * step
    noise = [correlated_noise(rng, time_s, model.position_m, model.correlation_s) for _ in range(2)]
    degrees = LocalProjection(*origin).to_degrees(np.array(places) + np.stack(noise, 1))
    stamps = [start + timedelta(seconds=float(one) + constants.clock_s) for one in time_s]
    _write_gpx(folder / "track.gpx", degrees, stamps)
    (folder / "drive.yaml").write_text(f"start: {start.isoformat()}\n", encoding="utf-8")
    calibration = {**piece.head["calibration"], **piece.mount}
    calibration["focal_px"] *= constants.focal_factor
    calibration["pitch_deg"] += constants.pitch_deg
    (folder / "camera.yaml").write_text(
        "".join(f"{key}: {value}\n" for key, value in calibration.items()), encoding="utf-8"
    )
    return len(names)


def _write_gpx(path: Path, degrees: FloatArray, stamps: list[datetime]) -> None:
    points = "".join(
        f'<trkpt lat="{latitude:.9f}" lon="{longitude:.9f}"><time>{stamp.isoformat()}</time></trkpt>\n'
        for (longitude, latitude), stamp in zip(degrees.tolist(), stamps, strict=True)
    )
    path.write_text(
        '<gpx version="1.1" creator="bench" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>\n'
        f"{points}</trkseg></trk></gpx>\n",
        encoding="utf-8",
    )


def main() -> None:
    """Write the drives, and say how long they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("piece", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=36_000, help="of each drive")
    parser.add_argument("--roads", type=int, default=1)
    parser.add_argument("--both", action="store_true", help="each road is driven there and back")
    options = parser.parse_args()
    forward = Piece.read(options.piece / "forward")
    moves = chain(forward, -(-options.frames // len(forward.records)))
    directions = {"forward": (forward, moves)}
    if options.both:
        directions["backward"] = Piece.read(options.piece / "backward"), moves[::-1]
    shown = 0
    for road in range(options.roads):
        origin = 99.0 + road % _ROADS_IN_A_ROW * _APART_DEG, 10.0 + road // _ROADS_IN_A_ROW * _APART_DEG
        for number, (direction, (piece, some)) in enumerate(directions.items()):
            seed = 2 * road + number
            start = datetime(2024, 5, 1, 3, tzinfo=UTC) + timedelta(hours=2 * seed)
            folder = options.out / f"road_{road:03d}_{direction}"
            found = write_long_drive(folder, piece, some, options.frames, origin, seed, start)
            shown += found
    print(f"{options.roads * len(directions)} drives of {options.frames} frames, {shown} objects in those written now")


if __name__ == "__main__":
    main()
