"""Suppression in `val` and in the validation that chooses best.pt: both branches, every task, records and resume."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import DEFAULT_CFG_DICT

import reg_yolo
from reg_yolo.cli.app import main
from reg_yolo.config.loader import load_config
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.train import prepare
from reg_yolo.yolo.suppression.suppression import Suppression
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from reg_yolo.yolo.validation.validators import RegDetectionValidator
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.conftest import NAMES
from tests.detector import write_detector
from tests.yolo.runs import TINY_MODEL

FAST: dict[str, Any] = {"device": "cpu", "workers": 0, "plots": False, "iou": 0.3}


def metrics(weights: Path, data: Path, **options: Any) -> dict[str, float]:
    """What `val` finds."""
    found = reg_yolo.val(weights, data, **{**FAST, **options}).metrics
    return {name: value for name, value in found.items() if name.startswith("metrics/")}


def test_each_suppression_has_its_figures(detector: Path, even_rectangles: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "best.pt"))
    by_kind = {kind: metrics(weights, even_rectangles, suppression=kind) for kind in ("stock", "soft", "balanced")}
    assert by_kind["stock"] == metrics(weights, even_rectangles)
    assert len({tuple(values.values()) for values in by_kind.values()}) == 3
    rescored = {kind: metrics(weights, even_rectangles, rescore=kind) for kind in ("none", "dfl", "spread")}
    assert rescored["none"] == by_kind["stock"] and len({tuple(v.values()) for v in rescored.values()}) == 3


@pytest.mark.parametrize("task", ["segment", "joint"])
def test_masks_are_measured_with_their_boxes(
    task: str, polygons: Path, mixed_rectangles: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    metadata = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}
    data = polygons if task == "segment" else mixed_rectangles
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    given = None if task == "segment" else metadata
    weights = write_detector(tmp_path / "best.pt", NAMES, training, mask_logit=3.0, metadata=given)
    stock = metrics(weights, data, iou=0.15)
    for option in ({"suppression": "balanced"}, {"suppression": "soft"}, {"rescore": "dfl"}):
        other = metrics(weights, data, iou=0.15, **option)
        assert other != stock and other["metrics/mAP50(M)"] > 0, option


def test_both_branches_of_the_validator_take_it() -> None:
    # Three boxes side by side; the one in the middle scores least.
    raw = torch.tensor([[8.0, 9, 11], [20, 20, 20], [16, 16, 16], [32, 32, 32], [0.7, 0.69, 0.71]])[None]
    kept = {}
    for training in (True, False):
        for kind in ("stock", "balanced"):
            validator = RegDetectionValidator(args={"task": "detect", "conf": 0.1, "iou": 0.5})
            validator.training, validator.nc, validator.end2end = training, 1, False
            validator.ranking, validator.suppression = SuppressionSettings(kind), Suppression(kind)  # type: ignore[arg-type]
            kept[training, kind] = validator.postprocess(raw)[0]["bboxes"][:, 0].tolist()
    assert kept[True, "balanced"] == kept[False, "balanced"] == [1.0] != kept[True, "stock"] == kept[False, "stock"]


def test_stock_between_epochs_is_upstreams() -> None:
    raw = torch.rand(2, 4 + 3, 300, generator=torch.Generator().manual_seed(0))
    raw[:, :4] *= 60
    found = []
    for kind in (DetectionValidator, RegDetectionValidator):
        validator = kind(args={"task": "detect", "conf": 0.1, "iou": 0.6})
        validator.training, validator.nc, validator.end2end = True, 3, False
        validator.suppression = Suppression()  # type: ignore[union-attr]
        found.append(validator.postprocess((raw.clone(), {})))  # type: ignore[arg-type]
    for theirs, ours in zip(*found, strict=True):
        assert set(theirs) == set(ours) and all(torch.equal(theirs[key], ours[key]) for key in theirs)
        assert len(theirs["conf"]) > 20


@pytest.fixture(scope="module")
def run(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    """Folder of a run with `suppression: balanced`, and what suppressed in which branch of its validator."""
    folder = tmp_path_factory.mktemp("run")
    used: dict[str, set[str]] = {"between epochs": set(), "at the end": set()}
    original = RegDetectionValidator.postprocess

    def noted(self: RegDetectionValidator, preds: Any) -> Any:
        used["between epochs" if self.training else "at the end"].add(self.suppression.kind)
        return original(self, preds)

    words = [f"model={TINY_MODEL}", f"data={rectangles}", "epochs=1", "imgsz=64", "batch=8", "device=cpu", "workers=0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RegDetectionValidator, "postprocess", noted)
        config = load_config(
            "detect/yolov8n", [*words, "suppression=balanced", "plots=false"], train_keys=DEFAULT_CFG_DICT
        )
        trainer_class, given = prepare(config, trust=False)
        trainer_class(overrides={**given, "save_dir": str(folder / "run")}).train()
    return folder / "run", used


def test_the_run_chooses_best_with_it_and_says_so(run: tuple[Path, dict[str, set[str]]]) -> None:
    folder, used = run
    assert used == {"between epochs": {"balanced"}, "at the end": {"balanced"}}
    assert yaml.safe_load((folder / "reg.yaml").read_text())["suppression"] == "balanced"
    for name in ("best.pt", "last.pt"):
        assert metadata_of(load_checkpoint_file(folder / "weights" / name))["suppression"] == "balanced"


def test_a_resumed_run_goes_on_with_it(run: tuple[Path, dict[str, set[str]]]) -> None:
    last = run[0] / "weights/last.pt"
    checkpoint = torch.load(last, weights_only=False)
    checkpoint |= {"optimizer": {"state": {}, "param_groups": []}, "epoch": -1}
    copied = last.parent / "resumable.pt"
    torch.save(checkpoint, copied)
    trainer = type("T", (RegDetectionTrainer,), {"settings": {}})(
        overrides={"resume": str(copied), "save_dir": str(run[0]), "device": "cpu"}
    )
    assert trainer.ranking.kind == "balanced"


def test_the_key_is_stock_by_default_and_unknown_words_are_refused(rectangles: Path, capsys: Any) -> None:
    assert RunConfig(model="yolov8n.yaml", data="x.yaml").suppression == "stock"
    with pytest.raises(ConfigError, match=r"suppression: got \"balanecd\".*Did you mean balanced\?"):
        reg_yolo.train("detect/yolov8n", [f"data={rectangles}", "suppression=balanecd"])
    with pytest.raises(SystemExit, match="2"):
        main(["val", "demo", "--rescore", "sprad", f"data={rectangles}"])
    assert "--rescore: got 'sprad'" in capsys.readouterr().err
