"""Weights and settings of a prediction, checked and opened once, for any number of sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils.torch_utils import select_device

from reg_yolo.files import file_sha256
from reg_yolo.video.sources import Source
from reg_yolo.yolo.engines.choice import EngineChoice
from reg_yolo.yolo.prediction.blurring import PrivateFinder, open_finders
from reg_yolo.yolo.prediction.engine import engine_for, frames_to_run, open_chosen, piece_sizes
from reg_yolo.yolo.prediction.job import PredictionJob, PredictionSummary
from reg_yolo.yolo.prediction.network_input import set_up
from reg_yolo.yolo.prediction.networks import default_batch
from reg_yolo.yolo.prediction.settings import read_options
from reg_yolo.yolo.prediction.task_predictors import make_predictor
from reg_yolo.yolo.prediction.tracking import (
    DEFAULT_TRACKER,
    DriveTracker,
    TrackerSettings,
    read_tracker,
    warn_of_thinning,
)
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.weights.opening import open_detector
from reg_yolo.yolo.weights.thresholds import choose_thresholds

# Arguments that leave the detections as they are.
_WITHOUT_EFFECT = frozenset(
    {"batch", "device", "model", "task", "mode", "verbose", "save", "save_dir", "project", "name", "exist_ok", "show"}
    | {"workers", "line_width", "show_labels", "show_conf", "show_boxes", "save_txt", "save_conf", "save_crop"}
    | {"save_frames", "tracker", "stream_buffer", "visualize"}
)


class Prediction:
    """What `predict` takes, checked before anything is written; models are opened when a source needs them, and kept.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one, or an export of one.
        trust: Load checkpoints that run code of their own.
        track: A tracker's YAML or True for the default one; None or False for no identities.
        options: The further parameters of `predict`, as far as they do not belong to one source.

    Attributes:
        settings: Ultralytics' arguments.
        draw: Whether pictures are stored; None where the user leaves it open.

    Raises:
        RegYoloError: If the weights cannot be read, or settings are wrong.
    """

    def __init__(
        self, weights: str | Path, *, trust: bool = False, track: str | Path | bool | None = None, **options: Any
    ) -> None:
        looking = {key: options.pop(key, None) for key in ("every", "speed", "gpx", "roi", "tiles", "polygons")}
        self._engine = {"engine": options.pop("engine", "auto")}
        self._engine |= {key: options.pop(key, None) for key in ("precision", "int8", "data")}
        self._engine["int8"] = bool(self._engine["int8"])
        self._blur: Sequence[str | Path] = options.pop("blur", ())
        gpx_offset = options.pop("gpx_offset", 0.0)
        own = check_own_keys(options, "predict")
        self.draw: bool | None = own.pop("save", None)
        conf = own.pop("conf", None)
        self.detector = open_detector(weights, trust=trust)
        check_class_filter(own.get("classes"), self.detector.class_names)
        self.thresholds = choose_thresholds(self.detector, conf)
        self.settings: dict[str, Any] = {
            "imgsz": self.detector.imgsz,
            "rect": True,
            "batch": 1,
            **own,
            "conf": min(self.thresholds.values()),
            "task": "detect" if self.detector.task == "detect" else "segment",
            "mode": "predict",
            "model": str(self.detector.path),
            "save": False,
            "verbose": False,
        }
        check_arguments({**self.settings, "save": bool(self.draw)})
        stride = int(self.settings.get("vid_stride") or 1)
        self.options = read_options(stride=stride, gpx_offset=gpx_offset, **looking)
        self._tracker: TrackerSettings | None = None
        if track:
            name = (own.get("tracker") or DEFAULT_TRACKER) if track is True else track
            self._tracker = read_tracker(name)
            warn_of_thinning(looking["every"] or stride)
        self._effective = {
            **{key: value for key, value in self.settings.items() if key not in _WITHOUT_EFFECT},
            **self.options.recorded,
            "thresholds": self.thresholds,
            "gpx": None if looking["gpx"] is None else [file_sha256(looking["gpx"]), gpx_offset],
            "polygons": self.options.view.polygons,
            "tracker": self._tracker and dict(self._tracker.values),
            **{key: value for key, value in self._engine.items() if key != "data"},
        }
        self._trust = trust
        self._device = own.get("device")
        self.settings["batch"] = own.get("batch") or default_batch(select_device(self._device, verbose=False))
        self._choices: dict[frozenset[tuple[int, int]], EngineChoice] = {}
        self._predictors: dict[tuple[str, str, str], Any] = {}
        self._finders: list[PrivateFinder] | None = None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights."""
        return file_sha256(self.detector.path)

    @property
    def settings_sha256(self) -> str:
        """SHA-256 of every setting that changes detections."""
        text = json.dumps(self._effective, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def choose(self, media: Source, *, long: bool = False) -> EngineChoice:
        """Return what runs the network on a source.

        Args:
            media: The source.
            long: It is one of many, so that the job repays an export even if this source alone does not.
        """
        sizes = frozenset(piece_sizes(media, self.options.view.region, self.options.view.tile))
        if sizes not in self._choices:
            choice = engine_for(
                media,
                self.detector,
                self.settings,
                # A source that shows no picture must not cause an export.
                expected_frames=None if long and sizes else frames_to_run(media, self.options.step_s),
                region=self.options.view.region,
                tile=self.options.view.tile,
                **self._engine,
            )
            if not sizes:
                return choice
            self._choices[sizes] = choice
        return self._choices[sizes]

    def job(self, media: Source, choice: EngineChoice, *, draw: bool, bar: bool = True) -> PredictionJob:
        """Return what `run_job` runs, with the model open.

        Args:
            media: The source.
            choice: From `choose`.
            draw: Whether pictures are stored.
            bar: Whether progress is shown.

        Raises:
            RegYoloError: If a model cannot be opened.
        """
        if draw and self._finders is None:
            self._finders = open_finders(self._blur, device=self._device, trust=self._trust)
        finders = (self._finders or []) if draw else []
        tracker = DriveTracker(self._tracker, str(self._device or "cpu")) if self._tracker else None
        return PredictionJob(
            media, self.detector, self._predictor(choice), choice, self.options, draw, finders, tracker, bar
        )

    def summary(self, folder: Path, choice: EngineChoice) -> PredictionSummary:
        """Return a summary for `run_job` to fill, with the names of the files that it writes into `folder`."""
        return PredictionSummary(
            folder,
            folder / "detections.jsonl",
            folder / "detections.csv",
            choice,
            counts=dict.fromkeys(self.detector.class_names, 0),
            thresholds=self.thresholds,
        )

    def _predictor(self, choice: EngineChoice) -> Any:
        key = (choice.engine, choice.precision, str(choice.model))
        if key not in self._predictors:
            predictor = make_predictor(self.detector, self.settings, list(self.thresholds.values()))
            open_chosen(predictor, choice)
            set_up(predictor)
            self._predictors[key] = predictor
        return self._predictors[key]
