"""Assumptions about Ultralytics, and torch's optimizers under it, that steps on spheres and proximal steps stand on."""

import inspect
import re
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import SGD, AdamW
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.modules import Conv, Detect
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import convert_optimizer_state_dict_to_fp16


def the_average_follows_the_step() -> None:
    """`optimizer_step` clips, steps, and then averages the weights: what a step hook does is averaged."""
    source = inspect.getsource(BaseTrainer.optimizer_step)
    order = [source.index(call) for call in ("clip_grad_norm_(", "scaler.step(self.optimizer)", "ema.update(")]
    assert order == sorted(order)


def hooks_run_inside_the_step() -> None:
    """torch calls the hooks of an optimizer before and after its own step, in the order of their registration."""
    weight, seen = nn.Parameter(torch.ones(2)), []
    optimizer = AdamW([weight], lr=0.5)
    optimizer.register_step_pre_hook(lambda *_: seen.append(("before", weight[0].item())))
    optimizer.register_step_post_hook(lambda *_: seen.append(("after", round(weight[0].item(), 3))))
    optimizer.register_step_post_hook(lambda *_: seen.append(("last", 0.0)))
    weight.grad = torch.ones(2)
    torch.amp.GradScaler("cpu", enabled=False).step(optimizer)
    assert [name for name, _ in seen] == ["before", "after", "last"]
    assert seen[0][1] == 1.0 and seen[1][1] < 0.6


def groups_have_names_that_are_scheduled() -> None:
    """Groups are named; warm-up asks for `bias`, rebuilding after a lack of memory for `weight` and `muon`."""
    source = inspect.getsource(BaseTrainer.build_optimizer)
    assert re.findall(r'"param_group": "(\w+)"', source) == ["bias", "weight", "bn", "muon"]
    assert 'x.get("param_group") == "bias"' in inspect.getsource(BaseTrainer._do_train)
    assert 'group.get("param_group") in {"weight", "muon"}' in inspect.getsource(BaseTrainer._build_train_pipeline)


def the_optimizer_is_built_once() -> None:
    """The optimizer is built where there is none, by name, with keywords; rebuilding the loaders keeps it."""
    source = inspect.getsource(BaseTrainer._build_train_pipeline)
    assert "if self.optimizer is None:" in source
    assert "name=self.args.optimizer," in source and "model=self.model," in source


def momenta_have_the_names_we_project() -> None:
    """Adam and SGD keep the mean of the gradient under these names; a checkpoint has SGD's in half precision."""
    weight = nn.Parameter(torch.ones(2))
    for optimizer, name in ((AdamW([weight]), "exp_avg"), (SGD([weight], momentum=0.9), "momentum_buffer")):
        weight.grad = torch.ones(2)
        optimizer.step()
        assert name in optimizer.state[weight]
        saved = convert_optimizer_state_dict_to_fp16(optimizer.state_dict())["state"][0][name]
        assert saved.dtype == (torch.float32 if name == "exp_avg" else torch.float16)


def a_checkpoints_state_is_loaded_in_one_place() -> None:
    """On resume and in recovery the live weights are the average's, and `_load_checkpoint_state` comes after them."""
    assert "self._load_checkpoint_state(ckpt)" in inspect.getsource(BaseTrainer.resume_training)
    source = inspect.getsource(BaseTrainer._handle_nan_recovery)
    assert source.index("model.load_state_dict(ema_state)") < source.index("self._load_checkpoint_state(ckpt)")


def convolution_goes_to_its_norm_alone() -> None:
    """`Conv` is convolution without bias, batch norm, activation: twice the filter gives the same output."""
    assert "return self.act(self.bn(self.conv(x)))" in inspect.getsource(Conv.forward)
    torch.manual_seed(0)
    layer, images = Conv(3, 4, 3).train(), torch.randn(2, 3, 8, 8)
    layer.bn.eps = 1e-12
    before = layer(images)
    with torch.no_grad():
        layer.conv.weight.mul_(2.0)
    assert layer.conv.bias is None
    assert torch.allclose(layer(images), before, atol=1e-5)


def class_branches_end_in_a_convolution() -> None:
    """The class logits of a level are what the last module of its branch `cv3`, a 1x1 convolution with bias, gives."""
    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False).train()
    head, seen = model.model[-1], []
    assert isinstance(head, Detect)
    for branch in head.cv3:
        assert isinstance(branch[-1], nn.Conv2d) and branch[-1].kernel_size == (1, 1)
        branch[-1].register_forward_hook(lambda _m, _i, output: seen.append(output.flatten(2)))
    logits = model(torch.zeros(1, 3, 64, 64))["scores"]
    assert torch.equal(torch.cat(seen, 2), logits)


def training_batches_are_prepared_just_before_their_forward_pass() -> None:
    """Between `preprocess_batch` and the forward pass the model is neither copied nor saved."""
    source = inspect.getsource(BaseTrainer._do_train)
    start = source.index("batch = self.preprocess_batch(batch)")
    between = source[start : source.index("loss, self.loss_items = self.model(batch)")]
    assert "deepcopy" not in between and "save" not in between


OPTIMIZER_ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    the_average_follows_the_step,
    hooks_run_inside_the_step,
    groups_have_names_that_are_scheduled,
    the_optimizer_is_built_once,
    momenta_have_the_names_we_project,
    a_checkpoints_state_is_loaded_in_one_place,
    convolution_goes_to_its_norm_alone,
    class_branches_end_in_a_convolution,
    training_batches_are_prepared_just_before_their_forward_pass,
)
