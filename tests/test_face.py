"""The package's face: every name is there, completion offers it, and importing it brings nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import reg_yolo


@pytest.mark.parametrize("name", reg_yolo.__all__)
def test_every_name_is_there_and_offered(name: str) -> None:
    assert getattr(reg_yolo, name) is not None
    assert name in dir(reg_yolo)


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = reg_yolo.trian


def test_the_face_brings_nothing_heavy() -> None:
    script = (
        "import sys, reg_yolo; reg_yolo.load_config; print(sorted({'torch', 'ultralytics', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
