"""What comparable runs assume about Ultralytics' trainer, validator and loaders.

Every assumption is a function that raises AssertionError when upstream no longer does what `training.compared` and
`validation.kept_matches` are built on.
"""

import inspect
from collections.abc import Callable

import numpy as np
import torch
from ultralytics.data.build import build_dataloader
from ultralytics.engine.trainer import BaseTrainer, EarlyStopping
from ultralytics.engine.validator import BaseValidator
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.models.yolo.segment import SegmentationValidator
from ultralytics.utils.metrics import DetMetrics, SegmentMetrics


def models_are_built_by_get_model() -> None:
    """Random weights come into being in `get_model`, so that random numbers can start again just before."""
    source = inspect.getsource(BaseTrainer.setup_model)
    assert "self.model = self.get_model(cfg=cfg, weights=weights" in source
    assert "DetectionModel(cfg" in inspect.getsource(DetectionTrainer.get_model)


def batches_are_drawn_by_the_seed() -> None:
    """The loader's order comes from a generator that torch's seed of the moment decides."""
    orders = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        loader = build_dataloader(torch.utils.data.TensorDataset(torch.arange(40)), 8, 0, device="cpu")
        orders.append(torch.cat([batch[0] for batch in loader]).tolist())
    assert orders[0] == orders[1] != orders[2] and sorted(orders[2]) == list(range(40))


def validation_is_one_hook_that_may_find_nothing() -> None:
    """With val=False upstream validates after the last epoch only, by `validate`; no fitness stops nothing early."""
    source = inspect.getsource(BaseTrainer._do_train)
    assert source.count("self.validate()") == 1
    assert "self.metrics, self.fitness = self.validate()" in source
    assert source.index("self.save_model()") < source.index("self.final_eval()")
    assert "self.train_time_start = time.time()" in source
    stopper = EarlyStopping(patience=1)
    assert not any(stopper(epoch, None) for epoch in range(5)) and not stopper.possible_stop


def nothing_is_saved_before_the_last_epoch_without_save() -> None:
    """With save=False last.pt is written after the last epoch only."""
    assert "if (self.args.save or final_epoch) and self.save_model():" in inspect.getsource(BaseTrainer._do_train)


def matches_lie_in_lists_by_image_until_get_stats() -> None:
    """`get_stats` reads `metrics.stats`, a list of arrays for each key, one array an image, and then clears them."""
    assert {"tp", "conf", "pred_cls", "target_cls"} <= set(DetMetrics().stats)
    assert {"tp", "tp_m", "conf", "pred_cls", "target_cls"} <= set(SegmentMetrics().stats)
    metrics = DetMetrics({0: "a"})
    for count in (2, 0):
        image = {key: np.zeros((count, 10) if key == "tp" else count) for key in metrics.stats}
        metrics.update_stats({**image, "im_name": "a.png"})
    assert [len(array) for array in metrics.stats["conf"]] == [2, 0]
    for validator in (DetectionValidator, SegmentationValidator):
        assert "self.metrics.clear_stats()" in inspect.getsource(validator.get_stats)
    source = inspect.getsource(BaseValidator.__call__)
    assert source.index("self.init_metrics(") < source.index("self.update_metrics(") < source.index("self.get_stats()")


ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    models_are_built_by_get_model,
    batches_are_drawn_by_the_seed,
    validation_is_one_hook_that_may_find_nothing,
    nothing_is_saved_before_the_last_epoch_without_save,
    matches_lie_in_lists_by_image_until_get_stats,
)
