"""A diagnosis: the errors of a split, where they happen, its worst images, and which labels to review."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.diagnosis.conditions import Condition, conditions_of, light_of
from reg_yolo.errors import DataError
from reg_yolo.evaluation.error_kinds import KINDS, ErrorAnalysis
from reg_yolo.evaluation.image_results import ImageResult
from reg_yolo.evaluation.label_hints import AGREES, LabelHint, label_hints
from reg_yolo.evaluation.per_class import RARE_BELOW
from reg_yolo.text_tables import text_table

_MOST_SHOWN_GROUPS = 12


@dataclass(frozen=True)
class ImageErrors:
    """What is wrong on one image at the thresholds: objects not found, and wrong detections."""

    image: int
    missed: int
    wrong: int


@dataclass(frozen=True)
class Diagnosis:
    """What a network does wrong on a split.

    Attributes:
        title: What was diagnosed, such as the name of the weights.
        data: The data set.
        split: Name of the split.
        class_names: In the order of their indices.
        analysis: Every detection and object.
        conditions: Errors by class, size, light and place.
        worst: All images with an error, the worst first.
        hints: Every label and every unlabelled detection, the most doubtful first.
        lines: For each image the line of each object in its label file; None where it was not found there.
        notes: Sentences about what was left out or guessed.
    """

    title: str
    data: str
    split: str
    class_names: tuple[str, ...]
    analysis: ErrorAnalysis
    conditions: tuple[Condition, ...]
    worst: tuple[ImageErrors, ...]
    hints: tuple[LabelHint, ...]
    lines: tuple[tuple[int | None, ...], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        results: Sequence[ImageResult],
        class_names: Sequence[str],
        *,
        title: str,
        data: str,
        split: str,
        keypoints: int = 0,
        notes: Sequence[str] = (),
    ) -> Diagnosis:
        """Diagnose a split.

        Args:
            results: Detections from a low confidence on, and objects, of every image.
            class_names: In the order of their indices.
            title: What is diagnosed.
            data: The data set.
            split: Name of the split.
            keypoints: Columns of keypoints behind a box in the label files.
            notes: Sentences to show with the result.

        Raises:
            DataError: If there is no labelled object: nothing can be wrong then.
        """
        if not any(len(result.truth_boxes) for result in results):
            raise DataError(f"{data}: the '{split}' split has no labelled object, so there is nothing to diagnose")
        analysis = ErrorAnalysis.of(results, len(class_names))
        light = light_of([result.path for result in results])
        unread = int(np.isnan(light[:, 0]).sum())
        said = [*notes, *([f"{unread} images could not be read again, and count in no group of light"] * bool(unread))]
        return cls(
            title,
            data,
            split,
            tuple(class_names),
            analysis,
            tuple(conditions_of(analysis, class_names, light)),
            tuple(_worst(analysis)),
            tuple(label_hints(results)),
            tuple(_label_lines(result, keypoints) for result in results),
            tuple(said),
        )

    @property
    def open_hints(self) -> list[LabelHint]:
        """The hints in which network and label do not agree."""
        return [hint for hint in self.hints if hint.kind != AGREES]

    def place_of(self, hint: LabelHint) -> str:
        """Return `labels/a.txt:3`-like words for the label of a hint, or the image for a missing one."""
        result = self.analysis.results[hint.image]
        line = None if hint.label is None else self.lines[hint.image][hint.label]
        return str(result.path) if line is None else f"{label_path_for(result.path)}:{line}"

    def reason_of(self, hint: LabelHint) -> str:
        """Return why a label is in the list, in words."""
        name = self.class_names[hint.class_id]
        if hint.kind == "missing":
            return f"{name} found with {hint.confidence:.2f}, no label there"
        if hint.found_class is None:
            return f"{name}: not found at all"
        found = f"{self.class_names[hint.found_class]} found with {hint.confidence:.2f}"
        return f"labelled {name}, {found} (IoU {hint.iou:.2f})"

    def summary_rows(self) -> list[tuple[str, int, int, float]]:
        """Return for each kind of error its name, how many there are at the thresholds and in all, and their cost."""
        analysis = self.analysis
        shown = analysis.counts(analysis.shown, analysis.missed_when_shown)
        return list(zip(KINDS, shown, analysis.counts(), analysis.costs(), strict=True))

    def as_text(self) -> str:
        """Return the tables for a terminal: kinds of error, and the groups that cost most."""
        analysis = self.analysis
        kinds = [[name, str(shown), str(every), _points(cost)] for name, shown, every, cost in self.summary_rows()]
        groups = [(condition.name, row) for condition in self.conditions for row in condition.rows]
        groups = [group for group in groups if group[1].objects >= RARE_BELOW]
        groups.sort(key=lambda group: group[1].found / group[1].objects)
        rows = [
            [name, row.name, str(row.objects), _share(row.found, row.objects), str(row.wrong), worst, _points(cost)]
            for name, row in groups[:_MOST_SHOWN_GROUPS]
            for cost, worst in [max(zip(row.costs, KINDS, strict=True))]
        ]
        images, objects = len(analysis.results), len(analysis.object_class)
        found = int(analysis.found_when_shown.sum())
        wrong = int(analysis.wrong_when_shown.sum())
        return "\n".join(
            [
                f"{self.title} on {self.split} of {self.data}: {images} images, {objects} objects",
                f"mAP50 {analysis.map50:.1f} %. At the thresholds of the best F1 {found} objects are found, "
                f"{objects - found} not, and {wrong} detections are wrong.",
                "",
                text_table(("Error", "At thresholds", "In all", "Costs mAP50"), kinds),
                "",
                f"Where it finds least (groups of {RARE_BELOW} objects or more)",
                text_table(("By", "Group", "Objects", "Found", "Wrong", "Dearest error", "Costs mAP50"), rows),
                "",
                *(f"Note: {note}." for note in self.notes),
            ]
        )


def _worst(analysis: ErrorAnalysis) -> list[ImageErrors]:
    images = len(analysis.results)
    missed = np.bincount(analysis.object_image[~analysis.found_when_shown], minlength=images)
    wrong = np.bincount(analysis.image[analysis.wrong_when_shown], minlength=images)
    order = np.lexsort((np.arange(images), -missed, -(missed + wrong)))
    return [ImageErrors(int(i), int(missed[i]), int(wrong[i])) for i in order if missed[i] + wrong[i]]


def _label_lines(result: ImageResult, keypoints: int) -> tuple[int | None, ...]:
    """Return the line of each object in its label file: the row whose box is nearest, each row once."""
    rows = read_label_file(label_path_for(result.path), 1 << 31, keypoints).rows
    boxes = np.array([row.box_xyxy for row in rows]).reshape(-1, 4) * ([result.width, result.height] * 2)
    lines: list[int | None] = []
    free = np.ones(len(rows), bool)
    for box in result.truth_boxes:
        away = np.where(free, np.abs(boxes - box).max(1), np.inf) if len(rows) else np.zeros(0)
        nearest = int(away.argmin()) if len(rows) else -1
        # Upstream cuts boxes at the frame, and computes in single precision.
        if nearest >= 0 and away[nearest] <= 2.0:
            free[nearest] = False
            lines.append(rows[nearest].line)
        else:
            lines.append(None)
    return tuple(lines)


def _points(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"
