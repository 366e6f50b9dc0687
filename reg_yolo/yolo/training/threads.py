"""How many threads PyTorch trains with on a CPU: all the cores that the process may use, or upstream's number.

Upstream takes the machine's cores less one, whatever a container, taskset or OMP_NUM_THREADS leave of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ultralytics.utils import LOGGER, NUM_THREADS

from reg_yolo.parallel import available_cores
from reg_yolo.yolo.upstream.environment import openmp_limit

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object


def choose_threads(setting: str | int, *, stock: bool) -> tuple[int, str]:
    """Return how many threads to train with on a CPU, and why in a few words.

    Args:
        setting: `auto`, `upstream` or a number.
        stock: Whether loss, sampling and precision are the stock ones: such a run equals upstream's bit for bit only
            with as many threads, since sums are split among them.
    """
    cores = _allowed_threads()
    if isinstance(setting, int):
        return setting, f"threads={setting}; {cores} cores are allowed"
    if setting == "upstream":
        return NUM_THREADS, "Ultralytics' own number"
    if stock:
        return NUM_THREADS, (
            f"Ultralytics' own number, for a run that equals the stock one bit for bit; threads={cores} takes all the "
            "cores that are allowed"
        )
    return cores, "all the cores that are allowed"


def _allowed_threads() -> int:
    """Return the cores that may be used; OMP_NUM_THREADS, where it is set, is a limit that somebody has chosen."""
    cores, limit = available_cores(), openmp_limit().partition(",")[0]
    return min(cores, int(limit)) if limit.isdigit() and int(limit) else cores


class TrainingThreads(Host):
    """Mix-in for an Ultralytics trainer: the number of threads on a CPU."""

    def take_threads(self, setting: str | int, *, stock: bool) -> None:
        """Set the number of threads, now and for each validation; call once the device is known."""
        if self.device.type != "cpu":
            return
        threads, reason = choose_threads(setting, stock=stock)
        torch.set_num_threads(threads)
        LOGGER.info(f"Threads: {threads} ({reason})")

        def again(_validator: Any) -> None:
            # Selecting a device, as the final validation does, sets upstream's number.
            torch.set_num_threads(threads)

        self.add_callback("on_val_start", again)
