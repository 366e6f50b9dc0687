"""What `predict` takes: each option once, with its name, default, check, and whether detections depend on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from reg_yolo.config.suppression import RescoreKind, SuppressionKind, SuppressionSettings, checked_word
from reg_yolo.errors import ConfigError
from reg_yolo.files import file_sha256
from reg_yolo.video.reading import Wanted
from reg_yolo.video.thinning import choose_thinning, parse_every
from reg_yolo.video.tiles import View, parse_region, parse_tiles
from reg_yolo.yolo.prediction.tracking import DEFAULT_TRACKER, TrackerSettings, read_tracker
from reg_yolo.yolo.upstream.arguments import check_own_keys
from reg_yolo.yolo.upstream.engine_kinds import PRECISIONS, engine_kind

F = TypeVar("F", bound=Callable[..., Any])

# What options were called before.
FORMER_NAMES = {"gpx": "gnss", "gpx_offset": "gnss_offset"}
# Confidence from which on detections are kept for an inventory, where weak ones that agree over frames count.
WEAK_CONFIDENCE = 0.05

# Ultralytics' arguments that leave the detections as they are.
WITHOUT_EFFECT = frozenset(
    {"batch", "device", "model", "task", "mode", "verbose", "save", "save_dir", "project", "name", "exist_ok", "show"}
    | {"workers", "line_width", "show_labels", "show_conf", "show_boxes", "save_txt", "save_conf", "save_crop"}
    | {"save_frames", "tracker", "stream_buffer", "visualize"}
)


def _every(value: str | int) -> str:
    parse_every(str(value))
    return str(value)


def _corners(value: str | Sequence[float]) -> str:
    text = value if isinstance(value, str) else ",".join(str(number) for number in value)
    parse_region(text)
    return text


def _tile(value: str | int) -> str:
    parse_tiles(str(value))
    return str(value)


def _several(value: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(str(each) for each in ((value,) if isinstance(value, (str, Path)) else value))


def _switched_on(value: bool) -> bool | None:
    return True if value else None


def _suppression(value: str) -> str | None:
    # What asks for the default must not outdate results that were made without asking.
    return None if checked_word("suppression", value, SuppressionKind) == "stock" else value


def _rescore(value: str) -> str | None:
    return None if checked_word("rescore", value, RescoreKind) == "none" else value


def _engine(value: str) -> str:
    if value != "auto":
        engine_kind(value)
    return value


def _precision(value: str) -> str:
    if value not in PRECISIONS:
        raise ConfigError(f"`precision`: got {value!r}, expected one of {', '.join(PRECISIONS)}")
    return value


def _about(read: Callable[[Any], Any] | None = None, *, changes: bool, recorded: bool = False) -> dict[str, Any]:
    """Return what the field of an option says about it.

    Args:
        read: Checks a value that is not None and returns it as it is kept; raises ConfigError.
        changes: It changes detections, so that a source that is done with another value is not done.
        recorded: The header of the detections file names it.
    """
    return {"read": read, "changes": changes, "recorded": recorded}


@dataclass(frozen=True)
class PredictSettings:
    """How sources are looked at, whichever they are. Checked when it is made; see `read_settings`.

    Attributes:
        every: Look at one frame every so many frames (`5`), seconds (`"0.2s"`) or metres of road (`"2m"`).
        speed: Constant speed in km/h, for `every` in metres.
        gnss: GPX track, for `every` in metres; `gpx` is understood, too.
        gnss_offset: Time of the first frame in seconds after the track's first fix.
        roi: x1, y1, x2, y2 of what is looked at, in pixels, or in fractions of the frame if none is above 1.
        tiles: Size of tiles in pixels (`960`, `"960x540"`) that are looked at next to the whole, for small objects.
        polygons: Give masks as polygons too, next to their run lengths.
        track: True for identities over frames by the default tracker (or the one that `tracker` names), or a tracker's
            YAML; see docs/tracks.md.
        blur: Weights that find what must not be stored, each with `:CLASS,CLASS` behind it or for all classes.
        for_inventory: Keep weak detections, from a confidence of 0.05 on, and write records only: what a single frame
            does not show for certain, several together may. `conf` says otherwise.
        suppression: Which of overlapping boxes stay: `stock` (Ultralytics' NMS), `soft` or `balanced`; see docs/cle.md.
        rescore: Weigh how sure the box is: `none`, `dfl` or `spread`. On PyTorch, or an export with distributions.
        sigma: Give the standard deviation of each side of a box too. On PyTorch, or an export with distributions.
        calibrated: Give calibrated confidences, by the temperatures that `val --calibration` has stored; thresholds are
            then calibrated ones too. Which objects are found stays the same.
        engine: What runs the network: `auto` for the fastest installed one where the job is long enough to repay an
            export, or `pytorch`, `onnxruntime`, `openvino`, `tensorrt`.
        precision: `f32` for reproducible results, `f16`, `bf16`, `int8`; None for what the engine takes by itself.
        int8: Quantise to INT8.
        data: What INT8 is calibrated on and its change in mAP measured on; by default the data set of the training.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments, such as `conf` (one threshold for all classes instead of the stored ones),
            `imgsz`, `device`, `batch`, `vid_stride`, or `save=False` for no annotated images.

    Raises:
        RegYoloError: If an option is malformed, or some do not go together.

    Example:
        >>> PredictSettings(every=5, roi=(0, 0.3, 1, 0.9)).recorded
        {'every': '5', 'roi': '0,0.3,1,0.9'}
    """

    every: str | int | None = field(default=None, metadata=_about(_every, changes=True, recorded=True))
    speed: float | None = field(default=None, metadata=_about(changes=True, recorded=True))
    gnss: str | Path | None = field(default=None, metadata=_about(Path, changes=True, recorded=True))
    gnss_offset: float = field(default=0.0, metadata=_about(changes=True))
    roi: str | Sequence[float] | None = field(default=None, metadata=_about(_corners, changes=True, recorded=True))
    tiles: str | int | None = field(default=None, metadata=_about(_tile, changes=True, recorded=True))
    polygons: bool = field(default=False, metadata=_about(bool, changes=True))
    track: str | Path | bool | None = field(default=None, metadata=_about(changes=True))
    blur: Sequence[str | Path] = field(default=(), metadata=_about(_several, changes=False))
    for_inventory: bool | None = field(default=None, metadata=_about(_switched_on, changes=True, recorded=True))
    suppression: str | None = field(default=None, metadata=_about(_suppression, changes=True))
    rescore: str | None = field(default=None, metadata=_about(_rescore, changes=True, recorded=True))
    sigma: bool | None = field(default=None, metadata=_about(_switched_on, changes=True, recorded=True))
    calibrated: bool | None = field(default=None, metadata=_about(_switched_on, changes=True, recorded=True))
    engine: str = field(default="auto", metadata=_about(_engine, changes=True))
    precision: str | None = field(default=None, metadata=_about(_precision, changes=True))
    int8: bool = field(default=False, metadata=_about(bool, changes=True))
    data: str | Path | None = field(default=None, metadata=_about(changes=False))
    trust: bool = field(default=False, metadata=_about(bool, changes=False))
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            value, read = getattr(self, option.name), option.metadata["read"]
            if value is None:
                object.__setattr__(self, option.name, option.default)
            elif read is not None:
                object.__setattr__(self, option.name, read(value))
        object.__setattr__(self, "arguments", check_own_keys(self.arguments, "predict"))
        if self.int8 and self.precision not in {None, "int8"}:
            raise ConfigError(f"`precision`: got {self.precision} next to `int8`; leave one of them out")
        if self.for_inventory and self.arguments.get("save"):
            raise ConfigError("`for_inventory`: writes records only; leave `save=true` out")
        # Read now, so that a mistake is told before anything is opened.
        _ = self.view, self.thinning, self.tracker

    @property
    def draw(self) -> bool | None:
        """Whether annotated images are stored; None where the user leaves it open."""
        return False if self.for_inventory else self.arguments.get("save")

    @property
    def ranking(self) -> SuppressionSettings:
        """How raw boxes become detections."""
        return SuppressionSettings(self.suppression or "stock", self.rescore or "none", bool(self.sigma))  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Ultralytics' `vid_stride`."""
        return int(self.arguments.get("vid_stride") or 1)

    @cached_property
    def view(self) -> View:
        """What the network sees of a frame."""
        return View(
            None if self.roi is None else parse_region(str(self.roi)),
            None if self.tiles is None else parse_tiles(str(self.tiles)),
        )

    @cached_property
    def thinning(self) -> Callable[[], Wanted] | None:
        """Makes what decides which frames of a video are looked at; None for all."""
        return choose_thinning(
            None if self.every is None else str(self.every),
            stride=self.stride,
            speed_kmh=self.speed,
            gnss=None if self.gnss is None else Path(self.gnss),
            gnss_offset_s=self.gnss_offset,
        )

    @cached_property
    def tracker(self) -> TrackerSettings | None:
        """The tracker with all of its settings; None for no identities."""
        if not self.track:
            return None
        return read_tracker((self.arguments.get("tracker") or DEFAULT_TRACKER) if self.track is True else self.track)

    def step_s(self, fps: float) -> float:
        """Return the seconds between two frames that are looked at, by the video's frames/s, as far as is known."""
        if self.every is None:
            return self.stride / fps
        step = parse_every(str(self.every))
        if step.unit == "frames":
            return step.amount / fps
        return max(step.amount, 1 / fps) if step.unit == "s" else 1 / fps

    @property
    def recorded(self) -> dict[str, Any]:
        """What the header of the detections file says about how the source was looked at."""
        values = {name: getattr(self, name) for name, option in OPTIONS.items() if option.metadata["recorded"]}
        # The schema's own name.
        gnss = values.pop("gnss")
        values["gpx"] = None if gnss is None else Path(gnss).name
        given = {name: value for name, value in values.items() if value is not None}
        return given if self.stride == 1 else {"vid_stride": self.stride, **given}

    @property
    def effective(self) -> dict[str, Any]:
        """Everything that changes detections, as plain data, with files by their content.

        A new option that is not used must not outdate the results of earlier versions, so that None is left out but
        for the three that have always been in it.
        """
        given = {
            name: value
            for name, option in OPTIONS.items()
            if option.metadata["changes"] and (value := getattr(self, name)) is not None
        }
        given["gpx"] = None if self.gnss is None else [file_sha256(Path(self.gnss)), self.gnss_offset]
        given["tracker"] = None if self.tracker is None else dict(self.tracker.values)
        # Both are in the two above.
        del given["gnss_offset"]
        given.pop("gnss", None)
        given.pop("track", None)
        others = {name: value for name, value in self.arguments.items() if name not in WITHOUT_EFFECT}
        return {**others, "precision": None, **given}


# By name; everything else that a user gives is one of Ultralytics' arguments.
OPTIONS = {option.name: option for option in fields(PredictSettings) if option.metadata}


def read_settings(settings: PredictSettings | None = None, **options: Any) -> PredictSettings:
    """Return the settings that keyword arguments stand for.

    Args:
        settings: What to start from; by default the defaults.
        options: Options of `PredictSettings`, and Ultralytics' arguments.

    Raises:
        RegYoloError: If one is unknown or malformed, or some do not go together.

    Example:
        >>> read_settings(every="0.2s", conf=0.4).arguments
        {'conf': 0.4}
    """
    start = settings or PredictSettings()
    for former, name in FORMER_NAMES.items():
        if options.get(former) is not None:
            if options.get(name) is not None:
                raise ConfigError(f"`{name}`: given twice, also as {former}; leave one of them out")
            options[name] = options[former]
        options.pop(former, None)
    own = {name: value for name, value in options.items() if name in OPTIONS}
    others = {name: value for name, value in options.items() if name not in OPTIONS}
    return replace(start, **own, arguments={**start.arguments, **others})


def with_options(function: F) -> F:
    """Decorate a function that hands its `**options` to `read_settings`: its signature then names every option."""
    signature = inspect.signature(function)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    named += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for name, option in OPTIONS.items()
    ]
    named.append(inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD, annotation="Any"))
    function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
    return function
