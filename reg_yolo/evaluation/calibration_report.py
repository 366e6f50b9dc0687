"""What `val --calibration` reports: errors before and after the temperatures, coverage of sigma, and the plot."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reg_yolo.evaluation.calibration import (
    LEAST_CONFIDENCE,
    CalibrationSample,
    ClassTemperatures,
    FloatArray,
    coverage,
    detection_calibration_error,
    expected_calibration_error,
    reliability,
)
from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.text_tables import text_table

SCHEMA = "reg_yolo.calibration_report/1"
SIDES = ("left", "top", "right", "bottom", "all")
_PLOT_BINS = 10
_BEFORE, _AFTER = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class ClassCalibration:
    """Calibration of one class, or of all.

    Attributes:
        name: Class name.
        detections: In the half that is reported.
        right: How many of them are right.
        temperature: Fitted on the other half; NaN for all classes together.
        ece_before, ece_after: Expected calibration error without and with the temperatures; NaN without detections.
    """

    name: str
    detections: int
    right: int
    temperature: float
    ece_before: float
    ece_after: float


@dataclass(frozen=True)
class CalibrationReport:
    """Calibration of a network on one half of the images, with temperatures fitted on the other.

    Attributes:
        title: What was measured, such as the name of the weights.
        temperatures: By class.
        classes: In the order of class indices, then all of them.
        d_ece: D-ECE of the boxes before and after.
        covered: Share of the true sides within 1 and 2 sigma, shape (2, 5), see `coverage`; on all images.
        sides: How many right boxes that is of; 0 where sigma is not known.
        images: Images in the half of the fit and in the one that is reported.
        curves: Count, mean confidence and precision in bins before and after, for the plot.
    """

    title: str
    temperatures: ClassTemperatures
    classes: tuple[ClassCalibration, ...]
    d_ece: tuple[float, float]
    covered: FloatArray
    sides: int
    images: tuple[int, int]
    curves: tuple[tuple[FloatArray, FloatArray, FloatArray], ...]

    @classmethod
    def of(cls, sample: CalibrationSample, class_names: Sequence[str], title: str = "") -> CalibrationReport:
        """Fit on one half of the images and report on the other."""
        fitted, reported = sample.halves()
        temperatures = ClassTemperatures.fit(fitted, class_names)
        before, right = reported.confidence, reported.correct
        after = temperatures.applied(before, reported.class_id, class_names)
        rows = []
        for number, name in [*enumerate(class_names), (None, "all")]:
            own = np.ones(len(before), bool) if number is None else reported.class_id == number
            rows.append(
                ClassCalibration(
                    name,
                    int(own.sum()),
                    int(right[own].sum()),
                    math.nan if number is None else temperatures.values[name],
                    expected_calibration_error(before[own], right[own]),
                    expected_calibration_error(after[own], right[own]),
                )
            )
        known = sample.correct & np.isfinite(sample.sigma).all(1)
        halves = [len(np.unique(part)) for part in _images_of_halves(sample)]
        return cls(
            title,
            temperatures,
            tuple(rows),
            tuple(detection_calibration_error(p, right, reported.boxes) for p in (before, after)),  # type: ignore[arg-type]
            coverage(sample.off[known], sample.sigma[known]),
            int(known.sum()),
            (halves[0], halves[1]),
            tuple(reliability(p, right, _PLOT_BINS) for p in (before, after)),
        )

    def as_text(self) -> str:
        """Return the tables for a terminal."""
        rows = [
            [
                row.name,
                str(row.detections),
                str(row.right),
                *map(_cell, (row.temperature, row.ece_before, row.ece_after)),
            ]
            for row in self.classes
        ]
        parts = [
            f"Calibration of {self.title}" if self.title else "Calibration",
            text_table(("Class", "Detections", "Right", "Temperature", "ECE", "ECE with temperature"), rows),
            f"D-ECE of boxes: {_cell(self.d_ece[0])}, with temperatures {_cell(self.d_ece[1])}",
            f"Detections from a confidence of {LEAST_CONFIDENCE} on, right at IoU 0.5. Temperatures are fitted on "
            f"{self.images[0]} images, errors are those of the other {self.images[1]}.",
            *(f"Temperature of {name}: {note}." for name, note in self.temperatures.notes.items()),
        ]
        if self.sides:
            shown = [
                [f"{multiple} sigma", *map(_cell, line)] for multiple, line in zip((1, 2), self.covered, strict=True)
            ]
            parts += [
                "",
                f"True sides within sigma, of {self.sides} right boxes (a Gaussian has 0.683 and 0.954)",
                text_table(("Within", *SIDES), shown),
            ]
        return "\n".join(parts) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a figure that does not exist is None."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "least_confidence": LEAST_CONFIDENCE,
            "images": {"fitted": self.images[0], "reported": self.images[1]},
            "classes": [{key: _plain(value) for key, value in vars(row).items()} for row in self.classes],
            "d_ece": {"before": _plain(self.d_ece[0]), "after": _plain(self.d_ece[1])},
            "coverage": {
                "right_boxes": self.sides,
                **{
                    f"within_{multiple}_sigma": dict(zip(SIDES, map(_plain, line), strict=True))
                    for multiple, line in zip((1, 2), self.covered, strict=True)
                },
            },
            "notes": dict(self.temperatures.notes),
        }

    def draw(self, dots_per_inch: int = 120) -> bytes:
        """Draw the reliability diagram of all classes before and after, and return the PNG."""
        figure = Figure(figsize=(9, 5), dpi=dots_per_inch, layout="constrained")
        FigureCanvasAgg(figure)
        for axes, title, colour, curve, errors in zip(
            figure.subplots(1, 2, sharey=True),
            ("As the network says it", "With a temperature a class"),
            (_BEFORE, _AFTER),
            self.curves,
            ((self.classes[-1].ece_before, self.d_ece[0]), (self.classes[-1].ece_after, self.d_ece[1])),
            strict=True,
        ):
            count, mean, precision = curve
            left = np.arange(_PLOT_BINS) / _PLOT_BINS
            axes.bar(left, np.nan_to_num(precision), 1 / _PLOT_BINS, align="edge", color=colour, alpha=0.45, ec="white")
            axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--")
            axes.plot(mean, precision, "o", color=colour, markersize=4)
            for place, number, height in zip(left, count, np.nan_to_num(precision), strict=True):
                if number:
                    axes.text(place + 0.5 / _PLOT_BINS, height + 0.015, f"{int(number)}", ha="center", fontsize=6.5)
            axes.set(xlim=(0, 1), ylim=(0, 1.08), xlabel="Confidence", title=title)
            axes.set_box_aspect(1)
            axes.text(0.03, 0.97, f"ECE {errors[0]:.3f}\nD-ECE {errors[1]:.3f}", va="top", fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("Share of detections that are right")
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        return stream.getvalue()

    def write(self, folder: Path) -> None:
        """Write calibration.txt, calibration.json and reliability.png into `folder`."""
        replace_text(folder / "calibration.txt", self.as_text())
        replace_text(folder / "calibration.json", json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")
        replace_bytes(folder / "reliability.png", self.draw())


def _images_of_halves(sample: CalibrationSample) -> list[np.ndarray]:
    """Return the indices of the images in either half, those without detections too."""
    number = np.arange(len(sample.images))
    empty = np.zeros((len(number), 4))
    none = np.zeros(len(number))
    whole = CalibrationSample(sample.images, number, number, none, none.astype(bool), empty, empty, empty)
    return [half.image for half in whole.halves()]


def _cell(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
