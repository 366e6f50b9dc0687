"""Training in bfloat16 with `amp=bf16`, on processors that compute it natively as on GPUs.

Upstream's own `amp=bf16` is for CUDA, and its `amp=true` does nothing on a CPU. Here the network's layers run under the
CPU's autocast in the memory layout that its bfloat16 kernels want; weights, optimizer, EMA, losses and validation stay
float32, so that checkpoints are those of any other run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from ultralytics.utils.torch_utils import get_cpu_info

from reg_yolo.errors import ConfigError

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object

NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What torch calls the instructions; without them oneDNN emulates bfloat16, slower than float32."""


def cpu_computes_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16: AVX512-BF16 or AMX (x86), BF16 (Arm)."""
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities: Mapping[str, Any] = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in NATIVE_BFLOAT16)
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name)() for name in checks if hasattr(torch.cpu, name))


def require_bfloat16(device: torch.device) -> None:
    """Refuse a device that does not compute bfloat16 natively.

    Raises:
        ConfigError: With the device's name.
    """
    if device.type == "cpu" and not cpu_computes_bfloat16():
        raise ConfigError(
            f"amp=bf16: this processor ({get_cpu_info()}) has neither AVX512-BF16 nor AMX and would be slower in "
            "bfloat16 than in float32; leave amp out"
        )
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(f"amp=bf16: {torch.cuda.get_device_name(device)} does not compute bfloat16; use amp=true")
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"amp=bf16: expected a CPU or a CUDA device, got {device.type}; leave amp out")


class Bfloat16Training(Host):
    """Mix-in for an Ultralytics trainer: `amp=bf16` also on a CPU.

    Attributes:
        bfloat16: Whether the run trains in bfloat16, on whatever device.
    """

    model: Any
    stored: dict[str, Any]
    bfloat16: bool = False

    def take_precision(self) -> None:
        """Read the precision from the arguments, or from the run that is resumed; call once the device is known.

        Raises:
            ConfigError: If the device does not compute bfloat16.
        """
        self.bfloat16 = str(self.args.amp).lower() == "bf16" or self.stored.get("precision") == "bf16"
        if not self.bfloat16:
            return
        require_bfloat16(self.device)
        # Upstream refuses to autocast to bfloat16 by name on a CPU, where bfloat16 is what its `True` means.
        self.args.amp = True if self.device.type == "cpu" else "bf16"

    def precision_metadata(self) -> dict[str, str]:
        """Return what a resumed run must know."""
        return {"precision": "bf16"} if self.bfloat16 else {}

    def written_arguments(self) -> dict[str, Any]:
        """Return upstream's arguments as the user gave them."""
        return {**vars(self.args), **({"amp": "bf16"} if self.bfloat16 else {})}

    @property
    def _on_cpu(self) -> bool:
        return self.bfloat16 and self.device.type == "cpu"

    def set_model_attributes(self) -> None:
        """Set upstream's attributes, and the memory layout in which a CPU convolves in bfloat16 without conversions."""
        super().set_model_attributes()
        if self._on_cpu:
            self.model.to(memory_format=torch.channels_last)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does, in the model's memory layout."""
        batch = super().preprocess_batch(batch)
        if self._on_cpu:
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def _setup_train(self) -> None:
        super()._setup_train()
        if self._on_cpu:
            # Upstream's check has switched it off for a CPU; its gradient scaler stays off, as bfloat16 wants it.
            self.amp = True
            step_in_one_kernel(self.optimizer)


def step_in_one_kernel(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer of torch that has a fused kernel use it: by default a CPU takes ten operations a tensor.

    Its sums round differently in the last digits, which bfloat16 hides and a comparison in float32 would see.
    """
    for group in optimizer.param_groups:
        if "fused" in group:
            group.update(fused=True, foreach=None)
