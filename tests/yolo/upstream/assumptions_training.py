"""Assumptions about Ultralytics that training and checkpoints are built on.

Each is a function that fails when upstream no longer does what the seam is built on.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

from ultralytics.data.augment import Albumentations
from ultralytics.engine import model as engine_model
from ultralytics.engine import trainer as engine_trainer
from ultralytics.engine import validator as engine_validator
from ultralytics.models.yolo.detect import DetectionPredictor, DetectionTrainer, DetectionValidator
from ultralytics.nn.tasks import BaseModel, DetectionModel
from ultralytics.utils import callbacks, checks, dist
from ultralytics.utils.loss import BboxLoss, v8DetectionLoss
from ultralytics.utils.tal import TaskAlignedAssigner
from ultralytics.utils.torch_utils import ModelEMA, strip_optimizer


def model_asks_its_own_criterion() -> None:
    """`model.loss` calls the instance's `criterion` and builds the stock one only where there is none."""
    source = inspect.getsource(BaseModel.loss)
    assert 'getattr(self, "criterion", None) is None' in source
    assert "return self.criterion(preds, batch)" in source


def class_weights_hook_precedes_the_ema() -> None:
    """`set_class_weights` runs after the loaders exist and before the EMA copies the model."""
    source = inspect.getsource(engine_trainer.BaseTrainer._setup_train)
    order = [
        source.index(call)
        for call in ("_build_train_pipeline()", "set_class_weights()", "ModelEMA(", "resume_training(")
    ]
    assert order == sorted(order)


def ema_is_a_deep_copy() -> None:
    """The EMA deep-copies the model, the criterion on it included."""
    assert "deepcopy(unwrap_model(model))" in inspect.getsource(ModelEMA.__init__)


def validation_asks_the_ema() -> None:
    """During training the validator asks the EMA for its loss."""
    assert "trainer.ema.ema" in inspect.getsource(engine_validator.BaseValidator.get_model)
    assert "model.loss(batch, preds)[1].items()" in inspect.getsource(engine_validator.BaseValidator.__call__)


def criterion_is_stripped_on_save() -> None:
    """Checkpoints are written without the criterion."""
    assert "ema.criterion = None" in inspect.getsource(engine_trainer.BaseTrainer.save_model)
    assert "criterion = None" in inspect.getsource(strip_optimizer)


def an_update_method_would_be_called() -> None:
    """Upstream calls `criterion.update()` each epoch where there is one; ours must not have one."""
    assert "criterion.update()" in inspect.getsource(engine_trainer.BaseTrainer._do_train)


def loss_names_come_from_the_items() -> None:
    """The names of the logged losses are the keys of the dictionary that the criterion returns."""
    assert "tuple(self.loss_items)" in inspect.getsource(engine_trainer.BaseTrainer._do_train)


def criterion_parts_have_the_expected_shape() -> None:
    """The methods of the stock criterion and assigner that ours calls or replaces exist with these arguments."""
    expected = {
        v8DetectionLoss.preprocess: ["self", "targets", "batch_size", "scale_tensor"],
        v8DetectionLoss.bbox_decode: ["self", "anchor_points", "pred_dist"],
        v8DetectionLoss.get_assigned_targets_and_loss: ["self", "preds", "batch", "assign_kwargs"],
        TaskAlignedAssigner.forward: [
            "self", "pd_scores", "pd_bboxes", "anc_points", "gt_labels", "gt_bboxes", "mask_gt", "extra",
        ],
        BboxLoss.forward: [
            "self", "pred_dist", "pred_bboxes", "anchor_points", "target_bboxes", "target_scores",
            "target_scores_sum", "fg_mask", "imgsz", "stride",
        ],
    }  # fmt: skip
    for function, names in expected.items():
        assert list(inspect.signature(function).parameters) == names, function.__qualname__


def stock_model_builds_the_v8_criterion() -> None:
    """A YOLOv8 detection model trains with `v8DetectionLoss`."""
    assert "v8DetectionLoss(self)" in inspect.getsource(DetectionModel.init_criterion)


def trainer_hooks_exist() -> None:
    """The hooks that our trainer overrides exist upstream with these arguments."""
    expected = {
        DetectionTrainer.get_dataset: ["self"],
        DetectionTrainer.setup_model: ["self"],
        DetectionTrainer.set_model_attributes: ["self"],
        DetectionTrainer._build_train_pipeline: ["self"],
        DetectionTrainer.set_class_weights: ["self"],
        DetectionTrainer.get_class_counts: ["self"],
        DetectionTrainer.get_validator: ["self"],
        DetectionTrainer.optimizer_step: ["self"],
        DetectionTrainer.validate: ["self"],
        DetectionTrainer.save_model: ["self"],
        DetectionTrainer.final_eval: ["self"],
        DetectionTrainer.build_optimizer: ["self", "model", "name", "lr", "momentum", "decay", "iterations"],
        DetectionValidator.get_stats: ["self"],
        DetectionPredictor.postprocess: ["self", "preds", "img", "orig_imgs", "kwargs"],
    }
    for function, names in expected.items():
        assert list(inspect.signature(function).parameters) == names, function.__qualname__


