"""`train` from Python and from the command line: check everything first, then train, and clean up after a refusal."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.nn.tasks import DetectionModel, SemanticSegmentationModel, yaml_model_load
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.config.loader import load_config, where_given
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.schema import DataPair, RunConfig
from reg_yolo.config.shipped import config_for_model, shipped_model, shipped_weights
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import read_joint_sets
from reg_yolo.errors import ConfigError, WeightsError, first_line
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.per_pixel import PixelReport
from reg_yolo.yolo.commands.run_folder import new_run_folder, run_folder
from reg_yolo.yolo.datasets.resolved import check_joint_split, check_split
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.training.rank_group import joined_ranks
from reg_yolo.yolo.training.ranked import as_rank
from reg_yolo.yolo.training.trainers import (
    RegDetectionTrainer,
    RegJointTrainer,
    RegSegmentationTrainer,
    RegSemanticTrainer,
)
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter
from reg_yolo.yolo.upstream.environment import is_remote, offline
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file
from reg_yolo.yolo.weights.opening import open_detector

TRAINERS: dict[str, type[RegTraining]] = {
    "detect": RegDetectionTrainer,
    "segment": RegSegmentationTrainer,
    "joint": RegJointTrainer,
    "semantic": RegSemanticTrainer,
}
# Ours begin "imgsz: got 0", upstream's "'lr0=-1' is an invalid value".
_KEY_OF_MESSAGE = re.compile(r"'?([a-z]\w*)(?::|=)")
UPSTREAM_TASKS = {"detect": "detect", "segment": "segment", "joint": "segment", "semantic": "semantic"}


@dataclass(frozen=True)
class TrainingResult:
    """What a training run left.

    Attributes:
        folder: The run directory.
        best: Weights of the best epoch; they hold the per-class thresholds.
        last: Weights of the last epoch.
        report: Per-class results of `best` on the validation split; None for a run on several GPUs, whose workers
            leave it as per_class.json in the folder.
        metrics: Upstream's metrics of the final validation.
        mask_report: Per-class results of the masks; None for task detect.
    """

    folder: Path
    best: Path
    last: Path
    report: DetectionReport | PixelReport | None
    metrics: dict[str, float]
    mask_report: DetectionReport | None = None


@dataclass(frozen=True)
class DryRun:
    """What one batch of a run would be.

    Attributes:
        description: The criterion with its switches.
        losses: Box, class and distribution loss of the batch, after upstream's gains.
        terms: Terms of the criterion and the class weights.
        images: Images in the training split.
        class_counts: Labelled boxes by class name.
        parameters: Parameters of the model.
    """

    description: str
    losses: dict[str, float]
    terms: dict[str, float]
    images: int
    class_counts: dict[str, int]
    parameters: int


def train(
    config: RunConfig | str | Path | None = None,
    overrides: Sequence[str] = (),
    *,
    trust: bool = False,
    **arguments: Any,
) -> TrainingResult:
    """Train a model.

    Args:
        config: A configuration, its file, or the name of a shipped one such as `detect/yolov8n`; None takes the
            shipped one of the model that `model=` names.
        overrides: `key=value` words as on the command line.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments by their own names, and `data` or `model`; short for overrides.

    Raises:
        RegYoloError: If the configuration, the data or the weights are wrong; no run directory is left behind.
    """
    words = [*overrides, *(as_override(key, value) for key, value in arguments.items())]
    with joined_ranks():
        with places_named(config, words):
            trainer_class, given = prepare(resolve_config(config, words, trust=trust), trust=trust)
        with run_folder(lambda: new_run_folder({**given, "task": trainer_class.task_name}, "train")) as folder:
            trainer = as_rank(trainer_class)(overrides={**given, "save_dir": str(folder)})
            trainer.train()
            return training_result(trainer)


def dry_run(
    config: RunConfig | str | Path | None = None, overrides: Sequence[str] = (), *, trust: bool = False
) -> DryRun:
    """Check everything, build the model and compute the loss of one batch, without training.

    No run folder is made; Ultralytics leaves its cache of the labels beside them, as in every run.

    Raises:
        RegYoloError: As `train`.
    """
    if RANK != -1:
        raise ConfigError("dry-run: is of one process; leave out the launcher that starts several")
    with places_named(config, overrides):
        trainer_class, given = prepare(resolve_config(config, overrides, trust=trust), trust=trust)
    with tempfile.TemporaryDirectory(prefix="reg_yolo_dry_run_") as folder:
        trainer = trainer_class(overrides={**given, "save_dir": folder, "plots": False, "workers": 0, "val": True})
        trainer._setup_train()
        batch = trainer.preprocess_batch(next(iter(trainer.train_loader)))
        model = unwrap_model(trainer.model)
        model.train()
        loss, items = model(batch)
        loss.sum().backward()
        names = trainer.data["names"]
        return DryRun(
            description=trainer.criterion.describe(),
            losses={name: float(value) for name, value in items.items()},
            terms=trainer.criterion.epoch_terms(names),
            images=len(trainer.train_loader.dataset),
            class_counts={names[i]: count for i, count in enumerate(trainer.class_counts)},
            parameters=sum(p.numel() for p in model.parameters()),
        )


@contextmanager
def places_named(config: RunConfig | str | Path | None, overrides: Sequence[str]) -> Iterator[None]:
    """Add to an error about a key, whoever raises it in the block, the file and line that give it."""
    try:
        yield
    except ConfigError as error:
        found = _KEY_OF_MESSAGE.match(str(error))
        if found is None or not isinstance(config, (str, Path)):
            raise
        place = where_given(found[1], config, overrides, train_keys=DEFAULT_CFG_DICT)
        if not place or place.strip(" ()") in str(error):
            raise
        raise ConfigError(f"{str(error).rstrip('.')}{place}") from error.__cause__


def resolve_config(
    config: RunConfig | str | Path | None, overrides: Sequence[str], *, trust: bool = False
) -> RunConfig:
    """Return the validated configuration, with Ultralytics' argument names checked."""
    if isinstance(config, RunConfig):
        if overrides:
            raise ConfigError("overrides go with a configuration file or name, not with an already resolved RunConfig")
        return config
    named = _config_of_model(overrides, trust=trust) if config is None else config
    return load_config(named, overrides, train_keys=DEFAULT_CFG_DICT)


