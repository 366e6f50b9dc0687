"""Writing COCO instances: `annotations/instances_SPLIT.json` and `images/SPLIT/`.

An object with a box only has `"segmentation": []`, one with holes a compressed mask, since COCO's polygons cannot have
any; ids of classes count from 1 in the order of the names, as COCO's own do. Ids of images follow from their names
(`reg_yolo.data.dataset.coco_ids`), and image_ids.json lists them. A predicted object has its `score`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from pycocotools import mask as coco_mask

from reg_yolo.data.dataset.coco_ids import ID_FILE, image_id
from reg_yolo.data.export.writer import DatasetWriter, LabelledImage
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.outlines import bounds, join_rings, ring_area
from reg_yolo.files import replace_text

# Six digits of a fraction are told apart by four digits of a pixel in an image wider than 100, six always.
_DIGITS = 6


class CocoWriter(DatasetWriter):
    """Writes images and one JSON file a split into a folder."""

    def __init__(self, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None) -> None:
        super().__init__(folder, names, link=link, model=model)
        self._category = {name: index for index, name in enumerate(names, start=1)}
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._streams: dict[str, TextIO] = {}
        self._first: dict[str, bool] = {}
        self._taken: dict[str, set[int]] = {}
        self._objects = 0

    def add(self, image: LabelledImage) -> None:
        """Write one image and its objects."""
        split, size = image.split, image.size
        stream = self._streams.get(split) or self._begin(split)
        self.write_picture(image, self.folder / "images" / split)
        images = self._images[split]
        number = image_id(image.stem, self._taken[split])
        self._taken[split].add(number)
        images.append({"id": number, "file_name": image.name, "width": size[0], "height": size[1]})
        for item in image.objects:
            self._objects += 1
            entry = {"id": self._objects, "image_id": number, "category_id": self._category[item.class_name]}
            said: dict[str, Any] = {"score": round(item.score, 5)} if item.score is not None else {}
            if item.note:
                said["attributes"] = {"note": item.note}
            text = json.dumps({**entry, **_geometry(item, size), "iscrowd": 0, **said}, ensure_ascii=False)
            stream.write(("\n" if self._first[split] else ",\n") + text)
            self._first[split] = False

    def finish(self) -> Path:
        """Complete the JSON files and return their folder."""
        categories = [{"id": number, "name": name} for name, number in self._category.items()]
        for split, stream in self._streams.items():
            rest = {"images": self._images[split], "categories": categories}
            stream.write("\n]," + json.dumps(rest, ensure_ascii=False)[1:] + "\n")
            stream.close()
        ids = {f"{split}/{one['file_name']}": one["id"] for split, images in self._images.items() for one in images}
        replace_text(self.folder / ID_FILE, json.dumps(ids, ensure_ascii=False, indent=1) + "\n")
        return self.folder / "annotations"

    def close(self) -> None:
        """Close what is open after a failure."""
        for stream in self._streams.values():
            stream.close()

    def _begin(self, split: str) -> TextIO:
        (self.folder / "annotations").mkdir(exist_ok=True)
        path = self.folder / "annotations" / f"instances_{split}.json"
        # One object at a time: a large set does not have to fit in memory twice.
        stream = path.open("w", encoding="utf-8", newline="\n")
        stream.write('{"annotations": [')
        self._streams[split], self._images[split], self._first[split] = stream, [], True
        self._taken[split] = set()
        return stream


def _geometry(item: ObjectAnnotation, size: tuple[int, int]) -> dict[str, Any]:
    if not item.parts:
        assert item.box is not None
        left, top, right, bottom = item.box
        width, height = right - left, bottom - top
        return {"bbox": _rounded([left, top, width, height]), "area": round(width * height, 2), "segmentation": []}
    left, top, right, bottom = bounds(item.parts)
    box = _rounded([left, top, right - left, bottom - top])
    area = sum(abs(ring_area(ring)) for ring in item.parts) - sum(abs(ring_area(ring)) for ring in item.holes)
    if item.holes:
        joined = join_rings(item.parts, item.holes)
        mask = coco_mask.frPyObjects([joined.ravel().tolist()], size[1], size[0])[0]
        segmentation: Any = {"size": [size[1], size[0]], "counts": mask["counts"].decode("ascii")}
        area = float(coco_mask.area(mask))
    else:
        segmentation = [_rounded(ring.ravel().tolist()) for ring in item.parts]
    return {"bbox": box, "area": round(area, 2), "segmentation": segmentation}


def _rounded(values: list[float]) -> list[float]:
    return [round(value, _DIGITS) for value in values]
