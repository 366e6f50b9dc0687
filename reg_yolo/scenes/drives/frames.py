"""The plan of a drive, frame by frame, and the image of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from reg_yolo.errors import ConfigError
from reg_yolo.scenes.drives.features import DISTORTION, DriveFeatures
from reg_yolo.scenes.drives.geography import UtmZone
from reg_yolo.scenes.drives.gnss import NoiseDraw, NoiseModel, clock_offset, draw_constants
from reg_yolo.scenes.drives.lorries import Lorry, lorries_at, sign_carriers
from reg_yolo.scenes.drives.motion import Motion, Way, plan_motion
from reg_yolo.scenes.drives.staging import Stage, plan_stage
from reg_yolo.scenes.drives.world import DriveWorld, LaneTraffic, build_world, lane_traffic, vehicles_at
from reg_yolo.scenes.labelling.labels import Label, LabelRule
from reg_yolo.scenes.places.scattering import overlaps
from reg_yolo.scenes.places.setting import LEFT, RIGHT, Setting, random_setting
from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.lens import lens_of
from reg_yolo.scenes.rendering.lighting import TIMES, WEATHERS, Lighting, random_lighting
from reg_yolo.scenes.rendering.projection import View
from reg_yolo.scenes.rendering.sky import background
from reg_yolo.scenes.rendering.surface import shadow_factor, texture_factor
from reg_yolo.scenes.rendering.viewpoint import Mount, viewpoint
from reg_yolo.scenes.rendering.weather import finish
from reg_yolo.scenes.stills.composing import REACH_M, render
from reg_yolo.scenes.stills.still import check_choice, check_size

DIRECTIONS = {"forward": 1, "backward": -1}


@dataclass(frozen=True)
class DriveOptions:
    """What determines a drive; `write_drive` explains each.

    Raises:
        ConfigError: a value is out of range.
    """

    km: float
    size: tuple[int, int]
    seed: int
    fps: float = 10.0
    speed_kmh: float = 72.0
    every_m: float | None = None
    both_directions: bool = False
    traffic_side: str = "left"
    time: str = "day"
    weather: str = "clear"
    gps_hz: float = 10.0
    utm_zone: str = "47N"
    noise: NoiseModel = field(default_factory=NoiseModel)
    rule: LabelRule = field(default_factory=LabelRule)
    truth_only: bool = False
    features: DriveFeatures = field(default_factory=DriveFeatures)

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.size[0] % 2 or self.size[1] % 2:
            raise ConfigError(f"Video needs an even width and height, got {self.size[0]}x{self.size[1]}.")
        check_choice("traffic side", self.traffic_side, ("left", "right"))
        check_choice("time", self.time, ("", *TIMES))
        check_choice("weather", self.weather, ("", *WEATHERS))
        for name, value in (
            ("length in km", self.km),
            ("frame rate", self.fps),
            ("speed", self.speed_kmh),
            ("GPS rate", self.gps_hz),
        ):
            if not 0 < value < 1000:
                raise ConfigError(f"The {name} must be above 0 and below 1000, got {value}.")
        if self.every_m is not None and not 0.1 <= self.every_m <= 1000:
            raise ConfigError(f"The distance between frames must be from 0.1 to 1000 m, got {self.every_m}.")
        UtmZone.parse(self.utm_zone)


@dataclass(frozen=True)
class FramePlan:
    """One frame: its direction, number, time since the drive's start in seconds, and chainage in metres."""

    direction: str
    index: int
    time_s: float
    s: float


@dataclass(frozen=True)
class DrivePlan:
    """A drive that has not been rendered yet.

    Args:
        options: what was asked for.
        world: road, assets, scenery.
        camera: the true calibration.
        mount: how the camera sits in the car.
        lighting: by direction name.
        traffic: by direction name.
        frames: by direction name.
        noise: constant errors by direction name.
        zone: UTM zone.
        origin: easting, northing and height in metres of the world's origin.
        motion: of the camera car, by direction name.
        stage: what features put along the road.
        lorries: lorries with a way of their own, by direction name.
    """

    options: DriveOptions
    world: DriveWorld
    camera: Camera
    mount: Mount
    lane: int
    lighting: dict[str, Lighting]
    traffic: dict[str, list[LaneTraffic]]
    frames: dict[str, list[FramePlan]]
    noise: dict[str, NoiseDraw]
    zone: UtmZone
    origin: tuple[float, float, float]
    motion: dict[str, Motion]
    stage: Stage
    lorries: dict[str, list[Lorry]]


