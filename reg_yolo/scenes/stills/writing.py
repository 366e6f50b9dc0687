"""Sets of still images with YOLO labels, split by place, in the paper's class mix."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reg_yolo.errors import DataError
from reg_yolo.files import replace_text, whole_folder
from reg_yolo.parallel import start_worker
from reg_yolo.scenes.labelling.labels import LabelRule
from reg_yolo.scenes.stills.still import Still, StillJob, StillOptions, plan_stills, render_still
from reg_yolo.scenes.world import catalogue

STILLS_SCHEMA = "reg-yolo/scenes-stills/1"


@dataclass(frozen=True)
class StillsSummary:
    """What `write_stills` has written.

    Args:
        data_yaml: the data set's YAML.
        images: images by split.
        objects: labelled objects by split and class name.
        planned: planned objects by split and class name; `objects` differs from it where no visible place was found.
    """

    data_yaml: Path
    images: dict[str, int]
    objects: dict[str, dict[str, int]]
    planned: dict[str, dict[str, int]]


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
    objects_per_image: float = 8.0,
    mix: Sequence[float] = catalogue.DEFAULT_MIX,
    time: str = "",
    weather: str = "",
    masks: bool = False,
    semantic: bool = False,
    rule: LabelRule | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StillsSummary:
    """Write a data set of still images: images/, labels/, data.yaml and scenes.json.

    Args:
        out: folder that is made once all images are; it must not exist yet, or be empty.
        images: number of images.
        size: width and height in pixels.
        seed: the same seed and arguments give the same bytes, with any number of workers.
        boxes_only: box rows for every class; otherwise polygon rows for the five classes that have masks.
        val_fraction: share of the places that are held out.
        workers: processes; 1 works in this one. More need the caller's main module to be importable.
        traffic_side: "left" (Thailand) or "right".
        objects_per_image: mean number of labelled objects.
        mix: proportions of the seven classes among all labelled objects.
        time: "day", "dusk" or "night" for all images; "" mixes them.
        weather: "clear", "overcast", "rain" or "fog" for all images; "" mixes them.
        masks: also write masks/SPLIT/NAME.png, in which the pixels of the k-th label row have the value k.
        semantic: write masks/SPLIT/NAME.png for task semantic, in which a pixel has the value of its class; background
            is the last one, and what is too small or too hidden to be labelled has 255. All seven classes have pixels.
        rule: what must be seen of an object to be labelled.
        progress: called with the images done and to do after each one.

    Raises:
        ConfigError: an argument is out of range.
        DataError: `out` already holds a data set, or other files.
    """
    out = Path(out)
    options = StillOptions(
        size=(int(size[0]), int(size[1])),
        boxes_only=boxes_only,
        val_fraction=val_fraction,
        traffic_side=traffic_side,
        objects_per_image=objects_per_image,
        mix=tuple(mix),
        time=time,
        weather=weather,
        masks=masks,
        semantic=semantic,
        rule=rule or LabelRule(),
    )
    jobs = plan_stills(images, seed, options)
    if (out / "images").exists() or (out / "data.yaml").exists():
        raise DataError(f"{out} already holds a data set. Choose another folder or remove it first.")
    splits = ["train", "val"] if any(job.split == "val" for job in jobs) else ["train"]
    done = {split: np.zeros(len(catalogue.CLASS_NAMES), np.int64) for split in splits}
    planned = {split: np.zeros(len(catalogue.CLASS_NAMES), np.int64) for split in splits}
    records: list[dict[str, object]] = []
    with whole_folder(out) as folder:
        for split in splits:
            (folder / "images" / split).mkdir(parents=True, exist_ok=True)
            (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
            if masks or semantic:
                (folder / "masks" / split).mkdir(parents=True, exist_ok=True)
        for index, (job, still) in enumerate(zip(jobs, _rendered(jobs, workers), strict=True)):
            (folder / "images" / job.split / f"{job.name}.jpg").write_bytes(still.jpeg)
            (folder / "labels" / job.split / f"{job.name}.txt").write_text(
                "".join(row + "\n" for row in still.rows), encoding="utf-8"
            )
            if masks or semantic:
                (folder / "masks" / job.split / f"{job.name}.png").write_bytes(still.mask_png)
            records.append(still.record)
            done[job.split] += np.array(still.counts)
            planned[job.split] += np.array(job.wanted)
            if progress is not None:
                progress(index + 1, images)
        _write_index(folder, splits, seed, options, records)
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
    with ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker) as pool:
        yield from pool.map(render_still, jobs, chunksize=4)


def _write_index(
    out: Path, splits: list[str], seed: int, options: StillOptions, records: list[dict[str, object]]
) -> None:
    header = {
        "schema": STILLS_SCHEMA,
        "seed": seed,
        "names": list(catalogue.CLASS_NAMES),
        "mask_classes": [catalogue.CLASS_NAMES[c] for c in sorted(catalogue.MASK_CLASSES)],
        **asdict(options),
        "images": records,
    }
    replace_text(out / "scenes.json", json.dumps(header, indent=1) + "\n")
    lines = ["# Procedural highway scenes; scenes.json has the conditions of each image."]
    lines += ["train: images/train", "val: images/val" if "val" in splits else "val: images/train"]
    lines += ["masks_dir: masks"] if options.semantic else []
    names = [*catalogue.CLASS_NAMES, *(["background"] if options.semantic else [])]
    lines += ["names:", *(f"  {index}: {name}" for index, name in enumerate(names))]
    replace_text(out / "data.yaml", "\n".join(lines) + "\n")
