"""Files to load and a stand-in for Ultralytics' list of arguments, which the loader is handed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA_YAML = "path: .\ntrain: images\nval: images\nnames: [sign]\n"


@pytest.fixture
def train_keys() -> dict[str, Any]:
    return {
        "task": "detect",
        "mode": "train",
        "model": None,
        "data": None,
        "resume": False,
        "save_dir": None,
        "epochs": 100,
        "patience": 100,
        "batch": 16,
        "imgsz": 640,
        "lr0": 0.01,
        "scale": 0.5,
        "box": 7.5,
        "optimizer": "auto",
        "plots": True,
        "amp": True,
        "cache": False,
        "device": None,
        "name": None,
        "time": None,
        "cls_pw": 0.0,
        "pretrained": True,
        "classes": None,
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file under the test's folder, where `roads.yaml` is a data-set YAML."""
    (tmp_path / "roads.yaml").write_text(DATA_YAML, encoding="utf-8")

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
