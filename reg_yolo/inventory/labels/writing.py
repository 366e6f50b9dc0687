"""Images with their labels in the format of a data set or a labelling tool, and where each label comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from reg_yolo.data.export.formats import dataset_writer
from reg_yolo.data.export.writer import LabelledImage
from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.fitting import fit_object
from reg_yolo.files import replace_text
from reg_yolo.inventory.labels.summary import LabelsSummary
from reg_yolo.text_tables import csv_text

ORIGINS = "labels.csv"
SPLIT = "train"
_HEADER = (
    "image", "source", "frame", "time_s", "class", "asset_id", "labelled", "origin", "x1", "y1", "x2", "y2",
    "confidence",
)  # fmt: skip


class LabelsFolder:
    """Writes images and labels into a folder: `add` each image, then `finish`; `close` in any case.

    Args:
        folder: An empty folder.
        to: One of `EXPORT_FORMATS`.
        names: Class names in the order of their indices.
        model: What labelling tools call the maker of the boxes.
        summary: Counts images without a label, and what lies outside of the image.
    """

    def __init__(self, folder: Path, to: str, names: Sequence[str], model: str, summary: LabelsSummary) -> None:
        self._folder, self._summary = folder, summary
        self._writer = dataset_writer(to, folder, names, model=model)
        self._rows: list[tuple[str, ...]] = []

    def add(
        self,
        name: str,
        place: tuple[str, int, float],
        image: OpenedImage,
        boxes: Sequence[tuple[ObjectAnnotation, str]],
    ) -> list[tuple[ObjectAnnotation, str]]:
        """Write one image.

        Args:
            name: Its file name.
            place: Source, frame and time.
            image: Its pixels.
            boxes: Each with its origin; `place` of the object is the asset's name. Those whose origin is `rejected` are
                no labels.

        Returns:
            The boxes that lie in the image.
        """
        source, frame, time_s = place
        kept = []
        for item, origin in boxes:
            fault, _ = fit_object(item, *image.size)
            if fault:
                self._summary.skipped[f"box: {fault}"] += 1
                continue
            kept.append((item, origin))
            assert item.box is not None
            labelled = "" if origin == "rejected" else "yes"
            score = "" if item.score is None else f"{item.score:.4f}"
            sides = (f"{side:.2f}" for side in item.box)
            time_text = f"{time_s:.6f}" if math.isfinite(time_s) else ""
            row = (name, source, str(frame), time_text, item.class_name, item.place, labelled, origin, *sides, score)
            self._rows.append(row)
        objects = [item for item, origin in kept if origin != "rejected"]
        self._writer.add(LabelledImage(name, image.size, objects, SPLIT, image))
        self._summary.images += 1
        self._summary.background += not objects
        return kept

    def finish(self) -> Path:
        """Complete the files; return the one that a user continues with, relative to the folder."""
        result = self._writer.finish()
        replace_text(self._folder / ORIGINS, csv_text([_HEADER, *self._rows]))
        return result.relative_to(self._folder)

    def close(self) -> None:
        """Close what is open after a failure."""
        self._writer.close()
