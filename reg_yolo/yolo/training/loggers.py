"""Experiment loggers: upstream attaches and feeds them; what they get of ours, and which of them must be asked for.

Upstream's settings switch ClearML and Comet on as soon as their packages are installed, and both send the run away as
they start. A run that stays offline lets them log only where their own variables say so. A logger that fails is left
out for the rest of the run: ClearML offline and DVC outside a repository do so after hours, as the training ends.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from ultralytics.utils import LOGGER, SETTINGS

from reg_yolo import __version__
from reg_yolo.config.loader import dump_yaml
from reg_yolo.config.merging import flattened
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.sampling import SamplingSettings
from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import first_line
from reg_yolo.yolo.upstream.environment import offline


class LoggedTraining:
    """Mix-in of `RegTraining`: loggers get its settings, and names that they take; those nobody asked for get nothing.

    A logger that fails ends no training.

    The terms of the criterion reach them with upstream's metrics, see `RegTraining.save_metrics`.
    """

    task_name: ClassVar[str]
    settings: ClassVar[dict[str, Any]]
    joint: dict[str, Any] | None
    reg: RegSettings
    sampling: SamplingSettings
    ranking: SuppressionSettings
    metrics: dict[str, Any]
    callbacks: dict[str, list[Callable[..., Any]]]

    def run_callbacks(self, event: str) -> None:
        """Run upstream's callbacks."""
        if event == "on_pretrain_routine_start":
            leave_out_unasked(self)
            guard_loggers(self)
        with names_for_loggers(self) if event == "on_fit_epoch_end" else nullcontext():
            super().run_callbacks(event)  # type: ignore[misc]
        if event == "on_pretrain_routine_end":
            own = {name: value for name, value in self.logged_settings().items() if value is not None}
            log_settings(self, {"reg_yolo": {"task": type(self).task_name, "version": __version__}, **own})

    def logged_settings(self) -> dict[str, Any]:
        """Return what upstream's arguments do not hold: for reg.yaml, and for loggers as parameters."""
        return {
            "reg": self.reg.to_dict(),
            "joint": self.joint,
            "albumentations": self.settings.get("albumentations"),
            "sampling": None if self.sampling.is_stock else self.sampling.to_dict(),
            "suppression": None if self.ranking.is_stock else self.ranking.kind,
        }


@dataclass(frozen=True)
class _Sender:
    """A logger that opens a connection as it starts.

    Attributes:
        title: Its name.
        variables: The user's own word on it.
        running: Whether the program has begun a run of it already.
        would_log: Whether it would log at all; what would not is left out without a word.
        hint: How to let it log.
    """

    title: str
    variables: tuple[str, ...]
    running: Callable[[], bool]
    would_log: Callable[[], bool]
    hint: str


def _runs(package: str, current: Callable[[Any], Any]) -> Callable[[], bool]:
    def running() -> bool:
        module = sys.modules.get(package)
        return module is not None and current(module) is not None

    return running


_SENDERS = {
    "clearml": _Sender(
        "ClearML",
        ("CLEARML_OFFLINE_MODE",),
        _runs("clearml", lambda package: package.Task.current_task()),
        lambda: True,
        "CLEARML_OFFLINE_MODE=1 keeps it on this machine, CLEARML_OFFLINE_MODE=0 sends it",
    ),
    "comet": _Sender(
        "Comet",
        ("COMET_START_ONLINE", "COMET_MODE"),
        _runs("comet_ml", lambda package: package.get_running_experiment()),
        lambda: True,
        "COMET_START_ONLINE=0 keeps it on this machine, COMET_START_ONLINE=1 sends it",
    ),
    "platform": _Sender(
        "Ultralytics Platform",
        (),
        lambda: False,
        lambda: bool(os.environ.get("ULTRALYTICS_API_KEY") or SETTINGS.get("api_key")),
        "YOLO_OFFLINE=false sends it",
    ),
}


def leave_out_unasked(trainer: Any) -> list[str]:
    """Take the callbacks of loggers that would send the run away without being asked off a trainer.

    Returns:
        Names of those loggers, each of which is also named in the log with the way to let it log.
    """
    if not offline():
        return []
    left_out = []
    for name, sender in _SENDERS.items():
        own = _callbacks_of(name)
        if not _attached(trainer, own) or any(os.environ.get(each) for each in sender.variables) or sender.running():
            continue
        for event, callback in own.items():
            trainer.callbacks[event] = [each for each in trainer.callbacks[event] if each is not callback]
        if sender.would_log():
            left_out.append(sender.title)
            LOGGER.warning(f"{sender.title} logs nothing, as this run stays offline; {sender.hint}")
    return left_out


@dataclass
class _Guard:
    """What became of a logger in a run.

    Attributes:
        title: Its name.
        failed: Whether it raised; it is not called again then.
    """

    title: str
    failed: bool = False


@dataclass(frozen=True)
class _Guarded:
    """A callback of a logger, an error of which becomes a warning.

    Attributes:
        callback: Upstream's function.
        guard: Shared by all callbacks of its logger.
    """

    callback: Callable[..., Any]
    guard: _Guard

    def __call__(self, trainer: Any) -> None:
        """Call it, unless its logger has failed before."""
        if self.guard.failed:
            return
        try:
            self.callback(trainer)
        except Exception as error:
            self.guard.failed = True
            reason = f"{type(error).__name__}: {first_line(error)}"
            LOGGER.warning(f"{self.guard.title} logs no more of this run, which goes on: {reason}")


