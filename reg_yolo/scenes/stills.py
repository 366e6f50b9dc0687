"""Sets of still pictures with YOLO labels, split by place, in the paper's class mix."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.scenes import catalogue
from reg_yolo.scenes.camera import Camera
from reg_yolo.scenes.composing import Rendering, compose, random_mount, random_view
from reg_yolo.scenes.labels import LabelRule, yolo_row
from reg_yolo.scenes.lighting import Lighting, random_lighting
from reg_yolo.scenes.mix import class_totals, plan_counts
from reg_yolo.scenes.setting import LEFT, RIGHT, random_setting
from reg_yolo.scenes.surface import shadow_factor, texture_factor
from reg_yolo.scenes.weather import encode_jpeg, finish

STILLS_SCHEMA = "reg-yolo/scenes-stills/1"
IMAGES_PER_PLACE = 2
_STATION_M = 440.0


@dataclass(frozen=True)
class StillJob:
    """Everything that determines one picture."""

    seed: int
    place: int
    shot: int
    split: str
    wanted: tuple[int, ...]
    width: int
    height: int
    boxes_only: bool
    traffic: int
    time: str
    weather: str
    rule: LabelRule

    @property
    def name(self) -> str:
        """File name without ending."""
        return f"place{self.place:05d}_{self.shot}"


@dataclass
class Still:
    """One finished picture: JPEG bytes, label rows and a record for the manifest."""

    jpeg: bytes
    rows: list[str]
    record: dict[str, object]
    counts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class StillsSummary:
    """What `write_stills` has written.

    Args:
        data_yaml: the data set's YAML.
        images: pictures by split.
        objects: labelled objects by split and class name.
        planned: planned objects by split and class name; `objects` differs from it where no visible place was found.
    """

    data_yaml: Path
    images: dict[str, int]
    objects: dict[str, dict[str, int]]
    planned: dict[str, dict[str, int]]


def render_still(job: StillJob) -> Still:
    """Make one picture; the same job gives the same bytes in any process."""
    rendering, lighting, camera, rng, info = _scene(job)
    picture = finish(rendering.picture, camera, lighting, rng)
    rows = [yolo_row(rendering.numbers, label, camera, boxes_only=job.boxes_only) for label in rendering.labels]
    record: dict[str, object] = {
        "image": f"images/{job.split}/{job.name}.jpg",
        "split": job.split,
        "place": job.place,
        **info,
    }
    counts = np.bincount([label.class_id for label in rendering.labels], minlength=len(catalogue.CLASS_NAMES))
    return Still(encode_jpeg(picture, lighting.jpeg_quality), rows, record, [int(c) for c in counts])


def _scene(job: StillJob) -> tuple[Rendering, Lighting, Camera, np.random.Generator, dict[str, object]]:
    place_rng = np.random.default_rng([job.seed, 1, job.place])
    setting = random_setting(place_rng, _STATION_M * IMAGES_PER_PLACE + 500, job.traffic)
    camera = Camera.from_field_of_view(job.width, job.height, float(place_rng.uniform(50, 70)))
    mount = random_mount(place_rng)
    heading = float(setting.road.heading_at(60.0))
    lighting = random_lighting(place_rng, heading, time=job.time, weather=job.weather)
    rng = np.random.default_rng([job.seed, 2, job.place, job.shot])
    view, lane = random_view(setting, rng, camera, mount, 60.0 + _STATION_M * job.shot)
    rendering = compose(setting, view, lighting, rng, np.array(job.wanted), job.rule, lane)
    factor = texture_factor(setting, view, rendering.numbers)
    shadows = shadow_factor(rendering.objects, setting, view, lighting, rendering.numbers)
    if shadows is not None:
        factor = factor * shadows
    rendering.picture = np.clip(rendering.picture * factor[..., None], 0, 255).astype(np.uint8)
    pose = view.pose
    info: dict[str, object] = {
        "time": lighting.time,
        "weather": lighting.weather,
        "backlight": lighting.backlight,
        "land": setting.section.land,
        "focal_px": round(camera.focal_px, 3),
        "height_m": round(mount["height"], 3),
        "pitch_deg": round(pose.pitch_deg, 3),
        "objects": [
            {
                "class": catalogue.CLASS_NAMES[label.class_id],
                "box_xyxy": list(label.box),
                "visible_pixels": label.visible_pixels,
                "visible_share": round(label.visible_share, 4),
            }
            for label in rendering.labels
        ],
    }
    return rendering, lighting, camera, rng, info


def plan_stills(
    images: int,
    size: tuple[int, int],
    seed: int,
    *,
    boxes_only: bool = False,
    val_fraction: float = 0.2,
    traffic_side: str = "left",
    objects_per_image: float = 5.0,
    mix: Sequence[float] = catalogue.DEFAULT_MIX,
    time: str = "",
    weather: str = "",
    rule: LabelRule | None = None,
) -> list[StillJob]:
    """The jobs of a set; see `write_stills` for the arguments. Places of the two splits do not overlap."""
    _check(images, size, val_fraction, traffic_side, mix)
    rng = np.random.default_rng([seed, 0])
    places = -(-images // IMAGES_PER_PLACE)
    slots = [(place, shot) for place in range(places) for shot in range(IMAGES_PER_PLACE)][:images]
    held_out = {int(p) for p in rng.permutation(places)[: round(places * val_fraction)]}
    splits = ["val" if place in held_out else "train" for place, _ in slots]
    everything = class_totals(round(images * objects_per_image), mix)
    val_images = splits.count("val")
    val_totals = np.minimum(class_totals(round(val_images * objects_per_image), mix), everything)
    plans = {
        "train": iter(plan_counts(rng, max(images - val_images, 1), everything - val_totals)),
        "val": iter(plan_counts(rng, max(val_images, 1), val_totals)),
    }
    return [
        StillJob(
            seed,
            place,
            shot,
            split,
            tuple(int(c) for c in next(plans[split])),
            size[0],
            size[1],
            boxes_only,
            LEFT if traffic_side == "left" else RIGHT,
            time,
            weather,
            rule or LabelRule(),
        )
        for (place, shot), split in zip(slots, splits, strict=True)
    ]


def write_stills(
    out: Path | str,
    images: int = 400,
    size: tuple[int, int] = (640, 384),
    seed: int = 0,
    *,
    boxes_only: bool = False,
    val_fraction: float = 0.2,
    workers: int = 1,
    traffic_side: str = "left",
    objects_per_image: float = 5.0,
    mix: Sequence[float] = catalogue.DEFAULT_MIX,
    time: str = "",
    weather: str = "",
    rule: LabelRule | None = None,
    progress: bool = False,
) -> StillsSummary:
    """Write a data set of still pictures: images/, labels/, data.yaml and scenes.json.

    Args:
        out: folder that is made; it must not hold a data set yet.
        images: number of pictures.
        size: width and height in pixels.
        seed: the same seed and arguments give the same bytes, with any number of workers.
        boxes_only: box rows for every class; otherwise polygon rows for the five classes that have masks.
        val_fraction: share of the places that are held out.
        workers: processes; 1 works in this one. More need the caller's main module to be importable.
        traffic_side: "left" (Thailand) or "right".
        objects_per_image: mean number of labelled objects.
        mix: proportions of the seven classes among all labelled objects.
        time: "day", "dusk" or "night" for all pictures; "" mixes them.
        weather: "clear", "overcast", "rain" or "fog" for all pictures; "" mixes them.
        rule: what must be seen of an object to be labelled.
        progress: print a line now and then.

    Raises:
        ConfigError: an argument is out of range.
        DataError: `out` already holds a data set.
    """
    out = Path(out)
    if (out / "images").exists() or (out / "data.yaml").exists():
        raise DataError(f"{out} already holds a data set. Choose another folder or remove it first.")
    jobs = plan_stills(
        images,
        size,
        seed,
        boxes_only=boxes_only,
        val_fraction=val_fraction,
        traffic_side=traffic_side,
        objects_per_image=objects_per_image,
        mix=mix,
        time=time,
        weather=weather,
        rule=rule,
    )
    splits = ["train", "val"] if any(job.split == "val" for job in jobs) else ["train"]
    for split in splits:
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
        (out / "labels" / split).mkdir(parents=True, exist_ok=True)
    done = {split: np.zeros(len(catalogue.CLASS_NAMES), np.int64) for split in splits}
    planned = {split: np.zeros(len(catalogue.CLASS_NAMES), np.int64) for split in splits}
    records: list[dict[str, object]] = []
    for index, (job, still) in enumerate(zip(jobs, _rendered(jobs, workers), strict=True)):
        (out / "images" / job.split / f"{job.name}.jpg").write_bytes(still.jpeg)
        (out / "labels" / job.split / f"{job.name}.txt").write_text(
            "".join(row + "\n" for row in still.rows), encoding="utf-8"
        )
        records.append(still.record)
        done[job.split] += np.array(still.counts)
        planned[job.split] += np.array(job.wanted)
        if progress and (index + 1) % 50 == 0:
            print(f"{index + 1}/{images} scenes", flush=True)
    _write_index(out, splits, seed, jobs, records)
    names = catalogue.CLASS_NAMES
    return StillsSummary(
        out / "data.yaml",
        {split: sum(job.split == split for job in jobs) for split in splits},
        {split: dict(zip(names, (int(c) for c in done[split]), strict=True)) for split in splits},
        {split: dict(zip(names, (int(c) for c in planned[split]), strict=True)) for split in splits},
    )


def _rendered(jobs: list[StillJob], workers: int) -> Iterator[Still]:
    if workers <= 1:
        yield from map(render_still, jobs)
        return
    # Spawned, not forked: the caller may have threads (torch, OpenCV) that a fork would freeze.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(render_still, jobs, chunksize=4)


def _write_index(
    out: Path, splits: list[str], seed: int, jobs: list[StillJob], records: list[dict[str, object]]
) -> None:
    header = {
        "schema": STILLS_SCHEMA,
        "seed": seed,
        "size": [jobs[0].width, jobs[0].height],
        "names": list(catalogue.CLASS_NAMES),
        "mask_classes": [catalogue.CLASS_NAMES[c] for c in sorted(catalogue.MASK_CLASSES)],
        "boxes_only": jobs[0].boxes_only,
        "traffic_side": "left" if jobs[0].traffic == LEFT else "right",
        "label_rule": asdict(jobs[0].rule),
        "images": records,
    }
    replace_text(out / "scenes.json", json.dumps(header, indent=1) + "\n")
    lines = ["# Procedural highway scenes; see scenes.json for the conditions of each picture.", "train: images/train"]
    lines.append("val: images/val" if "val" in splits else "val: images/train")
    lines.append("names:")
    lines += [f"  {index}: {name}" for index, name in enumerate(catalogue.CLASS_NAMES)]
    replace_text(out / "data.yaml", "\n".join(lines) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it, so that it is never half there."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _check(images: int, size: tuple[int, int], val_fraction: float, traffic_side: str, mix: Sequence[float]) -> None:
    if images < 1:
        raise ConfigError(f"The number of images must be at least 1, got {images}.")
    if min(size) < 64 or max(size) > 8192:
        raise ConfigError(f"The size must be WIDTHxHEIGHT with sides from 64 to 8192 pixels, got {size[0]}x{size[1]}.")
    if not 0 <= val_fraction < 1:
        raise ConfigError(f"The validation share must be from 0 to below 1, got {val_fraction}.")
    if traffic_side not in ("left", "right"):
        raise ConfigError(f"The traffic side must be left or right, got {traffic_side!r}.")
    if len(mix) != len(catalogue.CLASS_NAMES) or min(mix) < 0 or sum(mix) <= 0:
        raise ConfigError(f"The class mix needs {len(catalogue.CLASS_NAMES)} weights of at least 0, got {list(mix)}.")
