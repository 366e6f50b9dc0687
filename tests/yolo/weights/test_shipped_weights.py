"""The checkpoint that travels with the package: small, portable, by name, and good on scenes it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.config.shipped import SHIPPED_WEIGHTS, shipped_weights
from reg_yolo.scenes import CLASS_NAMES, write_stills
from reg_yolo.yolo.commands.val import val
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of, model_of
from reg_yolo.yolo.weights.opening import open_detector


def test_shipped_weights_go_by_name_and_are_small() -> None:
    file = shipped_weights("demo")
    assert file is not None and file == shipped_weights(SHIPPED_WEIGHTS)
    assert file.stat().st_size < 7_000_000
    assert shipped_weights("yolov8n.pt") is None


def test_shipped_weights_open_restricted_and_know_the_seven_classes() -> None:
    checkpoint = load_checkpoint_file(str(shipped_weights("demo")))
    assert list(model_of(checkpoint).names.values()) == list(CLASS_NAMES)
    assert set(metadata_of(checkpoint)["thresholds"]["values"]) == set(CLASS_NAMES)
    arguments = checkpoint["train_args"]
    # They were trained somewhere; where is nobody's business.
    assert not [key for key in ("project", "save_dir", "data") if Path(str(arguments.get(key) or "")).is_absolute()]


def test_the_folder_that_the_demo_leaves_does_not_hide_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_detector("demo").path == shipped_weights("demo")


@pytest.mark.slow
def test_shipped_weights_find_objects_on_unseen_scenes(tmp_path: Path) -> None:
    scenes = write_stills(tmp_path / "scenes", 16, (640, 384), seed=424_242, boxes_only=True, val_fraction=0.8)
    result = val("demo", scenes.data_yaml, out=tmp_path / "val", device="cpu", plots=False)
    assert result.report.mean.ap50 > 0.4
    # The package's own folder is not written to.
    assert not list(Path(str(shipped_weights("demo"))).parent.glob("*.thresholds.json"))
