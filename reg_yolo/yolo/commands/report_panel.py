"""The qualitative panel of a report: input, ground truth and each run's prediction for chosen or the hardest images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.drawing.annotate import Annotator
from reg_yolo.drawing.image_grid import GAP_PX, image_grid, resized_detections, resized_image
from reg_yolo.errors import DataError, MediaError
from reg_yolo.evaluation.image_scores import ImageScore, hardest_images, score_image
from reg_yolo.evaluation.run_results import RunResult
from reg_yolo.yolo.commands.predict import predict

_WIDEST_PX, _WIDEST_TILE_PX, _NARROWEST_TILE_PX = 2400, 480, 320

Predictions = dict[Path, FrameDetections]


@dataclass(frozen=True)
class LabelledImage:
    """An image with what its label file says.

    Attributes:
        path: The image.
        class_names: Classes of its data set.
        mask_classes: Classes whose polygons are masks; of others only the boxes around them count.
        keypoints: Columns of keypoints behind a box in its label file, which are left out.
    """

    path: Path
    class_names: tuple[str, ...]
    mask_classes: tuple[str, ...]
    keypoints: int = 0

    @property
    def key(self) -> Path:
        """The real path, by which every run names the image alike; labels lie beside the path as it is given."""
        return Path(os.path.realpath(self.path))

    def picture(self) -> NDArray[np.uint8]:
        """Return the image as BGR, shape (H, W, 3).

        Raises:
            MediaError: If it does not decode.
        """
        try:
            found = cv2.imdecode(np.fromfile(self.path, np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error):
            found = None
        if found is None:
            raise MediaError(f"{self.path}: no image that can be read")
        return np.asarray(found, np.uint8)

    def truth(self, width: int, height: int) -> FrameDetections:
        """Return the rows of the label file as detections: polygon rows with masks, box rows without."""
        objects = []
        for row in read_label_file(label_path_for(self.path), len(self.class_names), self.keypoints).rows:
            left, top, right, bottom = (v * s for v, s in zip(row.box_xyxy, (width, height) * 2, strict=True))
            outline = [float(v) for x, y in row.points for v in (x * width, y * height)]
            name = self.class_names[row.class_id]
            mask = {"polygons": [outline]} if row.is_polygon and name in self.mask_classes else None
            objects.append(Detection(name, row.class_id, 1.0, (left, top, right, bottom), mask))
        return FrameDetections(str(self.path), 0, None, width, height, tuple(objects))


def validation_images(run: RunResult) -> list[LabelledImage]:
    """Return the images that a run was validated on, each once.

    Raises:
        DataError: If the data set is not here.
    """
    given, split = run.settings.get("data"), run.boxes.split
    if isinstance(given, Mapping):
        sets = [(role, read_dataset_yaml(str(file), required=())) for role, file in given.items()]
    else:
        sets = [("", _validated_on(run, given))]
    images: dict[Path, LabelledImage] = {}
    for role, description in sets:
        if split not in description.splits:
            continue
        names, mask_classes = tuple(description.class_names), () if role == "detect" else run.mask_classes
        for path in description.images(split):
            image = LabelledImage(path, names, mask_classes, description.keypoint_columns)
            images.setdefault(image.key, image)
    if not images:
        raise DataError(f"{run.folder}: its data sets have no '{split}' split any more; `hardest=0` makes no panel")
    return list(images.values())


def _validated_on(run: RunResult, given: object) -> DatasetDescription:
    """Return the data set of the last validation: the copy of its YAML in the run, else the one it was trained on."""
    required = (run.boxes.split,)
    try:
        return read_dataset_yaml(run.folder / "data.yaml", required=required)
    except DataError:
        # The folder was moved or cleared out; the user's own file may still be there.
        if not given or not Path(str(given)).exists():
            raise
        return read_dataset_yaml(str(given), required=required)


def find_images(named: Sequence[str], among: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return the images that the user named: files, or names of validation images with or without suffix.

    Args:
        named: What the user wrote.
        among: The validation images; one from elsewhere is taken to have the classes of the first.

    Raises:
        DataError: If there is no such image, or more than one.
    """
    by_key = {image.key: image for image in among}
    found = []
    for name in named:
        elsewhere = replace(among[0], path=Path(name).absolute())
        fitting = [image for image in among if name in {image.path.name, image.path.stem}]
        if elsewhere.path.is_file():
            found.append(by_key.get(elsewhere.key, elsewhere))
        elif len(fitting) == 1:
            found.append(fitting[0])
        elif fitting:
            listed = ", ".join(str(image.path) for image in fitting[:3])
            raise DataError(f"`images`: {name} stands for {len(fitting)} validation images; name a path, as {listed}")
        else:
            near = get_close_matches(name, [image.path.name for image in among], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(f"`images`: there is no file {name}, and no validation image of that name{hint}")
    return found


def predictions_on(run: RunResult, images: Sequence[LabelledImage], *, trust: bool = False) -> Predictions:
    """Run the weights of a run over images, with the confidence thresholds that are stored with them.

    Raises:
        DataError: If the run has no weights.
        MediaError: If an image cannot be read.
    """
    if not run.weights.is_file():
        raise DataError(f"{run.weights} is missing, so it predicts nothing; `hardest=0` leaves the panel out")
    found: Predictions = {}

    def keep(frame: FrameDetections) -> None:
        found[Path(os.path.realpath(frame.source))] = frame

    with tempfile.TemporaryDirectory(prefix="reg_yolo_report_") as folder:
        listed = Path(folder) / "images.txt"
        listed.write_text("".join(f"{image.path}\n" for image in images), encoding="utf-8", errors="surrogateescape")
        # The network itself in full precision: which images are the hardest must not hang on what is installed.
        summary = predict(
            run.weights, listed, on_frame=keep, save=False, out=Path(folder) / "out", trust=trust,
            engine="pytorch", precision="f32",
        )  # fmt: skip
    if summary.failed:
        raise MediaError(next(iter(summary.failed.values())))
    return found


def score_on(image: LabelledImage, run: RunResult, frame: FrameDetections) -> ImageScore:
    """Compare a run's prediction on an image with its labels, over the classes that both the run and the set know."""
    known = {result.name for result in run.boxes.classes} & set(image.class_names)
    truth = [t for t in image.truth(frame.width, frame.height).detections if t.class_name in known]
    seen = [d for d in frame.detections if d.class_name in known]
    return score_image(
        [d.box_xyxy for d in seen],
        [d.confidence for d in seen],
        [d.class_name for d in seen],
        [t.box_xyxy for t in truth],
        [t.class_name for t in truth],
    )


def choose_hardest(
    runs: Sequence[RunResult], images: Sequence[LabelledImage], predictions: Sequence[Predictions], count: int
) -> list[LabelledImage]:
    """Return the images with the lowest F1, the mean over the runs; see `hardest_images`."""
    scores = {
        image.key: [score_on(image, run, found[image.key]) for run, found in zip(runs, predictions, strict=True)]
        for image in images
    }
    chosen = hardest_images(scores, count)
    by_key = {image.key: image for image in images}
    return [by_key[key] for key in chosen]


def draw_panel(
    runs: Sequence[RunResult], images: Sequence[LabelledImage], predictions: Sequence[Predictions]
) -> NDArray[np.uint8]:
    """Return the panel as a BGR image: a row for each image, its F1 with every run above it."""
    columns = len(runs) + 2
    tile = min(max(_WIDEST_PX // columns - GAP_PX, _NARROWEST_TILE_PX), _WIDEST_TILE_PX)
    # One list of classes for all columns, so that a class has one colour, whatever its index in a set or a run.
    names = list(dict.fromkeys(n for image in images for n in image.class_names))
    names += [r.name for run in runs for r in run.boxes.classes if r.name not in names]
    names = list(dict.fromkeys(names))
    annotator = Annotator(names)
    rows, captions = [], []
    for image in images:
        picture = image.picture()
        height, width = picture.shape[:2]
        scale = tile / max(width, height)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = resized_image(picture, *size)
        truth = _recoloured(resized_detections(image.truth(width, height), *size), names)
        row = [small, annotator.annotate(small, truth, show_confidence=False)]
        scores = []
        for run, found in zip(runs, predictions, strict=True):
            frame = found[image.key]
            row.append(annotator.annotate(small, _recoloured(resized_detections(frame, *size), names)))
            score = score_on(image, run, frame)
            scores.append(f"{run.label}: F1 {score.f1:.2f}, missed {score.missed}, wrong {score.wrong}")
        rows.append(row)
        captions.append("   |   ".join([image.path.name, *scores]))
    return image_grid(rows, ["Input", "Ground truth", *(run.label for run in runs)], captions)


def _recoloured(frame: FrameDetections, names: Sequence[str]) -> FrameDetections:
    """Return the detections with the indices that their classes have in `names`."""
    moved = tuple(
        Detection(d.class_name, names.index(d.class_name), d.confidence, d.box_xyxy, d.mask) for d in frame.detections
    )
    return FrameDetections(frame.source, frame.frame, frame.time_s, frame.width, frame.height, moved)
