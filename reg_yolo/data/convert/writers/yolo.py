"""Writing a YOLO data set: polygon rows and box rows side by side, images, data.yaml."""

from __future__ import annotations

from pathlib import Path

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.convert.image_files import OpenedImage
from reg_yolo.data.dataset.dataset_yaml import SPLITS
from reg_yolo.data.dataset.label_rows import box_row, polygon_row
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.files import replace_text


class YoloWriter:
    """Writes `images/SPLIT/`, `labels/SPLIT/` and `data.yaml` into a folder.

    Args:
        folder: An empty folder.
        names: Class names in the order of their indices.
        link: Hard-link images that need no change.
    """

    def __init__(self, folder: Path, names: list[str], *, link: bool = False) -> None:
        self.folder, self.names, self.link = folder, names, link
        self._index = {name: index for index, name in enumerate(names)}
        self._splits: set[str] = set()

    def add(
        self, split: str, stem: str, picture: OpenedImage, size: tuple[int, int], objects: list[ObjectAnnotation]
    ) -> None:
        """Write one image and its label file; the file is empty for an image without objects."""
        images, labels = self.folder / "images" / split, self.folder / "labels" / split
        if split not in self._splits:
            images.mkdir(parents=True)
            labels.mkdir(parents=True)
            self._splits.add(split)
        picture.write(images / f"{stem}{picture.suffix}", link=self.link)
        rows = [label_row(item, self._index[item.class_name], size) for item in objects]
        (labels / f"{stem}.txt").write_bytes("".join(f"{row}\n" for row in rows).encode("ascii"))

    def finish(self) -> Path:
        """Write `data.yaml` and return it. Without `path:` its splits are relative to the file itself."""
        content: dict[str, object] = {split: f"images/{split}" for split in SPLITS if split in self._splits}
        content["names"] = dict(enumerate(self.names))
        target = self.folder / "data.yaml"
        replace_text(target, dump_yaml(content))
        return target

    def close(self) -> None:
        """Nothing stays open between two images."""


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
