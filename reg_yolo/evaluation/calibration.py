"""Whether a confidence is the share of detections that are right, and whether sigma is as far as sides are off.

Plain arrays in, numbers out; what a validation keeps for it is a `CalibrationSample`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
# Detections below are no part of it: hundreds an image with a confidence of nearly 0 would make every error small.
LEAST_CONFIDENCE = 0.05
# A temperature is fitted to at least so many detections, of which some are right and some wrong.
LEAST_DETECTIONS = 30
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
# Images go to the two halves in so many stretches, since neighbouring ones show the same objects.
STRETCHES = 10


@dataclass(frozen=True)
class CalibrationSample:
    """Detections of N images with whether they are right at IoU 0.5.

    Attributes:
        images: N names, sorted.
        image: Index of the image of each detection, shape (D,).
        class_id: Its class index, shape (D,).
        confidence: In [0, 1], shape (D,).
        correct: Shape (D,).
        boxes: Centre x, centre y, width, height as fractions of the image, shape (D, 4).
        off: Predicted minus true left, top, right, bottom side in pixels of the image, shape (D, 4); NaN where wrong.
        sigma: Deviation of each side in pixels of the image, shape (D, 4); NaN where not known.
    """

    images: tuple[str, ...]
    image: NDArray[np.int64]
    class_id: NDArray[np.int64]
    confidence: FloatArray
    correct: NDArray[np.bool_]
    boxes: FloatArray
    off: FloatArray
    sigma: FloatArray

    def part(self, rows: NDArray[np.bool_]) -> CalibrationSample:
        """Return the detections in `rows`."""
        return CalibrationSample(
            self.images, self.image[rows], self.class_id[rows], self.confidence[rows], self.correct[rows],
            self.boxes[rows], self.off[rows], self.sigma[rows],
        )  # fmt: skip

    def halves(self) -> tuple[CalibrationSample, CalibrationSample]:
        """Return two halves by image, in stretches of the order of their names."""
        stretch = self.image * STRETCHES // max(len(self.images), 1)
        return self.part(stretch % 2 == 0), self.part(stretch % 2 == 1)


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the number of detections, their mean confidence and their precision in bins of equal width.

    Args:
        confidence: Shape (D,), in [0, 1].
        correct: Shape (D,).
        bins: How many.

    Returns:
        Three arrays of shape (bins,); NaN where a bin is empty.

    Example:
        >>> [values.tolist() for values in reliability([0.2, 0.4, 0.9], [False, True, True], bins=2)]
        [[2.0, 1.0], [0.30000000000000004, 0.9], [0.5, 1.0]]
    """
    scores, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (
            count,
            np.bincount(place, scores, minlength=bins) / count,
            np.bincount(place, right, minlength=bins) / count,
        )


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Return the mean distance of precision and confidence over bins, weighted by detections; NaN without any.

    Source: Guo et al., On Calibration of Modern Neural Networks (arXiv 1706.04599), eq. 3, with the precision of
    detections at IoU 0.5 for the accuracy.

    Example:
        >>> round(expected_calibration_error([0.8, 0.8, 0.3], [True, False, False]), 3)
        0.3
    """
    count, mean, precision = reliability(confidence, correct, bins)
    total = count.sum()
    return float(np.nansum(count * np.abs(precision - mean)) / total) if total else float("nan")


def detection_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, boxes: ArrayLike, bins: int = 5, least: int = 8
) -> float:
    """Return D-ECE: the calibration error over bins of confidence, place and size of a box; NaN without a full bin.

    A network can be right on average and still too sure of the boxes at one border, or of the small ones. Source:
    Küppers et al., Multivariate Confidence Calibration for Object Detection (arXiv 2004.13546), eq. 9.

    Args:
        confidence: Shape (D,), in [0, 1].
        correct: Shape (D,).
        boxes: Centre x, centre y, width, height as fractions of the image, shape (D, 4).
        bins: How many for each of the five.
        least: Bins with fewer detections are left out, and so are their detections.
    """
    scores, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    columns = np.column_stack((scores, np.asarray(boxes, np.float64).reshape(-1, 4)))
    places = np.clip((columns * bins).astype(np.int64), 0, bins - 1)
    _, group = np.unique(places @ bins ** np.arange(5), return_inverse=True)
    count = np.bincount(group)
    full = count >= least
    if not full.any():
        return float("nan")
    gap = np.abs(np.bincount(group, right) - np.bincount(group, scores))
    return float(gap[full].sum() / count[full].sum())


def with_temperature(confidence: ArrayLike, temperature: float) -> FloatArray:
    """Return sigmoid(logit(p) / T); 0 and 1 stay. The inverse has the temperature 1 / T.

    Example:
        >>> with_temperature([0.0, 0.8, 1.0], 2.0).round(4).tolist()
        [0.0, 0.6667, 1.0]
    """
    p = np.asarray(confidence, np.float64)
    up, down = p ** (1.0 / temperature), (1.0 - p) ** (1.0 / temperature)
    return up / (up + down)


def fit_temperature(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Return the temperature of the lowest log loss; None where there are too few detections or all are alike.

    Returns:
        In [0.05, 20].

    Example:
        >>> generator = np.random.default_rng(0)
        >>> p = generator.uniform(0.05, 0.95, 20000)
        >>> correct = generator.uniform(size=20000) < with_temperature(p, 2.0)
        >>> round(fit_temperature(p, correct), 1)
        2.0
    """
    # Here: it takes half a second, which every command that reads temperatures would wait.
    from scipy.optimize import minimize_scalar

    p, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if len(p) < LEAST_DETECTIONS or right.all() or not right.any():
        return None
    p = p.clip(1e-6, 1 - 1e-6)
    logits = np.log(p / (1 - p))

    def log_loss(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, np.where(right, -z, z))))

    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    return float(np.exp(minimize_scalar(log_loss, bounds=bounds, method="bounded").x))


