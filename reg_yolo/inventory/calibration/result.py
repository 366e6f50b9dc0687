"""What a calibration found, and camera.yaml written from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reg_yolo.files import make_folder, replace_text


@dataclass(frozen=True)
class Calibration:
    """Values of `camera.yaml`, and what the user should read about them.

    Attributes:
        values: By the keys of camera.yaml.
        lines: How they were found and how sure they are.
    """

    values: dict[str, Any]
    lines: list[str] = field(default_factory=list)


def write_camera(path: Path, values: dict[str, Any]) -> None:
    """Write camera.yaml in place of an older one.

    Raises:
        OutputError: If it cannot be written.
    """
    make_folder(path.parent)
    replace_text(path, yaml.safe_dump(values, sort_keys=False, default_flow_style=None))