def _config_of_model(overrides: Sequence[str], *, trust: bool) -> str:
    """Return the shipped configuration of the model that the overrides name.

    Raises:
        ConfigError: If they name none.
    """
    values = read_overrides(overrides, DEFAULT_CFG_DICT).values
    model, task = values.get("model"), values.get("task")
    if not model:
        raise ConfigError(
            "train: neither a configuration nor a model is named; expected a YAML file, a shipped name such as "
            "detect/yolov8n, or model=yolov8n.pt"
        )
    if task is None and str(model).endswith(".pt") and Path(str(model)).is_file():
        task = open_detector(str(model), trust=trust, pixels=True).task
    return config_for_model(str(model), None if task is None else str(task))


def as_override(key: str, value: Any) -> str:
    """Return `key=value` as on the command line; values are written as JSON, which YAML reads back unchanged."""
    return f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"


def prepare(config: RunConfig, *, trust: bool, data_checked: bool = False) -> tuple[type[RegTraining], dict[str, Any]]:
    """Check versions, arguments, model and data, and return the trainer class with Ultralytics' arguments.

    Args:
        config: The resolved configuration.
        trust: Load checkpoints that run code of their own.
        data_checked: Labels and images have been checked before; they are not read again.

    Raises:
        RegYoloError: With the first thing that is wrong.
    """
    check_ultralytics_version()
    if config.task not in TRAINERS:
        raise ConfigError(f"task: {config.task} is not trained by this version; expected one of {', '.join(TRAINERS)}")
    shipped = None if Path(config.model).exists() else shipped_weights(Path(config.model).name)
    model = str(shipped or config.model)
    data = config.data.detect if isinstance(config.data, DataPair) else config.data
    arguments = {**config.train, "task": UPSTREAM_TASKS[config.task], "mode": "train", "model": model, "data": data}
    check_arguments(arguments)
    check_model(model, trust=trust, task=config.task)
    if isinstance(arguments.get("pretrained"), str):
        check_weights(arguments["pretrained"], trust=trust)
    joint = None
    if config.task == "joint":
        joint = check_joint_data(config, arguments, data_checked=data_checked)
    elif not is_remote(data):
        description = read_dataset_yaml(str(data))
        check_class_filter(arguments.get("classes"), description.class_names)
        for split in () if data_checked else ("train", str(arguments.get("split", "val"))):
            check_split(description, split, config.task)
    trainer = TRAINERS[config.task].with_settings(
        config.reg,
        albumentations=None if config.albumentations.is_stock else config.albumentations.to_dict(),
        sampling=config.sampling,
        suppression=config.suppression,
        threads=config.threads,
        trust=trust,
        data_checked=True,
        joint=joint,
    )
    return trainer, arguments