# Not Ray Tune, which may end a trial by an exception.
_TITLES = {
    "clearml": "ClearML",
    "comet": "Comet",
    "dvc": "DVC",
    "mlflow": "MLflow",
    "tensorboard": "TensorBoard",
    "wb": "Weights & Biases",
    "platform": "Ultralytics Platform",
}


def guard_loggers(trainer: Any) -> None:
    """Let the errors of a trainer's loggers become warnings.

    Args:
        trainer: After upstream has attached its loggers, and before it calls them.
    """
    for name, title in _TITLES.items():
        guard = _Guard(title)
        for event, callback in _callbacks_of(name).items():
            attached = trainer.callbacks[event]
            trainer.callbacks[event] = [_Guarded(callback, guard) if each is callback else each for each in attached]


def log_settings(trainer: Any, settings: Mapping[str, Any]) -> None:
    """Hand our settings to every logger of a trainer that takes parameters; a logger that fails stops no training.

    Args:
        trainer: After upstream's loggers have begun their runs.
        settings: Nested, as in reg.yaml.
    """
    flat = {
        key: json.dumps(value) if isinstance(value, (list, dict)) else value
        for key, value in flattened(settings).items()
    }
    for name, log in _PARAMETERS.items():
        if not _attached(trainer, _callbacks_of(name)):
            continue
        try:
            log(sys.modules[f"{_UPSTREAM}.{name}"], trainer, flat, settings)
        except Exception as error:
            LOGGER.warning(f"{name}: takes no settings of the loss ({type(error).__name__}: {first_line(error)})")


_UPSTREAM = "ultralytics.utils.callbacks"


def _callbacks_of(name: str) -> dict[str, Callable[..., Any]]:
    module = sys.modules.get(f"{_UPSTREAM}.{name}")
    return dict(module.callbacks) if module is not None else {}


def _attached(trainer: Any, own: Mapping[str, Callable[..., Any]]) -> bool:
    return any(
        getattr(each, "callback", each) is callback
        for event, callback in own.items()
        for each in trainer.callbacks.get(event, ())
    )


def _to_tensorboard(module: ModuleType, _trainer: Any, _flat: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    if module.WRITER:
        # Markdown, in which an indented block is shown as it stands.
        lines = dump_yaml(settings).splitlines()
        module.WRITER.add_text("reg_yolo settings", "\n".join(f"    {line}" for line in lines))


def _to_mlflow(module: ModuleType, trainer: Any, flat: Mapping[str, Any], _settings: Mapping[str, Any]) -> None:
    if getattr(trainer, "_mlflow_active", False):
        module.mlflow.log_params(dict(flat))


def _to_wandb(module: ModuleType, _trainer: Any, flat: Mapping[str, Any], _settings: Mapping[str, Any]) -> None:
    if module.wb.run:
        module.wb.run.config.setdefaults(dict(flat))


def _to_clearml(module: ModuleType, _trainer: Any, flat: Mapping[str, Any], _settings: Mapping[str, Any]) -> None:
    task = module.Task.current_task()
    if task:
        task.connect(dict(flat), name="reg_yolo", ignore_remote_overrides=True)


def _to_comet(module: ModuleType, _trainer: Any, flat: Mapping[str, Any], _settings: Mapping[str, Any]) -> None:
    experiment = module.comet_ml.get_running_experiment()
    if experiment:
        experiment.log_parameters(dict(flat))


def _to_dvc(module: ModuleType, _trainer: Any, flat: Mapping[str, Any], _settings: Mapping[str, Any]) -> None:
    if module.live:
        module.live.log_params(dict(flat))


_PARAMETERS = {
    "tensorboard": _to_tensorboard,
    "mlflow": _to_mlflow,
    "wb": _to_wandb,
    "clearml": _to_clearml,
    "comet": _to_comet,
    "dvc": _to_dvc,
}


@contextmanager
def names_for_loggers(trainer: Any) -> Iterator[None]:
    """Let the metrics of a trainer have names that MLflow takes, while it logs; it refuses all where one is wrong."""
    metrics = trainer.metrics
    if not _attached(trainer, _callbacks_of("mlflow")):
        yield
        return
    trainer.metrics = dict(zip(loggable_names(list(metrics)), metrics.values(), strict=True))
    try:
        yield
    finally:
        trainer.metrics = metrics


def loggable_names(names: Sequence[str]) -> list[str]:
    """Return names of metrics with letters that MLflow takes: no vowel or tone marks, no signs; each stays unique.

    Brackets stay, which upstream removes itself.

    Example:
        >>> loggable_names(["metrics/mAP50(B)", "reg/weight/ป้าย", "reg/weight/sign & pole", "reg/weight/sign # pole"])
        ['metrics/mAP50(B)', 'reg/weight/ป_าย', 'reg/weight/sign _ pole', 'reg/weight/sign _ pole_2']
    """
    found: list[str] = []
    for name in names:
        # The third part is a class; a dot or two would be a place in a folder.
        *before, last = name.split("/", 2)
        plain = "/".join([*before, "_" if last.strip(".") == "" else re.sub(r"[^\w\-. :()]", "_", last)])
        unique, count = plain, 1
        while unique in found:
            count += 1
            unique = f"{plain}_{count}"
        found.append(unique)
    return found
