"""`report` of runs that give each pixel a class: tables, chart, and a panel of class maps next to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ultralytics.utils import LOGGER

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.dataset.pixel_classes import IGNORE, PixelClasses, pixel_classes
from reg_yolo.data.images.pixel_masks import mask_path_for, read_mask, value_table
from reg_yolo.data.objects.rasterising import rasterised
from reg_yolo.drawing.class_map import ClassMapPainter
from reg_yolo.drawing.image_grid import resized_image
from reg_yolo.errors import DataError
from reg_yolo.evaluation.pixel_tables import PixelRun
from reg_yolo.progress import counted_line
from reg_yolo.yolo.prediction.images import read_image
from reg_yolo.yolo.prediction.pixels import PixelNetwork
from reg_yolo.yolo.weights.opening import open_detector

_TILE_PX = 420


@dataclass(frozen=True)
class PixelTruth:
    """The data set that runs were validated on, as class maps."""

    description: DatasetDescription
    classes: PixelClasses

    @classmethod
    def of(cls, run: PixelRun) -> PixelTruth:
        """Read the data set that a run names.

        Raises:
            DataError: If it is not here.
        """
        description = read_dataset_yaml(str(run.settings.get("data")), required=(run.report.split,))
        return cls(description, pixel_classes(description))

    def class_map(self, image: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the class of each pixel of an image of height and width `size`."""
        if self.classes.masks_dir is not None:
            table = value_table(self.description, len(self.classes.names))
            return table[read_mask(mask_path_for(image, self.classes.masks_dir))].astype(np.uint8)
        rows = read_label_file(label_path_for(image), len(self.description.names)).rows
        polygons = [np.array(row.points) for row in rows]
        return rasterised(polygons, [row.class_id for row in rows], size, self.classes.unlabelled)


def pixel_panel(
    runs: Sequence[PixelRun], named: Sequence[str] | None, hardest: int, *, trust: bool
) -> tuple[NDArray[np.uint8] | None, list[Path]]:
    """Return the panel, input, truth and each run's class map side by side, and its images.

    Args:
        runs: Finished runs on one data set.
        named: Images of the validation split by name or path; None for the hardest.
        hardest: How many of the images with the lowest mean IoU, over classes and runs; 0 for no panel.
        trust: Load checkpoints that run code of their own.

    Raises:
        DataError: If the data are gone, or an image is not among them.
    """
    if not named and not hardest:
        return None, []
    truth = PixelTruth.of(runs[0])
    images = truth.description.images(runs[0].report.split)
    if named:
        images = [_named(name, images) for name in named]
    networks = []
    for run in runs:
        detector = open_detector(run.weights, trust=trust, pixels=True)
        LOGGER.info(f"{run.label}: predicting {len(images)} images")
        arguments = {"imgsz": detector.imgsz, "task": "semantic", "mode": "predict", "save": False, "verbose": False}
        networks.append(PixelNetwork(detector, {**arguments, "model": str(detector.path), "rect": True}))
    scored = []
    with counted_line("report", "images") as progress:
        for image in images:
            picture = read_image(image)
            labelled = truth.class_map(image, (picture.shape[0], picture.shape[1]))
            found = [network(picture) for network in networks]
            scored.append((float(np.mean([_mean_iou(each, labelled) for each in found])), image, found, labelled))
            progress(len(scored), len(images))
    chosen = scored if named else sorted(scored, key=lambda entry: (entry[0], str(entry[1])))[:hardest]
    painter = ClassMapPainter(truth.classes.names, truth.classes.background)
    rows = []
    for _, image, found, labelled in chosen:
        picture = read_image(image)
        height = round(_TILE_PX * picture.shape[0] / picture.shape[1])
        tiles = [picture, *(painter.paint(picture, each) for each in (labelled, *found))]
        rows.append(np.hstack([resized_image(tile, _TILE_PX, height) for tile in tiles]))
    return np.vstack(rows), [image for _, image, _, _ in chosen]


def _named(name: str, images: Sequence[Path]) -> Path:
    found = next((image for image in images if name in (str(image), image.name, image.stem)), None)
    if found is None:
        raise DataError(
            f"{name}: not among the {len(images)} validation images; expected a name such as {images[0].name}"
        )
    return found


def _mean_iou(predicted: NDArray[np.uint8], labelled: NDArray[np.uint8]) -> float:
    """Return the mean IoU of the classes that an image's truth has."""
    known = labelled != IGNORE
    values = []
    for index in np.unique(labelled[known]):
        of_truth, of_prediction = (labelled == index) & known, (predicted == index) & known
        values.append((of_truth & of_prediction).sum() / (of_truth | of_prediction).sum())
    return float(np.mean(values)) if values else 1.0
