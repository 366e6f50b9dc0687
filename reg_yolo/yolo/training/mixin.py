"""What our trainers add to Ultralytics' own: the REG criterion, its settings, and checkpoints that are never cut off.

`RegTraining` is mixed in before an Ultralytics trainer. It overrides hooks only; the training loop, AMP, several GPUs,
loggers and plots stay upstream's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import distributed, nn
from ultralytics.utils import DEFAULT_CFG, LOCAL_RANK, LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.config.reg import RegSettings
from reg_yolo.config.sampling import SamplingSettings
from reg_yolo.config.suppression import SuppressionKind, SuppressionSettings
from reg_yolo.errors import ConfigError, DataError, RegYoloError
from reg_yolo.signals import StopRequest
from reg_yolo.yolo.criterion.class_loss import initial_deviation
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.datasets.resolved import ResolvedDataset, resolve_dataset
from reg_yolo.yolo.datasets.transforms import draw_transforms, prove_augmentations, serialised_augmentations
from reg_yolo.yolo.training.continuing import ContinuedTraining
from reg_yolo.yolo.training.loggers import LoggedTraining
from reg_yolo.yolo.training.precision import Bfloat16Training
from reg_yolo.yolo.training.proximal import ProximalTraining
from reg_yolo.yolo.training.records import draw_training_sheet, write_class_weights, write_settings
from reg_yolo.yolo.training.resume import require_same_classes
from reg_yolo.yolo.training.sampling import RareClassSampling, stored_sampling
from reg_yolo.yolo.training.spheres import SphereTraining
from reg_yolo.yolo.training.start_checks import describe_start, require_supported_head, warn_of_absent_classes
from reg_yolo.yolo.training.threads import TrainingThreads
from reg_yolo.yolo.upstream.environment import is_remote, runs_folder
from reg_yolo.yolo.upstream.models import read_model
from reg_yolo.yolo.upstream.offline import closed_network, register_fonts
from reg_yolo.yolo.validation.validators import RegDetectionValidator
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file


class RegTraining(
    ContinuedTraining, RareClassSampling, Bfloat16Training, ProximalTraining, SphereTraining, TrainingThreads,
    LoggedTraining,
):  # fmt: skip
    """Mix-in for an Ultralytics detection-like trainer that trains with the REG criterion.

    Attributes:
        settings: Plain data that travels with the class, also to the workers of several GPUs: the REG settings under
            `reg`, those of `albumentations`, `sampling`, `suppression` and `threads` under their names, `trust` for
            checkpoints that run their own code, `continues` for the last.pt of a finished run that is extended.
        task_name: Our name of the task; upstream knows `joint` as `segment`.
        counted: What the class weights count.
        joint: Of a joint run `data`, `mask_classes` and `lambda_seg` as plain data.
        criterion: The one criterion of the run, shared by the live model and its EMA; there once set-up is done.
        report, mask_report: Per-class results of the final validation, once training has ended.
    """

    criterion: RegDetectionLoss
    settings: ClassVar[dict[str, Any]] = {}
    task_name: ClassVar[str] = "detect"
    joint: dict[str, Any] | None = None
    validator_class: ClassVar[type[RegDetectionValidator]] = RegDetectionValidator
    counted: ClassVar[str] = "boxes"

    @classmethod
    def with_settings(
        cls,
        reg: str | Mapping[str, Any] | RegSettings | None = None,
        *,
        albumentations: Mapping[str, Any] | None = None,
        sampling: str | Mapping[str, Any] | SamplingSettings | None = None,
        suppression: SuppressionKind = "stock",
        threads: str | int = "auto",
        trust: bool = False,
        data_checked: bool = False,
        joint: Mapping[str, Any] | None = None,
    ) -> type:
        """Return a subclass that trains with these settings, to be handed to `YOLO(...).train(trainer=...)`.

        REG keys cannot go through Ultralytics' arguments, which reject what they do not know.

        Args:
            reg: A preset's name, or a mapping such as `{"preset": "reg", "focal": {"gamma": 1.5}}`; None is the
                preset `reg`.
            albumentations: The `albumentations:` block of a configuration; None leaves Ultralytics' own list.
            sampling: The `sampling:` block, or a method's name; None shows every image once an epoch.
            suppression: In the validation that chooses best.pt: `stock`, `soft` or `balanced`.
            threads: Threads of PyTorch on a CPU: `auto`, `upstream` or a number.
            trust: Load checkpoints that run code of their own.
            data_checked: The caller has checked labels and images already.
            joint: For the joint trainer: `data`, `mask_classes` and `lambda_seg` as in a configuration.

        Raises:
            ConfigError: If a key is unknown or a value out of range.
        """
        validated = reg if isinstance(reg, RegSettings) else RegSettings.from_mapping(reg)
        if not isinstance(sampling, SamplingSettings):
            sampling = SamplingSettings.from_mapping(sampling)
        settings = {
            "reg": validated.to_dict(),
            "albumentations": dict(albumentations) if albumentations else None,
            "sampling": sampling.to_dict(),
            "suppression": SuppressionSettings(suppression).kind,
            "threads": threads,
            "trust": trust,
            "data_checked": data_checked,
            "joint": dict(joint) if joint else None,
        }
        return type(cls.__name__, (cls,), {"settings": settings, "__doc__": cls.__doc__, "__module__": cls.__module__})

    def __init__(
        self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: dict | None = None
    ) -> None:
        """Prepare a run; the arguments are upstream's."""
        overrides = dict(overrides or {})
        if not overrides.get("save_dir") and not overrides.get("resume"):
            overrides["project"] = runs_folder(overrides.get("project"), self.task_name)
        if overrides.get("distill_model"):
            raise ConfigError("distill_model: upstream's distillation builds a criterion of its own; leave it out")
        given = self.settings.get("reg")
        self.reg = RegSettings.from_mapping(given)
        given_sampling = self.settings.get("sampling")
        self.sampling = SamplingSettings.from_mapping(given_sampling)
        self.trust = bool(self.settings.get("trust"))
        self.stored: dict[str, Any] = {}
        self.data_state: dict[str, dict[str, Any]] = {}
        if overrides.get("resume"):
            self.reg = self.take_up(overrides, None if given is None else self.reg)
            given_sampling = None if given_sampling is None else self.sampling
            self.sampling = stored_sampling(self.stored, given_sampling, self.resumed_from)
        elif self.settings.get("continues"):
            self.reg = self.take_over(Path(str(self.settings["continues"])), self.reg)
        # A resumed run goes on as it was begun; one that is extended has its settings from its reg.yaml.
        given_suppression = self.settings.get("suppression") or self.stored.get("suppression")
        self.ranking = SuppressionSettings(given_suppression or "stock")
        self.started_from = str(self.stored.get("model") or overrides.get("model") or "")
        if self.settings.get("albumentations") and not overrides.get("augmentations"):
            overrides["augmentations"] = serialised_augmentations(self.settings["albumentations"])
        self.learned_deviation: nn.Parameter | None = None
        self.class_counts: list[int] = []
        self.report: Any = None
        self.mask_report: Any = None
        self.interruption = StopRequest(lambda name: LOGGER.info(f"{name} received: saving after the current batch"))
        self.around_amp_check = ExitStack()
        self.sheet_drawn = False
        register_fonts()
        super().__init__(cfg, overrides, _callbacks)
        self.take_precision()
        self.check_spheres()
        self.check_proximal()
        stock = self.reg.is_stock and self.sampling.is_stock and not self.bfloat16
        self.take_threads(self.settings.get("threads", "auto"), stock=stock)

    @property
    def learns_deviation(self) -> bool:
        """Whether the deviation of the logits is learned, one for each class."""
        uncertainty = self.reg.uncertainty
        return uncertainty.deviation == "learned" and uncertainty.mode not in {"none", "printed"}

    @property
    def requested_augmentations(self) -> list[dict[str, Any]] | None:
        """Albumentations transforms of this run as plain data; upstream's arguments have no such key by default."""
        return getattr(self.args, "augmentations", None)

    # Data and model ---------------------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        """Return upstream's data-set dictionary, read from our own resolution of the YAML's relative paths."""
        args = self.args
        if is_remote(args.data):
            return super().get_dataset()
        resolved = self.resolve_data(check=LOCAL_RANK == -1 and not self.settings.get("data_checked"))
        args.data = str(resolved.yaml_path)
        try:
            data = super().get_dataset()
        finally:
            args.data = str(resolved.original)
        data["yaml_file"] = args.data
        self.note_data(resolved)
        return data

    def resolve_data(self, *, check: bool) -> ResolvedDataset:
        """Return the data set with absolute paths; `check` reads every label row and image header first."""
        return resolve_dataset(self.args.data, self.save_dir, check=check, task=self.task_name)

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> nn.Module:
        """Return upstream's model; its YAML may be one of ours."""
        return super().get_model(read_model(cfg), weights, verbose)

    def setup_model(self) -> dict[str, Any] | None:
        """Build or load the model as upstream does, refuse heads that are not YOLOv8's, and name the start."""
        if str(self.model).endswith(".pt") and Path(str(self.model)).is_file():
            load_checkpoint_file(str(self.model), trust=self.trust)
        checkpoint = super().setup_model()
        if self.stored and checkpoint:
            require_same_classes(checkpoint, self.data["names"], str(self.args.data))
        require_supported_head(unwrap_model(self.model), str(self.args.model), self.task_name)
        return checkpoint

    def set_model_attributes(self) -> None:
        """Set upstream's attributes; the AMP check that follows fetches a model, which offline runs must not try."""
        super().set_model_attributes()
        self.around_amp_check.enter_context(closed_network(self.device))

    def _build_train_pipeline(self) -> None:
        self.around_amp_check.close()
        super()._build_train_pipeline()

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Build upstream's optimizer; learned parameters of the criterion get a group of their own, without decay."""
        optimizer = super().build_optimizer(model, *args, **kwargs)
        if self.learns_deviation:
            start = self.stored.get("deviations") or [initial_deviation(self.reg)] * self.data["nc"]
            self.learned_deviation = nn.Parameter(torch.tensor(start, device=self.device).log())
            group: dict[str, Any] = {
                "params": [self.learned_deviation],
                "weight_decay": 0.0,
                "param_group": "criterion",
            }
            if "use_muon" in optimizer.param_groups[0]:
                group["use_muon"] = False
            optimizer.add_param_group({"lr": optimizer.param_groups[0]["lr"], **group})
        return optimizer

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does; the first one is drawn with its labels into the run directory."""
        batch = super().preprocess_batch(batch)
        if not self.sheet_drawn and RANK in {-1, 0}:
            self.sheet_drawn = True
            draw_training_sheet(batch, self.data["names"], self.save_dir)
        return batch

    # The criterion ----------------------------------------------------------------------------------------------

    def set_class_weights(self) -> None:
        """Attach the REG criterion to the model; runs after the loaders exist and before the EMA copies the model."""
        if self.args.cls_pw and not self.reg.alpha.is_neutral:
            raise RegYoloError(
                f"cls_pw={self.args.cls_pw} and reg.alpha.scheme={self.reg.alpha.scheme} would weight the classes "
                "twice; set one of them (cls_pw=0, or reg.alpha.scheme=none)"
            )
        super().set_class_weights()
        self.class_counts = [int(count) for count in self.get_class_counts()]
        if not any(self.class_counts):
            raise DataError(
                f"{self.args.data}: the training split has no labelled object, so there is nothing to learn"
            )
        model = unwrap_model(self.model)
        self.criterion = self.build_criterion(model)
        model.criterion = self.criterion
        if RANK in {-1, 0}:
            warn_of_absent_classes(self.data["names"], self.class_counts, self.criterion.class_weights_list())

    def build_criterion(self, model: nn.Module) -> RegDetectionLoss:
        """Return the criterion for `model`, with what a resumed run had learned."""
        return RegDetectionLoss(
            model, self.reg, self.class_counts, stored=self.stored, learned_deviation=self.learned_deviation
        )

    def _setup_train(self) -> None:
        with self.around_amp_check:
            super()._setup_train()
        self._prove_criterion()
        prove_augmentations(self.train_loader.dataset, self.requested_augmentations)
        images = len(self.train_loader.dataset)
        if RANK in {-1, 0}:
            self._write_records()
            draw_transforms(self.train_loader.dataset, self.requested_augmentations, self.save_dir)
            start = describe_start(
                vars(self.args), self.task_name, images, resumed_at=self.start_epoch if self.resume else None
            )
            if not self.only_final_evaluation:
                LOGGER.info(start)

    def _write_records(self) -> None:
        write_settings(
            self.save_dir,
            self.task_name,
            {**self.written_arguments(), "model": self.started_from or self.args.model},
            **self.logged_settings(),
        )
        weights = self.criterion.class_weights_list()
        write_class_weights(self.save_dir, self.data["names"], self.class_counts, weights, counted=self.counted)

    def _prove_criterion(self) -> None:
        """Stop the run unless the criterion that will be called is ours on the live model and on the EMA."""
        for name, model in (("model", unwrap_model(self.model)), ("EMA", self.ema.ema)):
            active = getattr(model, "criterion", None)
            if active is not self.criterion:
                raise RegYoloError(
                    f"the criterion on the {name} is {type(active).__name__}, not the REG criterion; this "
                    "Ultralytics version replaces it, so the run would train with another loss"
                )
        if RANK in {-1, 0}:
            LOGGER.info(f"Criterion: {self.criterion.describe()} (active on the model and on its EMA)")

    def optimizer_step(self) -> None:
        """Step as upstream does; learned parameters of the criterion are averaged over ranks first."""
        if not self.criterion.training_calls:
            raise RegYoloError("the REG criterion was never called in the first batches; the run trains another loss")
        parameter = self.learned_deviation
        if parameter is not None and parameter.grad is not None and RANK != -1:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= self.world_size
        super().optimizer_step()

    # Validation and logs ------------------------------------------------------------------------------------------

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Log the terms of the criterion and the class weights with every epoch, in results.csv and to the loggers."""
        terms = self.criterion.epoch_terms(self.data["names"])
        self.metrics = {**self.metrics, **terms}
        # Without a validation the last epoch's terms are among the metrics still, and upstream writes by position.
        others = {key: value for key, value in metrics.items() if key not in terms}
        super().save_metrics({**others, **terms})

    def get_validator(self) -> Any:
        """Return our validator over upstream's loader; it reads a data YAML whose paths are absolute."""
        arguments = copy(self.args)
        # The final validation reads the data set again, by this name.
        arguments.data = str(self.save_dir / "data.yaml")
        validator = self.validator_class(
            self.test_loader, save_dir=self.save_dir, args=arguments, _callbacks=self.callbacks
        )
        validator.ranking = self.ranking
        validator.leave_if_asked = lambda: self.stop_now() if self.interruption.requested else None
        return validator
