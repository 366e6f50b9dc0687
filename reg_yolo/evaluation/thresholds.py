"""Confidence thresholds by class, chosen on validation curves.

One threshold for all classes drops the rare ones: a detector is less sure of a bus stop that it saw fifty times than
of a pole that it saw fifteen hundred times, and is right at a lower confidence. Inputs are plain arrays: the curves of
precision, recall and F1 over confidence, a row for each class that occurs in the validation split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FALLBACK_THRESHOLD = 0.25  # upstream's default confidence
LOWEST_THRESHOLD = 0.001  # validation keeps no detection below, so the curves know nothing there

# F1 within this of its maximum counts as the maximum; see `best_f1_thresholds`.
_F1_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ClassThresholds:
    """Confidence thresholds by class name, with what to know about them.

    Attributes:
        criterion: ``best_f1`` or ``min_precision``.
        values: Threshold in [0.001, 1] for every class.
        minimum_precision: The precision that was asked for, with ``min_precision``.
        notes: By class name, a sentence where the threshold is not what the criterion asks for.
    """

    criterion: str
    values: dict[str, float]
    minimum_precision: float | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def for_classes(self, class_names: Sequence[str]) -> list[float]:
        """Return thresholds in the order of `class_names`; 0.25 for a name that is not among the classes."""
        return [self.values.get(name, FALLBACK_THRESHOLD) for name in class_names]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, YAML or a checkpoint."""
        return {
            "criterion": self.criterion,
            "minimum_precision": self.minimum_precision,
            "values": dict(self.values),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ClassThresholds":
        """Rebuild from `to_dict`'s data.

        Raises:
            ValueError: If a threshold is not in [0, 1].
            KeyError: If a key is missing. TypeError and AttributeError where a value is of another kind.
        """
        for name, value in data["values"].items():
            if not 0 <= float(value) <= 1:
                raise ValueError(f"threshold of {name}: {value} is not from 0 to 1")
        minimum = data.get("minimum_precision")
        return cls(
            criterion=str(data["criterion"]),
            values={str(name): float(value) for name, value in data["values"].items()},
            minimum_precision=None if minimum is None else float(minimum),
            notes={str(name): str(note) for name, note in data.get("notes", {}).items()},
        )


def best_f1_thresholds(
    confidence_grid: NDArray[np.floating],
    f1_curve: NDArray[np.floating],
    class_names: Sequence[str],
    class_index: Sequence[int] | None = None,
) -> ClassThresholds:
    """Choose for each class the confidence of its best F1.

    With few objects F1 is flat around its maximum, and either end of the flat part depends on a single detection;
    the middle of the stretch within 0.001 of the maximum is taken.

    Args:
        confidence_grid: Confidences, shape (G,), ascending in [0, 1].
        f1_curve: F1 over confidence, shape (C, G), in [0, 1]; a row for each class in `class_index`.
        class_names: All class names in the order of their indices.
        class_index: Class index of each row; by default row i is class i.

    Raises:
        ValueError: If the shapes do not fit.
    """
    grid, (f1,), index = _checked(confidence_grid, (f1_curve,), class_names, class_index)
    found: dict[str, float] = {}
    notes: dict[str, str] = {}
    for row, class_id in enumerate(index):
        curve = np.nan_to_num(f1[row], nan=0.0)
        peak = int(curve.argmax())
        if curve[peak] <= 0:
            notes[class_names[class_id]] = "no object of the class is found at any confidence"
            continue
        found[class_names[class_id]] = _stretch_middle(grid, curve >= curve[peak] - _F1_TOLERANCE, peak)
    return _completed("best_f1", found, notes, class_names, index)


def min_precision_thresholds(
    confidence_grid: NDArray[np.floating],
    precision_curve: NDArray[np.floating],
    recall_curve: NDArray[np.floating],
    minimum: float,
    class_names: Sequence[str],
    class_index: Sequence[int] | None = None,
) -> ClassThresholds:
    """Choose for each class the lowest confidence with at least the `minimum` precision, thus with the best recall.

    A class that never reaches the precision gets the confidence of its best precision, and a note that says so.

    Args:
        confidence_grid: Confidences, shape (G,), ascending in [0, 1].
        precision_curve: Precision over confidence, shape (C, G), in [0, 1].
        recall_curve: Recall over confidence, shape (C, G), in [0, 1].
        minimum: Precision to reach, in (0, 1].
        class_names: All class names in the order of their indices.
        class_index: Class index of each row; by default row i is class i.

    Raises:
        ValueError: If the shapes do not fit or `minimum` is outside (0, 1].
    """
    if not 0 < minimum <= 1:
        raise ValueError(f"minimum precision must be in (0, 1], got {minimum}")
    grid, (precision, recall), index = _checked(
        confidence_grid, (precision_curve, recall_curve), class_names, class_index
    )
    found: dict[str, float] = {}
    notes: dict[str, str] = {}
    for row, class_id in enumerate(index):
        # Above the most confident detection nothing is found and precision is 1 by convention.
        usable = np.where(recall[row] > 0, np.nan_to_num(precision[row], nan=0.0), 0.0)
        reached = np.flatnonzero(usable >= minimum)
        best = int(usable.argmax())
        name = class_names[class_id]
        if reached.size:
            found[name] = float(grid[reached[0]])
        elif usable[best] > 0:
            found[name] = float(grid[best])
            notes[name] = (
                f"precision {minimum:g} is never reached; the best is {usable[best]:.3f} at this confidence, with "
                f"recall {recall[row][best]:.3f}"
            )
        else:
            notes[name] = "no object of the class is found at any confidence"
    return _completed("min_precision", found, notes, class_names, index, minimum)


def _checked(
    grid: NDArray[np.floating],
    curves: tuple[NDArray[np.floating], ...],
    class_names: Sequence[str],
    class_index: Sequence[int] | None,
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]], list[int]]:
    confidences = np.asarray(grid, dtype=np.float64)
    index = list(range(len(class_names))) if class_index is None else [int(value) for value in class_index]
    expected = (len(index), confidences.size)
    rows = []
    for curve in curves:
        # Without any object upstream hands over curves of shape (0,).
        values = np.asarray(curve, dtype=np.float64) if index else np.zeros(expected)
        if confidences.ndim != 1 or values.shape != expected:
            raise ValueError(
                f"curve must have shape (classes, confidences) = {expected} for a grid of shape {confidences.shape}, "
                f"got {values.shape}"
            )
        rows.append(values)
    if any(not 0 <= value < len(class_names) for value in index):
        raise ValueError(f"class_index must lie in 0 to {len(class_names) - 1}, got {index}")
    return confidences, rows, index


