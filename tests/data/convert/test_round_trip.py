"""Through our own COCO export and back, nothing is lost but rounding."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reg_yolo.data import convert_dataset as convert
from tests.data.convert.exports import coco_content, write_coco, write_picture

WIDTH, HEIGHT = 97, 61
CLASSES = ((0, "sign"), (3, "ป้าย"), (90, "pole"))


@st.composite
def star(draw: st.DrawFn, left: float, right: float) -> list[float]:
    """A polygon around a point between two columns: corners at rising angles, none of them closer than a pixel."""
    count = draw(st.integers(3, 9))
    radius = min((right - left) / 2, HEIGHT / 2)
    radii = draw(st.lists(st.floats(radius / 3, radius), min_size=count, max_size=count))
    turn = draw(st.floats(0, 1)) + np.arange(count) * (2 * np.pi / count)
    x = (left + right) / 2 + np.array(radii) * np.cos(turn)
    y = HEIGHT / 2 + np.array(radii) * np.sin(turn)
    return [round(float(v), 3) for v in np.stack([x, y], axis=1).ravel()]


@st.composite
def annotation(draw: st.DrawFn) -> dict[str, Any]:
    category = draw(st.sampled_from([number for number, _ in CLASSES]))
    image = draw(st.integers(0, 2))
    if draw(st.booleans()):
        # Thousandths of a pixel: two boxes that differ by less are one once they are written.
        left, top = round(draw(st.floats(0, WIDTH - 2)), 3), round(draw(st.floats(0, HEIGHT - 2)), 3)
        width, height = round(draw(st.floats(1, WIDTH - left)), 3), round(draw(st.floats(1, HEIGHT - top)), 3)
        return {"category_id": category, "image_id": image, "bbox": [left, top, width, height], "segmentation": []}
    parts = draw(st.integers(1, 3))
    columns = np.linspace(0, WIDTH, parts + 1)
    rings = [draw(star(float(a) + 1, float(b) - 1)) for a, b in itertools.pairwise(columns)]
    return {"category_id": category, "image_id": image, "segmentation": rings}


def described(folder: Path) -> list[tuple[str, str, list[list[float]]]]:
    """Of each object, image and class, and its rings (or its box), in an order that does not depend on the file's."""
    found = []
    for path in sorted(folder.rglob("*nstances*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image["file_name"] for image in content["images"]}
        names = {category["id"]: category["name"] for category in content["categories"]}
        for entry in content["annotations"]:
            rings = entry.get("segmentation") or [entry["bbox"]]
            found.append((images[entry["image_id"]], names[entry["category_id"]], [canonical(ring) for ring in rings]))
    in_order = [(image, name, sorted(rings, key=_rounded)) for image, name, rings in found]
    return sorted(in_order, key=lambda entry: (entry[0], entry[1], [_rounded(ring) for ring in entry[2]]))


def _rounded(ring: list[float]) -> list[float]:
    return [round(value, 2) + 0.0 for value in ring]


def canonical(ring: list[float]) -> list[float]:
    """The ring from its leftmost corner, clockwise; a box stays as it is."""
    if len(ring) == 4:
        return ring
    points = np.array(ring).reshape(-1, 2)
    x, y = points.T
    if np.dot(x, np.roll(y, -1)) < np.dot(y, np.roll(x, -1)):
        points = points[::-1]
    return np.roll(points, -int(np.lexsort(np.round(points.T[::-1], 3))[0]), axis=0).ravel().tolist()


TWO_PARTS = [10.0, 10.0, 20.0, 10.0, 20.0, 20.0], [40.0, 10.0, 50.0, 10.0, 50.0, 20.0]


@given(st.lists(annotation(), min_size=1, max_size=6))
@example([{"category_id": 0, "image_id": 0, "segmentation": list(TWO_PARTS)}])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_coco_to_yolo_to_coco(annotations: list[dict[str, Any]]) -> None:
    content = coco_content(annotations, ["a.png", "b.png", "ก.png"], CLASSES, (WIDTH, HEIGHT))
    unique = {json.dumps(dict(a.items()), sort_keys=True) for a in annotations}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert(write_coco(folder / "coco", content), folder / "yolo", background=True)
        summary = convert(folder / "yolo", folder / "back", to="coco", background=True)
        before, after = described(folder / "coco"), described(folder / "back")
        assert summary.images["train"] == 3
        if len(unique) < len(annotations):
            assert len(after) == len(unique)
            return
        assert [entry[:2] for entry in after] == [entry[:2] for entry in before]
        for (_, _, was), (_, _, now) in zip(before, after, strict=True):
            assert [len(ring) for ring in now] == [len(ring) for ring in was]
            for ring, other in zip(was, now, strict=True):
                np.testing.assert_allclose(other, ring, atol=2e-4)


def yolo_row(entry: dict[str, Any]) -> str:
    numbers = {number: index for index, (number, _) in enumerate(CLASSES)}
    if entry["segmentation"]:
        values = np.array(entry["segmentation"][0]).reshape(-1, 2) / [WIDTH, HEIGHT]
    else:
        x, y, w, h = entry["bbox"]
        values = np.array([(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT])
    return f"{numbers[entry['category_id']]} " + " ".join(f"{v:.6f}" for v in values.ravel())


@given(st.lists(annotation(), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_yolo_to_coco_to_yolo(annotations: list[dict[str, Any]]) -> None:
    rows = list(dict.fromkeys(yolo_row(entry) for entry in annotations))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_picture(folder / "yolo/images/val/a.png", (WIDTH, HEIGHT))
        (folder / "yolo/labels/val").mkdir(parents=True)
        (folder / "yolo/labels/val/a.txt").write_text("".join(f"{row}\n" for row in rows))
        names = "".join(f"  {index}: {name}\n" for index, (_, name) in enumerate(CLASSES))
        (folder / "yolo/data.yaml").write_text(f"val: images/val\nnames:\n{names}", encoding="utf-8")
        convert(folder / "yolo", folder / "coco", to="coco")
        convert(folder / "coco", folder / "back")
        back = (folder / "back/labels/val/a.txt").read_text().splitlines()
        assert len(back) == len(rows)
        for row, other in zip(rows, back, strict=True):
            was, now = np.array(row.split(), float), np.array(other.split(), float)
            # Boxes that round over the border of the image are cut there.
            np.testing.assert_allclose(now, was, atol=1.6e-6)
        assert (folder / "back/data.yaml").read_text("utf-8") == (folder / "yolo/data.yaml").read_text("utf-8")
