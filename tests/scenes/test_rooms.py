"""The rooms of the scenes build on each other in one order, and no files import each other in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SCENES = Path(__file__).resolve().parents[2] / "reg_yolo" / "scenes"
ORDER = ("world", "assets", "scenery", "places", "rendering", "labelling", "stills", "drives")
FILES = sorted(SCENES.rglob("*.py"))
PREFIX = "reg_yolo.scenes."


def imports_of(path: Path) -> set[str]:
    """The modules of the scenes that a file imports, without the prefix: `world.mesh`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                place = SCENES.parents[1].joinpath(*full.split("."))
                found.add(full if place.with_suffix(".py").is_file() else node.module)
    return {name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX) or name == PREFIX[:-1]}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(SCENES).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SCENES)))
def test_a_room_imports_none_that_comes_later(path: Path) -> None:
    room, *rest = path.relative_to(SCENES).parts
    if not rest:
        # The face hands names on; what else lies here imports no room.
        assert path.name == "__init__.py" or not imports_of(path)
        return
    assert room in ORDER, f"a new room '{room}' needs its place in ORDER and in docs/scenes.md"
    allowed = {*ORDER[: ORDER.index(room) + 1]}
    assert {name.split(".")[0] for name in imports_of(path)} <= allowed


def test_no_file_is_in_a_circle() -> None:
    graph = {module_of(path): imports_of(path) for path in FILES if path.parent != SCENES}
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("world.mesh") < order.index("places.setting") < order.index("drives.writing")


def test_the_page_names_the_rooms_in_order() -> None:
    page = (SCENES.parents[1] / "docs" / "scenes.md").read_text(encoding="utf-8")
    table = page.split("| room | content |\n")[1].split("\n\n")[0]
    assert tuple(line.split("`")[1] for line in table.splitlines()[1:]) == ORDER
