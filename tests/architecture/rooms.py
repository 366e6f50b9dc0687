"""The rooms of the package, and which room may import which: the arrows of docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "reg_yolo"
FILES = sorted(PACKAGE.rglob("*.py"))

GROUND_FLOOR = {"errors", "files", "progress", "signals", "parallel", "stored", "text_tables"}
# Folders that are divided into rooms of their own.
DIVIDED = {"data", "yolo"}
DATA_BASE = {"data.dataset", "data.objects", "data.images"}

# A room may import itself, the ground floor (which has its own rows), and these.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "signals": set(),
    "parallel": set(),
    "text_tables": set(),
    # Names of files that it shows steer no terminal.
    "progress": {"text_tables"},
    "files": {"errors"},
    "stored": {"errors", "files"},
    "__main__": {"cli"},
    "losses": set(),
    "nms": set(),
    # Steps of optimizers; torch only.
    "optim": set(),
    "config": set(),
    "scenes": set(),
    "detections": set(),
    "drawing": {"detections"},
    "video": {"detections"},
    "jobs": {"detections", "video"},
    "evaluation": {"config"},
    # What was found against what is labelled, from a validation or from files.
    "diagnosis": {"config", *DATA_BASE, "detections", "drawing", "evaluation"},
    # From detections files to assets, and from assets to labels; no network, no torch.
    "inventory": {"config", *DATA_BASE, "data.export", "detections", "drawing", "jobs", "video"},
    # What the command of that name does before and after the network, which is handed in.
    "survey": {"detections", "inventory", "jobs", "video"},
    "data": {"config"},
    "data.dataset": {"config"},
    "data.objects": {"config", "data.dataset"},
    "data.images": {"config", "data.dataset"},
    # Annotation formats that are written; what reads or makes objects stands above it.
    "data.export": {"config", *DATA_BASE},
    "data.convert": {"config", "data.export", *DATA_BASE},
    # From detections to what a labelling tool imports, and which frames are worth it.
    "data.prelabel": {"config", "data.export", "detections", "video", *DATA_BASE},
    # Objects of a class are drawn on its sheet as detections are on a frame.
    "data.check": {"config", "drawing", *DATA_BASE},
    "data.sampling": set(),
    "data.split": {"config", *DATA_BASE},
    "data.tile": {"config", *DATA_BASE},
    # The class weights that statistics show are those that training computes.
    "data.stats": {"config", "drawing", "losses", "data.sampling", *DATA_BASE},
    "yolo.upstream": {"config", "drawing"},
    "yolo.weights": {"config", "evaluation", "yolo.upstream"},
    "yolo.criterion": {"config", "losses"},
    "yolo.datasets": {"config", "data", "data.sampling", *DATA_BASE, "drawing", "yolo.upstream", "yolo.weights"},
    "yolo.suppression": {"config", "losses", "nms"},
    "yolo.validation": {
        "config", "data", *DATA_BASE, "evaluation", "yolo.datasets", "yolo.suppression", "yolo.upstream",
        "yolo.weights",
    },
    "yolo.training": {
        "config", "data", "data.sampling", *DATA_BASE, "drawing", "losses", "optim",
        "yolo.criterion", "yolo.datasets", "yolo.suppression", "yolo.validation", "yolo.weights", "yolo.upstream",
    },
    "yolo.engines": {"config", *DATA_BASE, "yolo.validation", "yolo.datasets", "yolo.weights", "yolo.upstream"},
    "yolo.prediction": {
        "config", "detections", "drawing", "evaluation", "video", "yolo.engines", "yolo.suppression", "yolo.weights",
        "yolo.upstream",
    },
    "yolo.commands": {
        "config", "data", *DATA_BASE, "detections", "diagnosis", "drawing", "evaluation", "jobs", "scenes", "video",
        "yolo.upstream", "yolo.weights", "yolo.criterion", "yolo.datasets", "yolo.suppression", "yolo.validation",
        "yolo.training", "yolo.engines", "yolo.prediction",
    },
    # The package's own doors hand names on; see `test_doors_hand_names_on`.
    "yolo": {"yolo.upstream"},
    "cli": {
        "config", "data", *DATA_BASE, "data.convert", "data.check", "data.prelabel", "data.split", "data.tile",
        "data.stats", "diagnosis", "evaluation", "inventory", "jobs", "scenes", "survey", "video", "yolo.upstream",
        "yolo.commands",
    },
}  # fmt: skip


def room_of_module(module: str) -> str:
    """Return the room of a module below reg_yolo: 'yolo.criterion' for reg_yolo.yolo.criterion.assigner."""
    parts = module.split(".")[1:]
    if len(parts) > 1 and parts[0] in DIVIDED and (PACKAGE / parts[0] / parts[1]).is_dir():
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def module_of(path: Path) -> str:
    """Return the dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> list[str]:
    """Return every module that a file imports, also inside functions; names of a package's own files are resolved."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                place = ROOT.joinpath(*full.split("."))
                found.append(full if place.with_suffix(".py").is_file() or place.is_dir() else node.module)
    return found
