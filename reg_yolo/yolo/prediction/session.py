"""Weights and settings of a prediction, checked and opened once, for any number of sources."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ultralytics.utils.torch_utils import select_device

from reg_yolo.files import file_sha256
from reg_yolo.video.sources import Source
from reg_yolo.yolo.engines.choice import EngineChoice
from reg_yolo.yolo.prediction.blurring import PrivateFinder, blur_digest, open_finders
from reg_yolo.yolo.prediction.engine import engine_for, open_chosen
from reg_yolo.yolo.prediction.job import PredictionJob
from reg_yolo.yolo.prediction.networks import default_batch, set_up
from reg_yolo.yolo.prediction.predictors import make_predictor
from reg_yolo.yolo.prediction.settings import WEAK_CONFIDENCE, WITHOUT_EFFECT, PredictSettings
from reg_yolo.yolo.prediction.tracking import DriveTracker, warn_of_thinning
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter
from reg_yolo.yolo.weights.opening import open_detector
from reg_yolo.yolo.weights.thresholds import choose_thresholds, stored_temperatures


class Prediction:
    """Weights with the settings to run them by; models are opened when a source needs them, and kept.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one, or an export of one.
        settings: How sources are looked at.

    Attributes:
        settings: The same.
        detector: The weights.
        thresholds: Confidence in [0, 1] by class name, as detections have it.
        temperatures: What calibrates confidences; None where nobody asked.
        arguments: Ultralytics' arguments, with those that follow from the weights.

    Raises:
        RegYoloError: If the weights cannot be read, or an argument does not fit them.
    """

    def __init__(self, weights: str | Path, settings: PredictSettings) -> None:
        self.settings = settings
        own = {key: value for key, value in settings.arguments.items() if key not in {"save", "conf"}}
        self.detector = open_detector(weights, trust=settings.trust)
        check_class_filter(own.get("classes"), self.detector.class_names)
        self.temperatures = stored_temperatures(self.detector, settings.ranking) if settings.calibrated else None
        conf = settings.arguments.get("conf")
        self.thresholds = choose_thresholds(self.detector, conf, settings.ranking)
        if self.temperatures is not None and conf is None:
            self.thresholds = self.temperatures.thresholds(self.thresholds)
        if settings.for_inventory and settings.arguments.get("conf") is None:
            self.thresholds = {name: min(value, WEAK_CONFIDENCE) for name, value in self.thresholds.items()}
        # What the network's own confidences are compared with.
        self._limits = self.thresholds
        if self.temperatures is not None:
            self._limits = self.temperatures.thresholds(self.thresholds, back=True)
        self.arguments: dict[str, Any] = {
            "imgsz": self.detector.imgsz,
            "rect": True,
            "batch": 1,
            **own,
            "conf": min(self._limits.values()),
            "task": "detect" if self.detector.task == "detect" else "segment",
            "mode": "predict",
            "model": str(self.detector.path),
            "save": False,
            "verbose": False,
        }
        check_arguments({**self.arguments, "save": bool(settings.draw)})
        if settings.tracker is not None:
            warn_of_thinning(settings.every or settings.stride)
        self._device = own.get("device")
        self.arguments["batch"] = own.get("batch") or default_batch(select_device(self._device, verbose=False))
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
        arguments = {key: value for key, value in self.arguments.items() if key not in WITHOUT_EFFECT}
        effective = {**self.settings.effective, **arguments, "thresholds": self.thresholds}
        if self.temperatures is not None:
            effective["temperatures"] = self.temperatures.values
        return hashlib.sha256(json.dumps(effective, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def shown_digest(self) -> str:
        """Digest of everything that decides what is blurred in stored images; empty where nothing is.

        Raises:
            WeightsError: If the weights that find it cannot be read.
        """
        return blur_digest(self.settings.blur)

    def choose(self, media: Source, *, long: bool = False) -> EngineChoice:
        """Return what runs the network on a source.

        Args:
            media: The source.
            long: It is one of many, so that the job repays an export even if this source alone does not.
        """
        choice = self._choices.get(media.frame_sizes)
        if choice is None:
            choice = engine_for(media, self.detector, self.settings, self.arguments, long=long)
            if media.frame_sizes:
                self._choices[media.frame_sizes] = choice
        return choice

    def job(self, media: Source, folder: Path, choice: EngineChoice, *, draw: bool) -> PredictionJob:
        """Return what `run_job` runs, with the model open.

        Args:
            media: The source.
            folder: Where the results go.
            choice: From `choose`.
            draw: Whether annotated images are stored.

        Raises:
            RegYoloError: If a model cannot be opened.
        """
        if draw and self._finders is None:
            self._finders = open_finders(self.settings.blur, device=self._device, trust=self.settings.trust)
        tracker = self.settings.tracker
        return PredictionJob(
            media=media,
            folder=folder,
            settings=self.settings,
            detector=self.detector,
            thresholds=self.thresholds,
            predictor=self._predictor(choice),
            choice=choice,
            draw=draw,
            finders=(self._finders or []) if draw else [],
            tracker=DriveTracker(tracker, str(self._device or "cpu")) if tracker else None,
            temperatures=self.temperatures,
        )

    def _predictor(self, choice: EngineChoice) -> Any:
        key = (choice.engine, choice.precision, str(choice.model))
        if key not in self._predictors:
            predictor = make_predictor(
                self.detector, self.arguments, list(self._limits.values()), self.settings.ranking
            )
            if self.temperatures is not None:
                predictor.temperatures = [self.temperatures.values[name] for name in self.detector.class_names]
            open_chosen(predictor, choice)
            set_up(predictor)
            self._predictors[key] = predictor
        return self._predictors[key]
