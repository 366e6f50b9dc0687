"""No image that is stored of a survey shows a planted face: thumbnails, report, forms, labels, base64 included."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from reg_yolo.inventory.audit.command import plan_into
from reg_yolo.inventory.audit.plan import Terms
from reg_yolo.inventory.labels.choosing import ChoiceOptions
from reg_yolo.inventory.labels.command import LabelsOptions, write_labels
from reg_yolo.inventory.labels.images import Privacy
from tests.inventory.labels.conftest import SKIN, crowded, find_faces

# How a JPEG, a PNG and a WebP begin, wherever in a file they stand: in a table of a GeoPackage, in a PDF.
BEGINS = re.compile(rb"\xff\xd8\xff[\xdb\xe0\xe1\xee]|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
BASE64 = re.compile(rb"(?:/9j/|iVBORw0KGgo|UklGR)[A-Za-z0-9+/\s]{40,}={0,2}")


def stored_images(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every image in the files of a folder, encoded as text or not."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        parts = [content[found.start() :] for found in BEGINS.finditer(content)]
        # JSON and HTML may write a slash as \\/.
        texts = BASE64.findall(content.replace(b"\\/", b"/"))
        parts += [base64.b64decode(re.sub(rb"\s|=", b"", text)[: len(text) // 4 * 4] + b"==") for text in texts]
        for number, part in enumerate(parts):
            picture = cv2.imdecode(np.frombuffer(part, np.uint8), cv2.IMREAD_COLOR)
            if picture is not None:
                yield f"{path.relative_to(folder)} {number}", picture


def with_a_face(folder: Path) -> list[str]:
    """Return names of the images in which the stripes of a face are to be seen."""
    found = {name: np.abs(picture.astype(int) - SKIN).max(axis=2) < 45 for name, picture in stored_images(folder)}
    return [name for name, like_skin in found.items() if like_skin.sum() >= 30]


def test_no_image_of_a_survey_shows_a_face(filmed: Path, tmp_path: Path) -> None:
    work = tmp_path / "blurred"
    shutil.copytree(filmed / "inv", work / "inv")
    plan_into(work / "inv", work / "audit", Terms())
    privacy = Privacy(find_faces, ("faces.pt:face",))
    for form in ("yolo", "cvat", "label-studio"):
        options = LabelsOptions(choice=ChoiceOptions(every=20, undecided="accept"), to=form, privacy=privacy)
        write_labels(work / "inv", work / form, options)
    names = [name for name, _ in stored_images(work)]
    assert {name.split("/")[0] for name in names} == {"inv", "yolo", "cvat", "label-studio"} and len(names) > 12
    assert with_a_face(work) == []


def test_the_check_sees_a_face_wherever_it_is_stored(filmed: Path, tmp_path: Path) -> None:
    write_labels(filmed / "inv", tmp_path / "set", LabelsOptions(choice=ChoiceOptions(every=20, undecided="accept")))
    images = list((tmp_path / "set/images/train").iterdir())
    assert len(with_a_face(tmp_path / "set")) == len(images) > 0
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    png = cv2.imencode(".png", crowded())[1].tobytes()
    text = base64.b64encode(png).decode()
    (hidden / "page.html").write_text(f'<img src="data:image/png;base64,{text}">')
    (hidden / "data.json").write_text(json.dumps({"photo": text}).replace("/", "\\/"))
    (hidden / "table.gpkg").write_bytes(b"SQLite format 3\0" + images[0].read_bytes() + b"\0" * 16)
    assert [name.split()[0] for name in with_a_face(hidden)] == ["data.json", "page.html", "table.gpkg"]
