"""The arrows between the rooms, and the sizes of files: the architecture as a test."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest

from tests.architecture.rooms import (
    ALLOWED,
    FILES,
    GROUND_FLOOR,
    PACKAGE,
    ROOT,
    imported_modules,
    module_of,
    room_of_module,
)

# Inside the package, third-party modules that only some rooms may know.
EXCLUSIVE = {
    "ultralytics": {"yolo", "cli"},
    "typer": {"cli"},
    "albumentations": {"data", "yolo"},
    "pydantic": {"config", "data"},
}
# A file of more lines is read twice before it grows; one above the limit is two ideas.
NOTED, LARGEST = 300, 400
LARGEST_LOSS = 165
MOST_MODULES = 24
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "core.py", "common.py", "misc.py"}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_door(path: Path) -> bool:
    """Return whether a file is a package's face, which hands on names of the rooms below it."""
    return path.name == "__init__.py"


def arrows() -> dict[str, set[str]]:
    """Return which room imports which, doors left out."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        room = room_of_module(module_of(path))
        if is_door(path):
            continue
        targets = {room_of_module(module) for module in imported_modules(path) if module.startswith("reg_yolo")}
        found.setdefault(room, set()).update(targets - {room, ""})
    return found


@pytest.mark.parametrize("path", [path for path in FILES if not is_door(path)], ids=label)
def test_imports_point_down(path: Path) -> None:
    room = room_of_module(module_of(path))
    assert room in ALLOWED, f"{label(path)}: a new room '{room}' needs its arrows in tests/architecture/rooms.py"
    for module in imported_modules(path):
        if not module.startswith("reg_yolo."):
            continue
        target = room_of_module(module)
        free = target == room or (target in GROUND_FLOOR and room not in GROUND_FLOOR)
        assert free or target in ALLOWED[room], f"{label(path)}: {room} must not import {module}"


def test_rooms_have_no_circle() -> None:
    assert not cycle_in(arrows()), "rooms import each other in a circle"


def test_allowed_arrows_have_no_circle() -> None:
    assert not cycle_in(ALLOWED)


def test_modules_have_no_circle() -> None:
    modules = {module_of(path): path for path in FILES}
    graph = {
        name: {module for module in imported_modules(path) if module in modules and module != name}
        for name, path in modules.items()
        # A face names its parts lazily; what it imports for type checkers only is not an arrow.
        if not is_door(path)
    }
    assert not cycle_in(graph)


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of a graph as the names along it, or an empty list."""
    state: dict[str, int] = {}
    trail: list[str] = []

    def visit(node: str) -> list[str]:
        state[node] = 1
        trail.append(node)
        for target in sorted(graph.get(node, ())):
            if state.get(target) == 1:
                return [*trail[trail.index(target) :], target]
            if target not in state and (found := visit(target)):
                return found
        trail.pop()
        state[node] = 2
        return []

    for node in sorted(graph):
        if node not in state and (found := visit(node)):
            return found
    return []


def test_a_circle_is_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", FILES, ids=label)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    room = room_of_module(module_of(path)).partition(".")[0]
    for module in imported_modules(path):
        owners = EXCLUSIVE.get(module.split(".")[0])
        assert owners is None or room in owners, f"{module} is imported in {room}, only {sorted(owners)} may"


def test_losses_import_torch_only() -> None:
    for path in (PACKAGE / "losses").rglob("*.py"):
        outside = {m.split(".")[0] for m in imported_modules(path)} - {
            "torch", "reg_yolo", "math", "functools", "contextlib", "collections", "typing", "__future__",
        }  # fmt: skip
        assert not outside, f"{path.name} imports {outside}"


@pytest.mark.parametrize("path", FILES, ids=label)
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LARGEST_LOSS if room_of_module(module_of(path)) == "losses" else LARGEST
    assert lines <= limit, f"{lines} lines, at most {limit}"
    if lines > NOTED:
        warnings.warn(f"{label(path)} has {lines} lines; is it still one idea?", stacklevel=1)


def test_a_folder_can_be_looked_over() -> None:
    for folder in {path.parent for path in FILES}:
        assert len([path for path in folder.glob("*.py") if not is_door(path)]) <= MOST_MODULES, label(folder)


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for path in FILES if path.name in FORBIDDEN_NAMES]


def test_faces_bring_nothing_heavy() -> None:
    for path in (PACKAGE / "__init__.py", PACKAGE / "data" / "__init__.py"):
        assert not [m for m in imported_modules(path) if m.split(".")[0] in {*EXCLUSIVE, "torch", "cv2"}]


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
