"""The faces of the package: what they offer, and that the documents import from nothing else."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FACES = {
    "reg_yolo", "reg_yolo.data", "reg_yolo.detections", "reg_yolo.scenes",
    "reg_yolo.losses", "reg_yolo.nms", "reg_yolo.inventory",
}  # fmt: skip
LAZY = ("reg_yolo.data", "reg_yolo.detections", "reg_yolo.scenes")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def imports_in(page: str) -> list[tuple[str, str]]:
    """Every import of the package in a page's Python blocks: module and name ("" for `import module`)."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^ *```(?:python|py)\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                found += [(alias.name, "") for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node.module or "", alias.name) for alias in node.names]
    return [(module, name) for module, name in found if module.split(".")[0] == "reg_yolo"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_from_faces_only(page: Path) -> None:
    for module, name in imports_in(page.read_text(encoding="utf-8")):
        assert module in FACES, f"{page.name} imports from {module}, a private module"
        face = importlib.import_module(module)
        assert not name or name in face.__all__, f"{module} does not offer {name}"


def test_imports_in_pages_are_found() -> None:
    found = [pair for page in PAGES for pair in imports_in(page.read_text(encoding="utf-8"))]
    assert ("reg_yolo.data", "tile_dataset") in found and ("reg_yolo", "") in found
    page = "text\n```python\nfrom reg_yolo.data.tile.run import tile_dataset\n```\n"
    assert imports_in(page) == [("reg_yolo.data.tile.run", "tile_dataset")]


@pytest.mark.parametrize("module", LAZY)
def test_a_face_offers_what_it_names(module: str) -> None:
    face = importlib.import_module(module)
    assert set(face.__all__) == set(face._HOMES) and set(face.__all__) <= set(dir(face))
    for name in face.__all__:
        assert getattr(face, name) is getattr(importlib.import_module(face._HOMES[name]), name)
    # A name that is a room as well would be hidden by it once the room is imported.
    rooms = {path.stem for path in Path(face.__file__).parent.iterdir()}
    assert not set(face.__all__) & rooms
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = face.nonsense


@pytest.mark.parametrize("module", LAZY)
def test_type_checkers_see_the_same_names(module: str) -> None:
    face = importlib.import_module(module)
    tree = ast.parse(Path(face.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {a.asname: n.module for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == face._HOMES


def test_importing_a_face_is_cheap() -> None:
    code = f"import sys, {', '.join(LAZY)}; print(sorted({{'numpy', 'cv2', 'torch', 'pydantic'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
