"""Make an export as CVAT writes it ("CVAT for images 1.1") from drives along the embedded highway.

docs/data.md walks from it to a trained model. Classes with masks become polygons, poles and bus stops boxes, as an
agency labels them; one label has another name than in the shipped configurations, so that there is something to map.

    python scripts/make_cvat_export.py roads_cvat
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from reg_yolo.data.objects.outlines import mask_rings
from reg_yolo.scenes import write_drive

BOX_CLASSES = {"single_arm_pole", "bus_stop"}
LABELS = {"concrete_guardrail": "guardrail"}


def main() -> None:
    """Write OUT/annotations.xml and OUT/images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--drives", type=int, default=6)
    parser.add_argument("--km", type=float, default=0.3)
    parser.add_argument("--every", type=float, default=20.0, help="metres between frames")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    (arguments.out / "images").mkdir(parents=True)
    document = ElementTree.Element("annotations")
    ElementTree.SubElement(document, "version").text = "1.1"
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(document, "meta"), "task"), "labels")
    for drive in range(1, arguments.drives + 1):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "drive"
            write_drive(root, arguments.km, (width, height), drive, every_m=arguments.every, workers=arguments.workers)
            lines = (root / "forward" / "frames.jsonl").read_text(encoding="utf-8").splitlines()
            if drive == 1:
                for name in json.loads(lines[0])["names"]:
                    ElementTree.SubElement(ElementTree.SubElement(labels, "label"), "name").text = LABELS.get(
                        name, name
                    )
            for line in lines[1:]:
                frame = json.loads(line)
                name = f"drive{drive:02d}_{frame['frame']:06d}.jpg"
                shutil.copyfile(root / "forward" / frame["file"], arguments.out / "images" / name)
                add_image(document, name, width, height, frame["objects"])
    ElementTree.indent(document)
    ElementTree.ElementTree(document).write(arguments.out / "annotations.xml", encoding="utf-8", xml_declaration=True)


def add_image(document: ElementTree.Element, name: str, width: int, height: int, objects: list[dict]) -> None:
    """Add one image and its objects."""
    number = sum(1 for _ in document.iter("image"))
    size = {"width": str(width), "height": str(height)}
    image = ElementTree.SubElement(document, "image", {"id": str(number), "name": name, **size})
    for item in objects:
        attributes = {"label": LABELS.get(item["class"], item["class"]), "source": "manual", "occluded": "0"}
        if item["class"] in BOX_CLASSES:
            corners = zip(("xtl", "ytl", "xbr", "ybr"), item["xyxy"], strict=True)
            ElementTree.SubElement(image, "box", {**attributes, **{key: f"{value:.2f}" for key, value in corners}})
            continue
        mask = coco_mask.decode({**item["mask"], "counts": item["mask"]["counts"].encode()})
        parts, _, _ = mask_rings(np.ascontiguousarray(mask))
        for part in parts:
            if len(parts) > 1:
                # What belongs to one object shares a group in CVAT.
                attributes["group_id"] = str(number * 100 + objects.index(item) + 1)
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in part)
            ElementTree.SubElement(image, "polygon", {**attributes, "points": points})


if __name__ == "__main__":
    main()
