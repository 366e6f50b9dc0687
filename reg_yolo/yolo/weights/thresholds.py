"""Which confidence threshold each class has in a prediction."""

from __future__ import annotations

from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.calibration import ClassTemperatures
from reg_yolo.yolo.weights.checkpoints import read_calibration, read_ranking, read_thresholds, thresholds_file
from reg_yolo.yolo.weights.detector import Detector

DEFAULT_CONFIDENCE = 0.25


def choose_thresholds(
    detector: Detector, conf: Any = None, ranking: SuppressionSettings | None = None
) -> dict[str, float]:
    """Return the confidence threshold of every class: `conf` if given, else the stored ones, else 0.25.

    Args:
        detector: The weights.
        conf: One threshold for all classes.
        ranking: What suppresses and ranks the boxes; thresholds that were measured with another are warned of.

    Raises:
        ConfigError: If `conf` is not in [0, 1].
    """
    names, weights = detector.class_names, detector.path
    if conf is not None:
        if isinstance(conf, bool) or not isinstance(conf, (int, float)) or not 0 <= conf <= 1:
            raise ConfigError(f"conf: got {conf!r}, expected a number from 0 to 1")
        return dict.fromkeys(names, float(conf))
    found = read_thresholds(weights, detector.metadata)
    adjacent = thresholds_file(weights)
    if adjacent.is_file() and (found is None or found[1] != str(adjacent)):
        LOGGER.warning(f"{adjacent} belongs to other weights and is skipped; `reg-yolo val` writes it again")
    if found is None:
        LOGGER.info(f"No thresholds stored with {weights}: {DEFAULT_CONFIDENCE} for every class")
        return dict.fromkeys(names, DEFAULT_CONFIDENCE)
    thresholds, origin = found
    LOGGER.info(f"Thresholds by class ({thresholds.criterion}) from {origin}")
    measured = read_ranking(weights, detector.metadata)
    if ranking is not None and measured.to_dict() != ranking.to_dict():
        with_these = ", ".join(f"{key} {value}" for key, value in measured.to_dict().items())
        LOGGER.warning(f"{origin}: these thresholds were measured with {with_these}; `reg-yolo val` makes fitting ones")
    return dict(zip(names, thresholds.for_classes(names), strict=True))


def stored_temperatures(detector: Detector, ranking: SuppressionSettings) -> ClassTemperatures:
    """Return the temperatures that calibrate the confidences of these weights.

    Args:
        detector: The weights.
        ranking: What suppresses and ranks the boxes; temperatures measured with another say nothing of these.

    Raises:
        ConfigError: If there are none, or they were measured otherwise or for other classes.
    """
    weights = detector.path
    remedy = "`reg-yolo val --calibration` measures them"
    found = read_calibration(weights, detector.metadata)
    if found is None:
        raise ConfigError(f"`calibrated`: no temperatures are stored with {weights}; {remedy}")
    temperatures, measured = found
    if measured.to_dict() != ranking.to_dict():
        with_these = ", ".join(f"{key} {value}" for key, value in measured.to_dict().items())
        raise ConfigError(
            f"`calibrated`: the temperatures of {weights} were measured with {with_these}; ask for the same, "
            f"or {remedy}"
        )
    missing = [name for name in detector.class_names if name not in temperatures.values]
    if missing:
        raise ConfigError(f"`calibrated`: the temperatures of {weights} lack the class {missing[0]}; {remedy}")
    return temperatures