def checkpoints_are_written_to_last_and_best() -> None:
    """`save_model` writes to the trainer's `last` and `best`, which we point at temporary files while it does."""
    source = inspect.getsource(engine_trainer.BaseTrainer.save_model)
    assert "self.last.write_bytes(" in source and "self.best.write_bytes(" in source


def amp_check_lies_between_two_hooks() -> None:
    """The AMP check, which would fetch a model, runs between `set_model_attributes` and `_build_train_pipeline`."""
    source = inspect.getsource(engine_trainer.BaseTrainer._setup_train)
    order = [source.index(call) for call in ("set_model_attributes()", "check_amp(", "_build_train_pipeline()")]
    assert order == sorted(order)
    assert "ConnectionError" in inspect.getsource(checks.check_amp)


def worker_state_is_pickled_by_value() -> None:
    """Workers for several GPUs get trainer class, arguments, model and callbacks through cloudpickle."""
    source = inspect.getsource(dist.generate_ddp_file)
    assert '"trainer": type(trainer)' in source and "pickle_module=cloudpickle" in source
    assert "shutil.rmtree(trainer.save_dir)" in inspect.getsource(dist.generate_ddp_command)


def settings_hide_from_argument_checks() -> None:
    """Validators pass their arguments through `get_cfg` again, which rejects keys that are not Ultralytics'."""
    assert "get_cfg(overrides=args)" in inspect.getsource(engine_validator.BaseValidator.__init__)


def augmentations_travel_as_dictionaries() -> None:
    """Albumentations transforms reach the data set as plain dictionaries under `args.augmentations`."""
    assert "A.to_dict(t)" in inspect.getsource(engine_trainer.BaseTrainer.__init__)
    assert "A.from_dict(t)" in inspect.getsource(Albumentations.__init__)


def fonts_are_found_by_file_name() -> None:
    """A font counts as present where its file name is part of a path that matplotlib's font list knows."""
    assert "font in f.fname" in inspect.getsource(checks.check_font)


def trainer_reads_reused_weights() -> None:
    """`YOLO.train` hands an already loaded model to `trainer.get_model` and calls `trainer.train()`."""
    assert "self.trainer.get_model(weights=weights, cfg=self.model.yaml)" in inspect.getsource(engine_model.Model.train)


def loggers_are_modules_of_callbacks() -> None:
    """Loggers are attached as a trainer is made, before it begins, by the settings; each is a module named here."""
    source = inspect.getsource(engine_trainer.BaseTrainer.__init__)
    assert source.index("add_integration_callbacks(self)") < source.index('run_callbacks("on_pretrain_routine_start")')
    attached = inspect.getsource(callbacks.add_integration_callbacks)
    assert '"Trainer" in instance.__class__.__name__' in attached and "SETTINGS[key] is True" in attached
    assert '("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")' in attached
    # What `training.loggers` reads of each.
    for name, used in (
        ("tensorboard", ("WRITER = SummaryWriter(",)),
        ("mlflow", ("import mlflow", "trainer._mlflow_active = True", "log_params(dict(trainer.args))")),
        ("wb", ("import wandb as wb", "wb.run.config.setdefaults(vars(trainer.args))")),
        ("clearml", ("from clearml import Task", "Task.current_task()", "ignore_remote_overrides=True")),
        ("comet", ("import comet_ml", "comet_ml.get_running_experiment()", 'getenv("COMET_START_ONLINE")')),
        ("dvc", ("live = dvclive.Live(", "live.log_params(trainer.args)")),
        ("platform", ('os.getenv("ULTRALYTICS_API_KEY") or SETTINGS.get("api_key")',)),
    ):
        text = (Path(callbacks.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        assert all(part in text for part in (*used, "callbacks = ")), name


def loggers_see_the_metrics_after_they_are_saved() -> None:
    """`save_metrics`, where our terms join the metrics, comes before the callbacks that log them."""
    source = inspect.getsource(engine_trainer.BaseTrainer._do_train)
    assert source.index("self.save_metrics(") < source.index('run_callbacks("on_fit_epoch_end")')


ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    loggers_are_modules_of_callbacks,
    loggers_see_the_metrics_after_they_are_saved,
    model_asks_its_own_criterion,
    class_weights_hook_precedes_the_ema,
    ema_is_a_deep_copy,
    validation_asks_the_ema,
    criterion_is_stripped_on_save,
    an_update_method_would_be_called,
    loss_names_come_from_the_items,
    criterion_parts_have_the_expected_shape,
    stock_model_builds_the_v8_criterion,
    trainer_hooks_exist,
    checkpoints_are_written_to_last_and_best,
    amp_check_lies_between_two_hooks,
    worker_state_is_pickled_by_value,
    settings_hide_from_argument_checks,
    augmentations_travel_as_dictionaries,
    fonts_are_found_by_file_name,
    trainer_reads_reused_weights,
)