def check_joint_data(config: RunConfig, arguments: dict[str, Any], *, data_checked: bool) -> dict[str, Any]:
    """Check the one or two data sets of a joint run, and return what its trainer needs as plain data.

    Raises:
        RegYoloError: With the first thing that is wrong.
    """
    sets = read_joint_sets(config.data, config.mask_classes)
    check_class_filter(arguments.get("classes"), sets.class_names)
    for split in () if data_checked else ("train", str(arguments.get("split", "val"))):
        check_joint_split(sets, split)
    return {**sets.to_plain(), "lambda_seg": config.lambda_seg}


def check_weights(weights: str, *, trust: bool) -> None:
    """Check that weights to start from load; those that are not here may be fetched where the user allows it.

    Raises:
        WeightsError: If there are no such weights here and none may be fetched, or they do not load.
    """
    if is_remote(weights):
        return
    if not Path(weights).is_file() and offline():
        raise WeightsError(
            f"{weights}: no such file here, and this run stays offline; put the file there, "
            "or allow the download with YOLO_OFFLINE=false"
        )
    if Path(weights).is_file():
        load_checkpoint_file(weights, trust=trust)


def check_model(model: str, *, trust: bool, task: str = "detect") -> None:
    """Check that a model YAML exists, or that weights load.

    Raises:
        ConfigError: If there is no such model YAML.
        WeightsError: If there are no such weights here and none may be fetched, or they do not load.
    """
    if is_remote(model):
        return
    if model.endswith(".pt"):
        check_weights(model, trust=trust)
        return
    try:
        if not model.endswith((".yaml", ".yml")):
            raise FileNotFoundError(model)
        if shipped_model(model):
            return
        yaml_model_load(model)
        if Path(model).is_file():
            # A YAML of the user's own; the stock ones need no trial.
            (SemanticSegmentationModel if task == "semantic" else DetectionModel)(model, verbose=False)
    except FileNotFoundError as error:
        raise ConfigError(
            f"model: there is no {model}; expected a YOLOv8 model YAML such as yolov8n.yaml (n, s, m, l, x), "
            "a YAML of your own, or weights (.pt)"
        ) from error
    except Exception as error:
        raise ConfigError(
            f"{model}: no model can be built from it ({type(error).__name__}: {first_line(error)})"
        ) from error


def training_result(trainer: RegTraining) -> TrainingResult:
    """Return what a trainer that has ended has left."""
    metrics = {key: float(value) for key, value in (trainer.metrics or {}).items()}
    LOGGER.info(f"Run directory: {trainer.save_dir}")
    return TrainingResult(
        Path(trainer.save_dir), trainer.best, trainer.last, trainer.report, metrics, trainer.mask_report
    )
