"""One step on a fixed batch, by one process on all of it or by ranks on their shares; run by both."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.training.ranked import as_rank
from reg_yolo.yolo.training.trainers import (
    RegDetectionTrainer,
    RegJointTrainer,
    RegSegmentationTrainer,
    RegSemanticTrainer,
)
from reg_yolo.yolo.upstream.models import read_model
from tests.yolo.runs import FAST

IMAGES = 8
# Nothing here compares the images of a batch with each other; Dice does, and stays each rank's own.
LEARNED = {
    "preset": "reg_v1",
    "alpha": {"scheme": "dual"},
    "uncertainty": {"mode": "logit_normal", "deviation": "learned"},
}
CASES: dict[str, tuple[type[RegTraining], str, str, Any, dict[str, Any] | None]] = {
    "detect": (RegDetectionTrainer, "rectangles", "yolov8n.yaml", LEARNED, None),
    "segment": (RegSegmentationTrainer, "polygons", "yolov8n-seg.yaml", "stock", None),
    "joint": (RegJointTrainer, "mixed_rectangles", "yolov8n-seg.yaml", "reg_v1", {"mask_classes": ["red", "blue"]}),
    "semantic": (
        RegSemanticTrainer, "polygons", "yolov8n-sem.yaml", {"preset": "reg_v1", "semantic": {"dice": False}}, None,
    ),
}  # fmt: skip


def write_small_model(name: str, path: Path) -> None:
    """Write one of the stock models as a YAML of the tests' own, of an eighth of its width."""
    own = read_model(name)
    content = dict(own if isinstance(own, dict) else yaml_model_load(name))
    content["scales"] = {"n": [0.33, 0.03125, 256]}
    path.write_text(yaml.safe_dump(content))


def gradients_of_a_step(case: str, sets: dict[str, Path], work: Path, ranks: int) -> dict[str, Any]:
    """Compute the gradients of a case's fixed batch, and step.

    The process of its own saves the weights that it starts from; ranks load them.

    Args:
        case: Which of `CASES`.
        sets: The data sets by the names of their fixtures.
        work: Folder for the start weights and the run folders.
        ranks: 1, or how many this process is one of.

    Returns:
        `gradients` and `weights` after the step as vectors, what the criterion keeps as `state`, and as `share` how
        many objects or pixels the process has counted.
    """
    trainer_class, data, model_name, reg, joint = CASES[case]
    settings = {
        **FAST, "model": str(work / model_name), "data": str(sets[data]), "batch": IMAGES,
        "save_dir": str(work / f"{case}_{RANK}"), "optimizer": "SGD", "lr0": 0.01, "weight_decay": 0.0, "imgsz": 96,
    }  # fmt: skip
    joint = {"data": str(sets[data]), **joint} if joint else None
    trainer: Any = as_rank(trainer_class.with_settings(reg, joint=joint))(overrides=settings)
    # The first batch is not drawn.
    trainer.sheet_drawn = True
    trainer._setup_train()
    model = unwrap_model(trainer.model)
    start = work / f"{case}.pt"
    if ranks == 1:
        torch.save(model.state_dict(), start)
    else:
        model.load_state_dict(torch.load(start))
    trainer.model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    # The validation images come without augmentation.
    dataset = trainer.test_loader.dataset
    share = range(max(RANK, 0), IMAGES, ranks)
    batch = trainer.preprocess_batch(dataset.collate_fn([dataset[index] for index in share]))
    counted = len(batch.get("cls", ()))
    if case == "semantic":
        if 0 in share:
            # Of one image half of the pixels are unknown.
            batch["semantic_mask"][0, :48] = 255
        counted = int((batch["semantic_mask"] != 255).sum())
    loss, _ = trainer.model(batch)
    (loss.sum() * ranks).backward()
    gradients = flat(value.grad for value in model.parameters() if value.grad is not None)
    trainer.optimizer_step()
    learned = [] if trainer.learned_deviation is None else [trainer.learned_deviation]
    weights = flat([*model.parameters(), *learned])
    return {"gradients": gradients, "weights": weights, "state": trainer.criterion.state(), "share": counted}


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Return all numbers of some tensors in a row."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
