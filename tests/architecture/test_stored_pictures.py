"""Pictures of a prediction reach a file at one place only, and only after they were released."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "reg_yolo"
WRITER = PACKAGE / "video" / "writer.py"
PRIVACY = PACKAGE / "video" / "privacy.py"
FILES = sorted(path for layer in ("inventory", "video", "yolo") for path in (PACKAGE / layer).rglob("*.py"))

# How OpenCV, PyAV, Pillow and Matplotlib store or encode pictures.
ENCODERS = {"imwrite", "imencode", "imwritemulti", "imwriteanimation", "VideoWriter", "add_stream", "imsave", "savefig"}
# Sheets of a data set's own pictures, which the user has stored already, and the pages of an audit, which are figures
# and text; no frame of a prediction passes here.
OF_DATA_SETS = {"drawing/contact_sheet.py", "inventory/audit/signed_page.py", "yolo/commands/report.py"}


def calls_in(path: Path) -> list[tuple[str, ast.Call]]:
    """Every call in a file, with the last part of its name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found.append((name, node))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pictures_are_encoded_in_one_module(path: Path) -> None:
    if path == WRITER or path.relative_to(PACKAGE).as_posix() in OF_DATA_SETS:
        return
    assert not {name for name, _ in calls_in(path)} & ENCODERS, f"{path.name} stores pictures past the writer"


def test_the_writer_is_found_by_this_test() -> None:
    assert {"imencode", "add_stream"} <= {name for name, _ in calls_in(WRITER)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_release_makes_a_released_picture(path: Path) -> None:
    made = [node for name, node in calls_in(path) if name == "ReleasedPicture"]
    assert len(made) == (1 if path == PRIVACY else 0)


def test_the_writer_takes_released_pictures_only() -> None:
    tree = ast.parse(WRITER.read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for name in ("write", "encode_jpeg"):
        picture = next(argument for argument in functions[name].args.args if argument.arg == "picture")
        assert isinstance(picture.annotation, ast.Name) and picture.annotation.id == "ReleasedPicture"