@dataclass(frozen=True)
class RenderedFrame:
    """An image with what is named in it.

    Args:
        picture: `[H, W, 3]` BGR.
        view: where it was taken.
        labels: named assets.
        masks: their visible pixels as COCO RLE, in the same order.
        carried: by identity, the middle in the world `[3]` of the signs that lorries carry.
    """

    picture: NDArray[np.uint8]
    view: View
    labels: list[Label]
    masks: list[dict[str, object]]
    carried: dict[str, NDArray[np.float64]]


def plan_drive(options: DriveOptions) -> DrivePlan:
    """Build the world of a drive and list its frames."""
    rng = np.random.default_rng([options.seed, 3])
    length = options.km * 1000
    traffic_side = LEFT if options.traffic_side == "left" else RIGHT
    setting = random_setting(rng, length + REACH_M + 60, traffic_side, curviness=0.8)
    features, lane, speed = options.features, setting.section.lanes - 1, options.speed_kmh / 3.6
    names = list(DIRECTIONS) if options.both_directions else ["forward"]
    ways = {name: _way(setting, options, name) for name in names}
    stage = plan_stage(np.random.default_rng([options.seed, 8]), features, list(ways.values()))
    world = build_world(setting, rng, length, stage)
    camera = Camera.from_field_of_view(*options.size, float(rng.uniform(54, 66)))
    if features.distortion:
        camera = replace(camera, distortion=DISTORTION)
    mount = Mount(
        float(rng.uniform(1.3, 2.2)),
        float(rng.uniform(-2, 1)),
        float(rng.uniform(-1.5, 1.5)),
        float(rng.normal(0, 0.4)),
    )
    zone = UtmZone.parse(options.utm_zone)
    origin = (
        float(rng.uniform(420_000, 580_000)),
        float(rng.uniform(1_500_000, 2_100_000)),
        float(rng.uniform(20, 300)),
    )
    step = options.every_m if options.every_m is not None else speed / options.fps
    lighting: dict[str, Lighting] = {}
    traffic: dict[str, list[LaneTraffic]] = {}
    frames: dict[str, list[FramePlan]] = {}
    noise: dict[str, NoiseDraw] = {}
    lorries: dict[str, list[Lorry]] = {}
    for name, way in ways.items():
        sign, start = way.direction, way.start_s
        azimuth = float(setting.road.heading_at(start)) + (0.0 if sign > 0 else math.pi)
        light = random_lighting(rng, azimuth, time=options.time, weather=options.weather)
        lighting[name] = replace(light, motion_blur_px=0.0, defocus_px=0.0)
        traffic[name] = lane_traffic(setting, rng, start, length, sign, lane, speed)
        noise[name] = draw_constants(np.random.default_rng([options.seed, 4, sign + 1]), options.noise)
        if features.clock:
            noise[name] = replace(noise[name], clock_s=noise[name].clock_s + clock_offset(options.seed))
        lorries[name] = list(stage.hiding.get(sign, []))
        if features.lorries:
            first = 1 + sum(bool(lorry.sign_id) for some in lorries.values() for lorry in some)
            lorries[name] += sign_carriers(way, np.random.default_rng([options.seed, 9, sign + 1]), first)
        frames[name] = _frames(way, options, name, step)
    motion = {name: way.motion for name, way in ways.items()}
    return DrivePlan(
        options, world, camera, mount, lane, lighting, traffic, frames, noise, zone, origin, motion, stage, lorries
    )


def _way(setting: Setting, options: DriveOptions, name: str) -> Way:
    """The camera car's way along one direction."""
    sign, length = DIRECTIONS[name], options.km * 1000
    rng = np.random.default_rng([options.seed, 7, sign + 1])
    motion = plan_motion(rng, options.features, options.speed_kmh / 3.6, length)
    offset = setting.outer(sign) * setting.section.lane_centre(setting.section.lanes - 1)
    return Way(setting, sign, 0.0 if sign > 0 else length, offset, motion, length)


