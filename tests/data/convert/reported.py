"""Small exports of each tool with one box, as the reported ones are rebuilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reg_yolo.data.convert.report import ConversionSummary
from tests.data.convert.exports import pixel_rows

BOX = [0, [10.0, 20.0, 30.0, 40.0]]
ROW = "0.25 0.5 0.25 0.333333"  # 10, 20 to 30, 40 of 80 x 60 pixels
CVAT = "<annotations><meta><labels><label><name>sign</name></label></labels></meta>{}</annotations>"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def written(out: Path, stem: str = "a", split: str = "train") -> list[list[Any]]:
    """The rows of a label file in whole pixels."""
    return [[index, [round(value, 1) for value in values]] for index, values in pixel_rows(out, stem, split)]


def reasons(summary: ConversionSummary) -> list[str]:
    return [remark.reason for remark in summary.remarks]


def cvat_image(name: str, *boxes: tuple[int, int, int, int], more: str = "") -> str:
    shapes = "".join(
        f'<box label="sign" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"/>'
        for left, top, right, bottom in boxes
    )
    return f'<image id="0" name="{name}" width="80" height="60" {more}>{shapes}</image>'


def voc(name: str, body: str = "", *, folder: str = "", tail: str = "") -> str:
    return (
        f"<annotation><folder>{folder}</folder><filename>{name}</filename><size><width>80</width><height>60</height>"
        f"</size><object><name>sign</name>{body}<bndbox><xmin>10.5</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax>"
        f"</bndbox>{tail}</object></annotation>"
    )


def labelme(image: str, shapes: list[dict[str, Any]] | None = None) -> str:
    shape = {"label": "sign", "points": [[10, 20], [30, 40]], "shape_type": "rectangle"}
    return json.dumps({"imagePath": image, "imageWidth": 80, "imageHeight": 60, "shapes": shapes or [shape]})
