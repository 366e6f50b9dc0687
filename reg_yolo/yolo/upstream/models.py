"""Model YAMLs of ours, as Ultralytics takes them: by name and scale letter, and as plain data."""

from __future__ import annotations

from typing import Any

from reg_yolo.config.shipped import shipped_model
from reg_yolo.config.yaml_text import read_yaml


def read_model(model: Any) -> Any:
    """Return what Ultralytics builds a model from: for a name of ours the YAML's content, anything else as it is.

    Ultralytics finds `yolov8.yaml` for `yolov8n.yaml` in its own folder only, and takes the first digit before a scale
    letter in a whole path for the model's.
    """
    found = shipped_model(model) if isinstance(model, str) else None
    if found is None:
        return model
    file, scale = found
    content = read_yaml(file.read_text(encoding="utf-8"), file.name).value
    return {**content, "scale": scale, "yaml_file": model}