def coverage(off: ArrayLike, sigma: ArrayLike, within: Sequence[float] = (1.0, 2.0)) -> FloatArray:
    """Return the share of true sides within so many sigma of the predicted one, shape (len(within), 5).

    Columns are left, top, right, bottom and all four; a Gaussian has 0.683 within 1 and 0.954 within 2. Rows with NaN
    do not count; NaN where none is left.

    Args:
        off: Predicted minus true sides, shape (D, 4).
        sigma: Shape (D, 4).
        within: Multiples of sigma.

    Example:
        >>> coverage([[1.0, 3.0, 0.0, 0.5]], [[2.0, 2.0, 2.0, 2.0]])[:, -1].tolist()
        [0.75, 1.0]
    """
    distance, deviation = (np.asarray(values, np.float64).reshape(-1, 4) for values in (off, sigma))
    known = np.isfinite(distance).all(1) & np.isfinite(deviation).all(1)
    if not known.any():
        return np.full((len(within), 5), np.nan)
    inside = [np.abs(distance[known]) <= multiple * deviation[known] for multiple in within]
    return np.array([[*part.mean(0), part.mean()] for part in inside])


@dataclass(frozen=True)
class ClassTemperatures:
    """A temperature for each class: calibrated confidence = sigmoid(logit(confidence) / T).

    Attributes:
        values: Temperature in [0.05, 20] by class name; 1 where none could be fitted.
        notes: By class name, a sentence where that is so.
    """

    values: dict[str, float]
    notes: dict[str, str]

    @classmethod
    def fit(cls, sample: CalibrationSample, class_names: Sequence[str]) -> ClassTemperatures:
        """Fit each class to its detections."""
        values, notes = {}, {}
        for class_id, name in enumerate(class_names):
            own = sample.class_id == class_id
            found = fit_temperature(sample.confidence[own], sample.correct[own])
            if found is None:
                notes[name] = f"{own.sum()} detections, {sample.correct[own].sum()} of them right: left as they are"
            values[name] = 1.0 if found is None else round(found, 4)
        return cls(values, notes)

    def applied(self, confidence: FloatArray, class_id: NDArray[np.int64], class_names: Sequence[str]) -> FloatArray:
        """Return calibrated confidences, shape (D,)."""
        result = np.array(confidence, np.float64)
        for number, name in enumerate(class_names):
            own = class_id == number
            result[own] = with_temperature(result[own], self.values[name])
        return result

    def thresholds(self, values: Mapping[str, float], *, back: bool = False) -> dict[str, float]:
        """Return thresholds by class name on the calibrated scale; with `back` from there on the network's own."""
        return {
            name: float(with_temperature(value, 1.0 / self.values[name] if back else self.values[name]))
            for name, value in values.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"values": dict(self.values), "notes": dict(self.notes)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClassTemperatures:
        """Rebuild from `to_dict`'s data.

        Raises:
            ValueError: If a temperature is out of range. KeyError if a key is missing.
        """
        values = {str(name): float(value) for name, value in data["values"].items()}
        for name, value in values.items():
            if not LOWEST_TEMPERATURE <= value <= HIGHEST_TEMPERATURE:
                raise ValueError(f"temperature of {name}: {value} is not from 0.05 to 20")
        return cls(values, {str(name): str(note) for name, note in data.get("notes", {}).items()})
