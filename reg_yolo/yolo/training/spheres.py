"""Training with `optimizer: RiemannianAdamW` or `RiemannianSGD`: convolution filters before a batch norm on spheres.

Upstream builds its AdamW or SGD with its groups. The filters move into a group of their own without decay, named
`manifold`, and a constraint rides along with the optimizer's steps; everything else is trained as without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from ultralytics.nn.modules import Conv
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.optim.spheres import SphereConstraint
from reg_yolo.yolo.training.start_checks import require_one_device
from reg_yolo.yolo.upstream.arguments import RIEMANNIAN

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object

DECAYING_GROUP, GROUP = "weight", "manifold"


def riemannian_word(optimizer: str) -> str | None:
    """Return the optimizer of ours that a word means, whatever its case; None for one of upstream's."""
    return {word.lower(): word for word in RIEMANNIAN}.get(optimizer.lower())


def scale_invariant_filters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return by name the weights of convolutions whose output goes to a batch norm and nowhere else.

    Tensor[O, I / groups, K, K] each. A head's last convolutions, DFL and transposed convolutions have no batch norm.

    Args:
        model: Not wrapped, not fused.
    """
    return {
        f"{name}.conv.weight": module.conv.weight
        for name, module in model.named_modules()
        if isinstance(module, Conv)
        and type(module).forward is Conv.forward
        and isinstance(module.bn, nn.BatchNorm2d)
        and module.conv.bias is None
    }


class SphereTraining(Host):
    """Mix-in for an Ultralytics trainer that knows our two optimizers.

    Attributes:
        spheres: The constraint; None with an optimizer of upstream's.
    """

    model: Any
    bfloat16: bool
    stored: dict[str, Any]
    spheres: SphereConstraint | None = None
    sphere_names: tuple[str, ...] = ()

    def check_spheres(self) -> None:
        """Refuse what our optimizers are not made for; call once device and precision are known.

        Raises:
            ConfigError: If several GPUs or float16 are asked for.
        """
        word = riemannian_word(str(self.args.optimizer))
        if word is None:
            return
        require_one_device(f"optimizer={word}", self.world_size)
        if self.device.type != "cpu" and self.args.amp not in (False, "fp32") and not self.bfloat16:
            raise ConfigError(
                f"optimizer={word}: trains in float32 or bfloat16, got float16; set amp=bf16 or amp=false"
            )

    def build_optimizer(self, model: nn.Module, name: str = "auto", *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Build upstream's optimizer; with one of ours the filters before a batch norm get a group of their own.

        Raises:
            WeightsError: If a resumed run has other filters than the one that wrote its checkpoint.
        """
        word = riemannian_word(name)
        if word is None:
            return super().build_optimizer(model, name, *args, **kwargs)
        optimizer = super().build_optimizer(model, RIEMANNIAN[word], *args, **kwargs)
        filters = scale_invariant_filters(unwrap_model(model))
        _move_to_own_group(optimizer, list(filters.values()))
        self.sphere_names = tuple(filters)
        self.spheres = SphereConstraint(optimizer, list(filters.values()), self._stored_radii(filters))
        count = sum(len(weight) for weight in filters.values())
        LOGGER.info(f"{word}: {count} filters of {len(filters)} convolutions stay on spheres, without weight decay")
        return optimizer

    def _stored_radii(self, filters: dict[str, nn.Parameter]) -> list[torch.Tensor] | None:
        """Return the radii of the run that is gone on with, since a checkpoint's averaged weights lie inside."""
        stored = self.stored.get("radii")
        if stored is None:
            return None
        if {name: len(radii) for name, radii in stored.items()} != {name: len(each) for name, each in filters.items()}:
            raise WeightsError(
                f"{self.args.model}: the radii stored in it are of other filters than this model has; start a new run"
            )
        return [torch.tensor(stored[name]).to(weight) for name, weight in filters.items()]

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """Load what upstream loads; the live weights are then the EMA's, which go back onto their spheres."""
        super()._load_checkpoint_state(ckpt)
        if self.spheres is not None:
            self.spheres.place()

    def sphere_metadata(self) -> dict[str, Any]:
        """Return what a resumed run must know: the radius of every filter by its parameter's name."""
        if self.spheres is None:
            return {}
        return {"radii": {name: r.tolist() for name, r in zip(self.sphere_names, self.spheres.radii, strict=True)}}


def _move_to_own_group(optimizer: torch.optim.Optimizer, filters: list[nn.Parameter]) -> None:
    """Take filters out of the group that decays, into one with the same settings but without decay."""
    moved = {id(weight) for weight in filters}
    decaying = next(group for group in optimizer.param_groups if group.get("param_group") == DECAYING_GROUP)
    decaying["params"] = [each for each in decaying["params"] if id(each) not in moved]
    settings = {key: value for key, value in decaying.items() if key != "params"}
    optimizer.add_param_group({**settings, "params": filters, "weight_decay": 0.0, "param_group": GROUP})