def _frames(way: Way, options: DriveOptions, name: str, step_m: float) -> list[FramePlan]:
    """Frames as far apart as asked for: `step_m` at constant speed or for single frames, else by time."""
    motion, sign = way.motion, way.direction
    if motion.knots is None or options.every_m is not None:
        count = int(way.length_m / step_m + 1e-9)
        return [FramePlan(name, k, motion.time_at(k * step_m), way.start_s + sign * k * step_m) for k in range(count)]
    count = int(motion.time_at(way.length_m) * options.fps + 1e-9)
    times = [k / options.fps for k in range(count)]
    return [FramePlan(name, k, t, way.start_s + sign * motion.distance_at(t)) for k, t in enumerate(times)]


def view_at(plan: DrivePlan, direction: str, time_s: float, s: float) -> View:
    """The camera's view at a time: in its lane, with the small movements of a driven car."""
    setting = plan.world.setting
    sign = DIRECTIONS[direction]
    time_s = plan.motion[direction].driven_s(time_s)
    sway = 0.18 * math.sin(0.23 * time_s + plan.options.seed) + 0.07 * math.sin(0.71 * time_s)
    offset = setting.outer(sign) * (setting.section.lane_centre(plan.lane) + sway)
    yaw = 0.25 * math.sin(0.31 * time_s + 1.0)
    pitch = 0.12 * math.sin(2.9 * time_s) + 0.06 * math.sin(7.3 * time_s)
    lens = lens_of(plan.camera)
    camera = plan.camera if lens is None else lens.pinhole
    return viewpoint(setting, camera, plan.mount, s, sign, offset, REACH_M, yaw_deg=yaw, pitch_deg=pitch)


def render_frame(plan: DrivePlan, frame: FramePlan) -> RenderedFrame:
    """Make one frame's image and truth; the same plan and frame give the same bytes in any process.

    A drive of truth only leaves out what changes the image but not its labels: texture, shadows, lens and weather.
    """
    setting, lighting = plan.world.setting, plan.lighting[frame.direction]
    view = view_at(plan, frame.direction, frame.time_s, frame.s)
    low, high = sorted((frame.s, frame.s + view.direction * REACH_M))
    objects = [o for o in plan.world.standing if o.footprint[1] > low and o.footprint[0] < high]
    lorries = lorries_at(setting, plan.lorries[frame.direction], frame.time_s)
    traffic = vehicles_at(setting, plan.traffic[frame.direction], frame.time_s, frame.s, 300.0)
    # Ordinary vehicles are not there while one of these lorries is.
    objects += [v for v in traffic if not any(overlaps(v, lorry[0], 2.0) for lorry in lorries)]
    objects += [placed for lorry in lorries for placed in lorry]
    section = setting.section
    backdrop = background(view.camera, view.pose, lighting, setting.seed, section.land_colour, section.land)
    lens = lens_of(plan.camera)
    rendering = render(setting, view, lighting, objects, backdrop, plan.options.rule, lens)
    carried = {sign.asset_id: sign.model.vertices.mean(axis=0) for lorry in lorries for sign in lorry[1:]}
    masks = [_run_lengths(rendering.numbers == label.number) for label in rendering.labels]
    if plan.options.truth_only:
        return RenderedFrame(rendering.picture, view, rendering.labels, masks, carried)
    factor = texture_factor(setting, view, rendering.flat)
    shadows = shadow_factor(rendering.objects, setting, view, lighting, rendering.flat)
    if shadows is not None:
        factor = factor * shadows
    if lens is not None:
        factor = lens.bend_factor(factor)
    picture = np.clip(rendering.picture * factor[..., None], 0, 255).astype(np.uint8)
    rng = np.random.default_rng([plan.options.seed, 5, view.direction + 1, frame.index])
    return RenderedFrame(finish(picture, plan.camera, lighting, rng), view, rendering.labels, masks, carried)


def _run_lengths(mask: NDArray[np.bool_]) -> dict[str, object]:
    """A mask `[H, W]` as COCO's `{"size": [H, W], "counts": text}`."""
    encoded = coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}
