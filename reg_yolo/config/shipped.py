"""The configurations, models and data-set YAMLs that travel with the package, and copies of them for a user to edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from reg_yolo.errors import ConfigError, OutputError
from reg_yolo.files import make_folder, replace_text

Kind = Literal["configs", "datasets", "plans", "models"]
_FOLDERS: dict[Kind, str] = {
    "configs": "configs",
    "datasets": "datasets",
    "plans": "configs/compare",
    "models": "configs/models",
}
# A model is called by its name alone, so a copy of it would never be read.
_COPIED: tuple[Kind, ...] = ("configs", "datasets", "plans")
SHIPPED_WEIGHTS = "highway_yolov8n.pt"
"""YOLOv8n trained on the embedded highway; scripts/train_shipped_weights.py repeats it."""


def shipped_folder(kind: Kind) -> Path:
    """Return the folder of shipped files: inside an installed package, next to it in a clone.

    Raises:
        ConfigError: If the installation has lost them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / _FOLDERS[kind], package.parent / _FOLDERS[kind]):
        if folder.is_dir():
            return folder
    raise ConfigError(f"The shipped {kind} are missing next to {package}; install reg-yolo again")


def shipped_names(kind: Kind = "configs") -> list[str]:
    """Return the names by which shipped files are called, sorted: `detect/yolov8n` for detect/yolov8n.yaml."""
    folder = shipped_folder(kind)
    names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    # Plans and models lie in folders of the configurations, but are not configurations.
    return [name for name in names if kind != "configs" or not name.startswith(("compare/", "models/"))]


def shipped_file(name: str, kind: Kind = "configs") -> Path | None:
    """Return the shipped file of a name, given with or without `.yaml`, or None."""
    stem = name.removesuffix(".yaml")
    return shipped_folder(kind) / f"{stem}.yaml" if stem in shipped_names(kind) else None


def shipped_model(name: str) -> tuple[Path, str] | None:
    """Return the YAML of a model of ours and the scale letter in its name, or None for any other name.

    Example:
        >>> file, scale = shipped_model("yolov8s-sem.yaml")
        >>> file.name, scale
        ('yolov8-sem.yaml', 's')
    """
    known = re.fullmatch(r"(yolov8)([nsmlx]?)(-\w+)\.yaml", name)
    file = shipped_file(f"{known[1]}{known[3]}", "models") if known else None
    return (file, known[2] or "n") if known and file else None


def config_for_model(model: str, task: str | None = None) -> str:
    """Return the name of the shipped configuration that a model trains with where none is named: `TASK/MODEL`.

    Args:
        model: A model YAML or weights; the scale letter and `-seg` or `-sem` in its name count, whatever else is in it.
        task: The task, if it is known; None goes by the name.

    Example:
        >>> config_for_model("yolov8s-seg.pt"), config_for_model("runs/best.pt")
        ('segment/yolov8s', 'detect/yolov8n')
    """
    stem = Path(model).stem
    scale = re.match(r"yolov8([nsmlx])", stem)
    by_name = "segment" if "-seg" in stem else "semantic" if "-sem" in stem else "detect"
    return f"{task or by_name}/yolov8{scale.group(1) if scale else 'n'}"


def shipped_weights(name: str | Path) -> Path | None:
    """Return the shipped checkpoint that a bare name means (`demo`, or its file name), or None.

    A file of that name in the working directory is the user's own and comes first; that is the caller's to look for.
    """
    file = SHIPPED_WEIGHTS if str(name) == "demo" else str(name)
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / "weights", package.parent / "weights"):
        if file == SHIPPED_WEIGHTS and (folder / file).is_file():
            return folder / file
    return None


def write_shipped(destination: str | Path) -> list[Path]:
    """Copy configurations, plans and data-set YAMLs to `destination`/configs and /datasets, which refer to each other.

    Returns:
        The files written.

    Raises:
        ConfigError: If a file of that name is there already (nothing is written then), or writing fails.
    """
    target = Path(destination)
    copies = {
        target / _FOLDERS[kind] / f"{name}.yaml": shipped_folder(kind) / f"{name}.yaml"
        for kind in _COPIED
        for name in shipped_names(kind)
    }
    present = [str(path) for path in copies if path.exists()]
    if present:
        shown = ", ".join(present[:3]) + (f" and {len(present) - 3} more" if len(present) > 3 else "")
        raise ConfigError(f"Not overwritten: {shown}. Choose another folder, or move them away")
    written: list[Path] = []
    try:
        for path, source in copies.items():
            make_folder(path.parent)
            replace_text(path, source.read_text(encoding="utf-8"))
            written.append(path)
    except (OSError, OutputError):
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return written
