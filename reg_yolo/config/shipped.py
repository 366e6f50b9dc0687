"""The configurations and data-set YAMLs that travel with the package, and copies of them for a user to edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from reg_yolo.errors import ConfigError, OutputError
from reg_yolo.files import make_folder, replace_text

Kind = Literal["configs", "datasets", "plans"]
_FOLDERS: dict[Kind, str] = {"configs": "configs", "datasets": "datasets", "plans": "configs/compare"}
SHIPPED_WEIGHTS = "highway_yolov8n.pt"
"""YOLOv8n trained on the embedded highway; scripts/train_shipped_weights.py repeats it."""


def shipped_folder(kind: Kind) -> Path:
    """Returns the folder of shipped files: inside an installed package, beside it in a clone.

    Raises:
        ConfigError: the installation has lost them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / _FOLDERS[kind], package.parent / _FOLDERS[kind]):
        if folder.is_dir():
            return folder
    raise ConfigError(f"The shipped {kind} are missing beside {package}; install reg-yolo again.")


def shipped_names(kind: Kind = "configs") -> list[str]:
    """Returns the names by which shipped files are called, sorted: `detect/yolov8n` for detect/yolov8n.yaml."""
    folder = shipped_folder(kind)
    names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    # The plans lie among the configurations, and are none.
    return [name for name in names if kind != "configs" or not name.startswith("compare/")]


def shipped_file(name: str, kind: Kind = "configs") -> Path | None:
    """Returns the shipped file of a name, given with or without `.yaml`, or None."""
    stem = name.removesuffix(".yaml")
    return shipped_folder(kind) / f"{stem}.yaml" if stem in shipped_names(kind) else None


def config_for_model(model: str, task: str | None = None) -> str:
    """Returns the name of the shipped configuration that a model trains with where none is named: `TASK/MODEL`.

    Args:
        model: a model YAML or weights; the scale letter and `-seg` in its name count, whatever else stands there.
        task: the task, if it is known; None goes by the name.

    Example:
        >>> config_for_model("yolov8s-seg.pt"), config_for_model("runs/best.pt")
        ('segment/yolov8s', 'detect/yolov8n')
    """
    stem = Path(model).stem
    scale = re.match(r"yolov8([nsmlx])", stem)
    by_name = "segment" if "-seg" in stem else "detect"
    return f"{task or by_name}/yolov8{scale.group(1) if scale else 'n'}"


def shipped_weights(name: str | Path) -> Path | None:
    """Returns the shipped checkpoint that a bare name means (`demo`, or its file name), or None.

    A file of that name in the working directory is the user's own and comes first; that is the caller's to look for.
    """
    file = SHIPPED_WEIGHTS if str(name) == "demo" else str(name)
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / "weights", package.parent / "weights"):
        if file == SHIPPED_WEIGHTS and (folder / file).is_file():
            return folder / file
    return None


def write_shipped(destination: str | Path) -> list[Path]:
    """Copies every shipped file to `destination`/configs and `destination`/datasets, which refer to each other.

    Returns:
        The files written.

    Raises:
        ConfigError: a file of that name is there already (nothing is written then), or writing fails.
    """
    target = Path(destination)
    copies = {
        target / _FOLDERS[kind] / f"{name}.yaml": shipped_folder(kind) / f"{name}.yaml"
        for kind in _FOLDERS
        for name in shipped_names(kind)
    }
    present = [str(path) for path in copies if path.exists()]
    if present:
        shown = ", ".join(present[:3]) + (f" and {len(present) - 3} more" if len(present) > 3 else "")
        raise ConfigError(f"Not overwritten: {shown}. Choose another folder, or move them away.")
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
