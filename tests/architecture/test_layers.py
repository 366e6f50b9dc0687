"""The arrows between the packages, and the sizes of files: the architecture as a test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "reg_yolo"
FILES = sorted(PACKAGE.rglob("*.py"))

# A layer may import itself, errors, and these.
ALLOWED = {
    "errors": set(),
    "losses": set(),
    "config": set(),
    "nms": set(),
    "scenes": set(),
    # video: pictures of labels are lettered and coloured as annotated frames are, with the same font; losses: the class
    # weights that statistics show are those that training computes; evaluation: its text tables. None imports data.
    "data": {"config", "evaluation", "losses", "video"},
    "video": set(),
    "evaluation": set(),
    "yolo": {"config", "data", "evaluation", "losses", "nms", "scenes", "video"},
    "cli": {"config", "data", "evaluation", "scenes", "video", "yolo"},
}
# Inside the package, third-party modules that only one layer may know.
EXCLUSIVE = {
    "ultralytics": {"yolo", "cli"},
    "typer": {"cli"},
    "albumentations": {"data", "yolo"},
    "pydantic": {"config", "data"},
}
LARGEST = 300
LARGEST_LOSS = 150
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "core.py", "common.py", "misc.py"}


def imported_modules(path: Path) -> list[str]:
    """Every module that a file imports, also inside functions."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found += [
                f"{node.module}.{alias.name}" if node.module == "reg_yolo" else node.module for alias in node.names
            ]
    return found


def layer_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    layer = layer_of(path)
    if layer == "__init__":
        # The package's face names its parts without importing them.
        assert not [m for m in imported_modules(path) if m.split(".")[0] in EXCLUSIVE]
        return
    assert layer in ALLOWED, f"{path.name}: a new layer '{layer}' needs its arrows in this test"
    inner = {m.split(".")[1] for m in imported_modules(path) if m.startswith("reg_yolo.")} - {
        layer,
        "errors",
        "__version__",
    }
    assert inner <= ALLOWED[layer], f"{layer} must not import {sorted(inner - ALLOWED[layer])}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_libraries_stay_in_their_layer(path: Path) -> None:
    layer = layer_of(path)
    for module in imported_modules(path):
        owners = EXCLUSIVE.get(module.split(".")[0])
        assert owners is None or layer in owners, f"{module} is imported in {layer}, only {sorted(owners)} may"


def test_losses_import_torch_only() -> None:
    for path in (PACKAGE / "losses").rglob("*.py"):
        outside = {m.split(".")[0] for m in imported_modules(path)} - {
            "torch", "reg_yolo", "math", "functools", "contextlib", "collections", "typing", "__future__",
        }  # fmt: skip
        assert not outside, f"{path.name} imports {outside}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LARGEST_LOSS if layer_of(path) == "losses" else LARGEST
    assert lines <= limit, f"{lines} lines, at most {limit}"


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for path in FILES if path.name in FORBIDDEN_NAMES]


def test_command_line_imports_ultralytics_inside_functions_only() -> None:
    for path in (PACKAGE / "cli").rglob("*.py"):
        top_level = ast.parse(path.read_text(encoding="utf-8")).body
        for node in top_level:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            heavy = [
                m for m in modules if m.split(".")[0] in {"torch", "ultralytics", "cv2", "numpy", "albumentations"}
            ]
            assert not heavy, f"{path.name}: {heavy} would slow down --help"
            assert not [m for m in modules if m.startswith("reg_yolo.yolo")], f"{path.name} imports the seam at the top"
