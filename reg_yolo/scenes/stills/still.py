"""One still image of a set: its options, its plan and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from reg_yolo.errors import ConfigError
from reg_yolo.scenes.labelling.labels import LabelRule, yolo_row
from reg_yolo.scenes.places.setting import LEFT, RIGHT, random_setting
from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.lighting import TIMES, WEATHERS, Lighting, random_lighting
from reg_yolo.scenes.rendering.painting import MAX_ASSETS
from reg_yolo.scenes.rendering.surface import shadow_factor, texture_factor
from reg_yolo.scenes.rendering.viewpoint import random_mount
from reg_yolo.scenes.rendering.weather import encode_jpeg, finish
from reg_yolo.scenes.stills.class_mix import class_totals, plan_counts
from reg_yolo.scenes.stills.composing import Rendering, compose, random_view
from reg_yolo.scenes.world import catalogue

IMAGES_PER_PLACE = 2
_STATION_M = 440.0
UNKNOWN_PIXEL = 255


@dataclass(frozen=True)
class StillOptions:
    """What all images of a set share; `write_stills` explains each.

    Raises:
        ConfigError: a value is out of range.
    """

    size: tuple[int, int] = (640, 384)
    boxes_only: bool = False
    val_fraction: float = 0.2
    traffic_side: str = "left"
    objects_per_image: float = 8.0
    mix: Sequence[float] = catalogue.DEFAULT_MIX
    time: str = ""
    weather: str = ""
    masks: bool = False
    semantic: bool = False
    rule: LabelRule = field(default_factory=LabelRule)

    def __post_init__(self) -> None:
        check_size(self.size)
        check_choice("traffic side", self.traffic_side, ("left", "right"))
        check_choice("time", self.time, ("", *TIMES))
        check_choice("weather", self.weather, ("", *WEATHERS))
        if not 0 <= self.val_fraction < 1:
            raise ConfigError(f"The validation share must be from 0 to below 1, got {self.val_fraction}.")
        if not 0 <= self.objects_per_image <= 20:
            raise ConfigError(f"The objects per image must be from 0 to 20, got {self.objects_per_image}.")
        if self.masks and self.semantic:
            raise ConfigError("`masks` and `semantic` both write masks/; leave one of them out")
        if len(self.mix) != len(catalogue.CLASS_NAMES) or min(self.mix) < 0 or sum(self.mix) <= 0:
            count = len(catalogue.CLASS_NAMES)
            raise ConfigError(f"The class mix needs {count} weights of at least 0, one above 0, got {list(self.mix)}.")

    @property
    def traffic(self) -> int:
        """Sign of the offsets on which people drive along growing chainage."""
        return LEFT if self.traffic_side == "left" else RIGHT


def check_size(size: tuple[int, int]) -> None:
    """Raise ConfigError unless both sides are from 64 to 8192 pixels."""
    if len(size) != 2 or min(size) < 64 or max(size) > 8192:
        raise ConfigError(f"The size must be (width, height) with sides from 64 to 8192 pixels, got {tuple(size)}.")


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Raise ConfigError unless the value is one of the choices."""
    if value not in choices:
        listed = ", ".join(c for c in choices if c)
        raise ConfigError(f"The {what} must be one of {listed}, got {value!r}.")


@dataclass(frozen=True)
class StillJob:
    """Everything that determines one image."""

    seed: int
    place: int
    shot: int
    split: str
    wanted: tuple[int, ...]
    options: StillOptions

    @property
    def name(self) -> str:
        """File name without ending."""
        return f"place{self.place:05d}_{self.shot}"


@dataclass
class Still:
    """One finished image: JPEG bytes, mask PNG (empty unless asked for), label rows and a record for the manifest."""

    jpeg: bytes
    mask_png: bytes
    rows: list[str]
    record: dict[str, object]
    counts: list[int]


def render_still(job: StillJob) -> Still:
    """Make one image; the same job gives the same bytes in any process."""
    rendering, lighting, camera, rng, info = _scene(job)
    picture = finish(rendering.picture, camera, lighting, rng)
    rows = [yolo_row(rendering.numbers, label, camera, boxes_only=job.options.boxes_only) for label in rendering.labels]
    record: dict[str, object] = {
        "image": f"images/{job.split}/{job.name}.jpg",
        "split": job.split,
        "place": job.place,
        **info,
    }
    counts = np.bincount([label.class_id for label in rendering.labels], minlength=len(catalogue.CLASS_NAMES))
    mask = _class_png(rendering) if job.options.semantic else _mask_png(rendering) if job.options.masks else b""
    return Still(encode_jpeg(picture, lighting.jpeg_quality), mask, rows, record, [int(c) for c in counts])


def _mask_png(rendering: Rendering) -> bytes:
    """Pixels of the k-th label row have the value k (from 1), everything else is 0."""
    table = np.zeros(256, np.uint8)
    for row, label in enumerate(rendering.labels):
        table[label.number] = row + 1
    _, data = cv2.imencode(".png", table[rendering.numbers])
    return bytes(data)


def _class_png(rendering: Rendering) -> bytes:
    """Pixels of labelled objects have the value of their class, those of assets that nobody could name 255."""
    background = len(catalogue.CLASS_NAMES)
    table = np.full(256, background, np.uint8)
    table[1 : MAX_ASSETS + 1] = UNKNOWN_PIXEL
    for label in rendering.labels:
        table[label.number] = label.class_id
    _, data = cv2.imencode(".png", table[rendering.numbers])
    return bytes(data)


def _scene(job: StillJob) -> tuple[Rendering, Lighting, Camera, np.random.Generator, dict[str, object]]:
    place_rng = np.random.default_rng([job.seed, 1, job.place])
    setting = random_setting(place_rng, _STATION_M * IMAGES_PER_PLACE + 500, job.options.traffic)
    camera = Camera.from_field_of_view(*job.options.size, float(place_rng.uniform(46, 64)))
    mount = random_mount(place_rng)
    heading = float(setting.road.heading_at(60.0))
    lighting = random_lighting(place_rng, heading, time=job.options.time, weather=job.options.weather)
    rng = np.random.default_rng([job.seed, 2, job.place, job.shot])
    view, lane = random_view(setting, rng, camera, mount, 60.0 + _STATION_M * job.shot)
    rendering = compose(setting, view, lighting, rng, np.array(job.wanted), job.options.rule, lane)
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
        "height_m": round(mount.height_m, 3),
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


def plan_stills(images: int, seed: int, options: StillOptions) -> list[StillJob]:
    """The jobs of a set of images. Places of the two splits do not overlap, and both have the class mix."""
    if images < 1:
        raise ConfigError(f"The number of images must be at least 1, got {images}.")
    rng = np.random.default_rng([seed, 0])
    places = -(-images // IMAGES_PER_PLACE)
    slots = [(place, shot) for place in range(places) for shot in range(IMAGES_PER_PLACE)][:images]
    held_out = {int(p) for p in rng.permutation(places)[: round(places * options.val_fraction)]}
    splits = ["val" if place in held_out else "train" for place, _ in slots]
    everything = class_totals(round(images * options.objects_per_image), options.mix)
    val_images = splits.count("val")
    val_totals = np.minimum(class_totals(round(val_images * options.objects_per_image), options.mix), everything)
    plans = {
        "train": iter(plan_counts(rng, max(images - val_images, 1), everything - val_totals)),
        "val": iter(plan_counts(rng, max(val_images, 1), val_totals)),
    }
    return [
        StillJob(seed, place, shot, split, tuple(int(c) for c in next(plans[split])), options)
        for (place, shot), split in zip(slots, splits, strict=True)
    ]
