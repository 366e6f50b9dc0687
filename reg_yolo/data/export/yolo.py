"""Writing a YOLO data set: polygon rows and box rows side by side, images, data.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.dataset_yaml import SPLITS
from reg_yolo.data.dataset.label_rows import box_row, polygon_row
from reg_yolo.data.export.writer import DatasetWriter, LabelledImage
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.files import replace_text


class YoloWriter(DatasetWriter):
    """Writes `images/SPLIT/`, `labels/SPLIT/` and `data.yaml` into a folder. Scores and notes have no place there."""

    def __init__(self, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None) -> None:
        super().__init__(folder, names, link=link, model=model)
        self._index = {name: index for index, name in enumerate(names)}
        self._splits: set[str] = set()

    def add(self, image: LabelledImage) -> None:
        """Write one image and its label file; the file is empty for an image without objects."""
        labels = self.folder / "labels" / image.split
        labels.mkdir(parents=True, exist_ok=True)
        self._splits.add(image.split)
        self.write_picture(image, self.folder / "images" / image.split)
        rows = [label_row(item, self._index[item.class_name], image.size) for item in image.objects]
        (labels / f"{image.stem}.txt").write_bytes("".join(f"{row}\n" for row in rows).encode("ascii"))

    def finish(self) -> Path:
        """Write `data.yaml` and return it. Without `path:` its splits are relative to the file itself."""
        content: dict[str, object] = {split: f"images/{split}" for split in SPLITS if split in self._splits}
        content["names"] = dict(enumerate(self.names))
        target = self.folder / "data.yaml"
        replace_text(target, dump_yaml(content))
        return target


def label_row(item: ObjectAnnotation, class_index: int, size: tuple[int, int]) -> str:
    """Return one line of a label file.

    Args:
        item: An object within the image.
        class_index: Index of its class.
        size: Width and height of the image in pixels.

    Returns:
        `class x1 y1 x2 y2 ...` for an outline, `class x_center y_center width height` for a box, as fractions of the
        image.
    """
    if item.parts:
        return polygon_row(class_index, join_rings(item.parts, item.holes), size)
    assert item.box is not None
    return box_row(class_index, item.box, size)
