"""Training with `reg.proximal`: an inexact proximal step on the last class convolutions (REG §2.6.3).

It is part of the optimizer's step, in a hook after it, so that upstream's average of the weights sees its result. The
convolutions' inputs are those of the last batch's own forward pass: nothing of the network is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle
from ultralytics.nn.modules import Detect
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo import losses
from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.optim.proximal import proximal_step
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.logged_means import FAR_AFTER, FAR_BEFORE
from reg_yolo.yolo.training.start_checks import require_one_device

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object


def last_class_convolutions(model: nn.Module) -> list[nn.Conv2d]:
    """Return of each feature level the 1x1 convolution that gives the class logits.

    Args:
        model: A YOLOv8 model, not wrapped.

    Raises:
        ConfigError: If its head has no class branch for each level.
    """
    layers: Any = model.model
    head = layers[-1]
    if not isinstance(head, Detect):
        raise ConfigError(
            "reg.proximal.enabled: moves the class convolutions of boxes, and this model ends in "
            f"{type(head).__name__}; set it to false"
        )
    return [branch[-1] for branch in head.cv3]


class KeptInputs:
    """What went into some modules in the one forward pass that follows `watch`.

    The hooks remove themselves as they are called: a copy of the model, such as upstream's average, is made between
    batches, and would copy them, and checkpoints would then need this class.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        """Watch nothing yet."""
        self.modules = list(modules)
        self._inputs: dict[int, Tensor] = {}
        self._handles: dict[int, RemovableHandle] = {}

    def watch(self) -> None:
        """Forget what was kept, and keep the inputs of the next forward pass."""
        for handle in self._handles.values():
            # Left by a forward pass that an error has ended.
            handle.remove()
        self._inputs = {}
        self._handles = {i: module.register_forward_pre_hook(self._keep(i)) for i, module in enumerate(self.modules)}

    def _keep(self, index: int) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._inputs[index] = inputs[0].detach()
            self._handles.pop(index).remove()

        return hook

    def take(self) -> list[Tensor] | None:
        """Return the kept inputs in the modules' order and forget them; None where not all have been seen."""
        kept, self._inputs = self._inputs, {}
        return [kept[i] for i in range(len(self.modules))] if len(kept) == len(self.modules) else None


class ProximalTraining(Host):
    """Mix-in for an Ultralytics trainer whose optimizer takes a proximal step after each of its own."""

    model: Any
    reg: RegSettings
    criterion: RegDetectionLoss
    class_inputs: KeptInputs | None = None

    def check_proximal(self) -> None:
        """Refuse what the proximal step is not made for; call once the device is known.

        Raises:
            ConfigError: If several GPUs or a compiled model are asked for.
        """
        if not self.reg.proximal.enabled:
            return
        require_one_device("reg.proximal.enabled", self.world_size)
        if self.args.compile:
            raise ConfigError("reg.proximal.enabled: reads what a compiled model does not show; set compile=false")

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> Optimizer:
        """Build the optimizer, and let the proximal step follow its own.

        Raises:
            ConfigError: If the last class convolutions are frozen.
        """
        optimizer = super().build_optimizer(model, *args, **kwargs)
        if self.reg.proximal.enabled:
            convolutions = last_class_convolutions(unwrap_model(model))
            if not all(each.weight.requires_grad for each in convolutions):
                raise ConfigError(
                    f"freeze={self.args.freeze} holds the class convolutions that reg.proximal moves; leave one out"
                )
            self.class_inputs = KeptInputs(convolutions)
            optimizer.register_step_post_hook(self._proximal_step)
        return optimizer

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does, and keep what its forward pass brings to the class convolutions."""
        batch = super().preprocess_batch(batch)
        if self.class_inputs is not None:
            self.class_inputs.watch()
        return batch

    def _proximal_step(self, optimizer: Optimizer, *_: Any) -> None:
        """Move the class convolutions towards less probability far from every object of its class."""
        settings, truth = self.reg.proximal, self.criterion.last_batch
        inputs = self.class_inputs.take() if self.class_inputs is not None else None
        if inputs is None or truth is None:
            # A batch whose forward pass failed is not stepped on either.
            return
        convolutions = last_class_convolutions(unwrap_model(self.model))
        is_far = truth.far_entries(self.reg.spatial)
        features = [each.float() for each in inputs]

        def far_probability(points: Sequence[Tensor]) -> Tensor:
            logits = [
                F.conv2d(feature, weight, bias).flatten(2)
                for feature, weight, bias in zip(features, points[0::2], points[1::2], strict=True)
            ]
            return losses.far_probability(torch.cat(logits, 2), is_far, truth.assignment.normalizer)

        seen: list[Tensor] = []

        @torch.enable_grad()
        def gradient(points: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
            leaves = [point.detach().requires_grad_() for point in points]
            value = far_probability(leaves)
            seen.append(value.detach())
            return value.detach(), torch.autograd.grad(value, leaves)

        # Weight and bias of each, in turn.
        parameters = [parameter for each in convolutions for parameter in each.parameters()]
        strength = settings.eta * learning_rate_of(optimizer, convolutions[0].weight)
        moved = proximal_step(parameters, gradient, strength, settings.steps, settings.inner_lr)
        with torch.no_grad():
            for parameter, point in zip(parameters, moved, strict=True):
                parameter.copy_(point)
            after = far_probability(moved)
        terms = self.criterion.terms
        terms.add(FAR_BEFORE, seen[0] if seen else after)
        terms.add(FAR_AFTER, after)


def learning_rate_of(optimizer: Optimizer, parameter: Tensor) -> float:
    """Return the learning rate of a parameter's group."""
    return next(float(g["lr"]) for g in optimizer.param_groups if any(each is parameter for each in g["params"]))