def _stretch_middle(grid: NDArray[np.float64], good: NDArray[np.bool_], peak: int) -> float:
    bad_below = np.flatnonzero(~good[:peak])
    bad_above = np.flatnonzero(~good[peak:])
    first = int(bad_below[-1]) + 1 if bad_below.size else 0
    last = peak + int(bad_above[0]) - 1 if bad_above.size else len(grid) - 1
    return float((grid[first] + grid[last]) / 2)


def _completed(
    criterion: str,
    found: dict[str, float],
    notes: dict[str, str],
    class_names: Sequence[str],
    index: list[int],
    minimum: float | None = None,
) -> ClassThresholds:
    """Give the classes without a threshold of their own the mean of the others, or 0.25 where there is none."""
    substitute = float(np.mean(list(found.values()))) if found else FALLBACK_THRESHOLD
    source = "the mean of the other classes" if found else "the default"
    values: dict[str, float] = {}
    for class_id, name in enumerate(class_names):
        values[name] = round(min(max(found.get(name, substitute), LOWEST_THRESHOLD), 1.0), 4)
        if name not in found:
            reason = notes.get(name, "no object of the class in the validation split")
            notes[name] = f"{reason}; {source} is used" if class_id in index or name not in notes else reason
    return ClassThresholds(criterion, values, minimum, notes)
