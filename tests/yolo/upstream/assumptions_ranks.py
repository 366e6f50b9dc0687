"""Assumptions about Ultralytics, and torch under it, that a training by ranks started from outside stands on."""

import inspect
from collections.abc import Callable

from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from ultralytics import utils
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.engine.validator import BaseValidator
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import torch_utils


def ranks_are_read_when_it_is_imported() -> None:
    """RANK, LOCAL_RANK and WORLD_SIZE come from the environment, at import, where there is more than one process."""
    source = inspect.getsource(utils)
    assert 'RANK = int(os.getenv("RANK", "-1")) if WORLD_SIZE > 1 else -1' in source
    assert 'LOCAL_RANK = int(os.getenv("LOCAL_RANK", "-1")) if WORLD_SIZE > 1 else -1' in source


def devices_of_one_machine_are_counted() -> None:
    """`world_size` counts the devices that `device` names, 0 on a CPU, and is assigned once; workers do not spawn."""
    source = inspect.getsource(BaseTrainer.__init__)
    assert "self.ddp = world_size > 1 and LOCAL_RANK == -1" in source and "self.world_size = world_size" in source
    assert inspect.getsource(BaseTrainer).count("self.world_size =") == 1


def a_process_group_is_set_up_in_one_hook() -> None:
    """`_setup_ddp` is called where `world_size` is above 1, and is all that makes a process group."""
    assert "if self.world_size > 1:\n            self._setup_ddp()" in inspect.getsource(BaseTrainer._do_train)
    assert inspect.getsource(BaseTrainer).count("init_process_group(") == 1


def the_model_is_wrapped_right_before_the_loaders() -> None:
    """The model is wrapped after freezing and the AMP check, then the loaders and the optimizer are built."""
    source = inspect.getsource(BaseTrainer._setup_train)
    order = [
        source.index(text)
        for text in ("v.requires_grad = False", "check_amp(", "DistributedDataParallel(", "_build_train_pipeline()")
    ]
    assert order == sorted(order)
    assert "device_ids=[self.device.index]" in source and "if self.world_size > 1:" in source
    for option in ('"static_graph": bool(self.args.compile)', "find_unused_parameters=not bool(self.args.compile)"):
        assert option in source


def a_model_on_a_cpu_takes_no_device_index() -> None:
    """`device_ids=[None]`, which upstream would give for a CPU, is refused; without it a CPU is fine."""
    parameters = inspect.signature(DistributedDataParallel.__init__).parameters
    assert ("forward_sync_buffers" if torch_utils.TORCH_2_13 else "broadcast_buffers") in parameters
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        DistributedDataParallel(nn.Linear(1, 1))
        DistributedDataParallel(nn.Linear(1, 1), device_ids=[None])
    except ValueError:
        return
    finally:
        distributed.destroy_process_group()
    raise AssertionError("an index of None is taken")


def the_amp_check_is_rank_0s() -> None:
    """Rank 0 alone checks AMP, so that the others must not have it on where a CPU trains."""
    source = inspect.getsource(BaseTrainer._setup_train)
    assert 'if self.amp and self.args.amp != "bf16" and RANK in {-1, 0}:' in source
    assert "if RANK > -1 and self.world_size > 1:" in source


def a_batch_is_shared_by_the_ranks() -> None:
    """Each rank loads its share of `batch`, and the loss is multiplied by the number of ranks."""
    assert "self.batch_size // max(self.world_size, 1)" in inspect.getsource(BaseTrainer._build_train_pipeline)
    assert "self.loss *= self.world_size" in inspect.getsource(BaseTrainer._do_train)


def the_loader_waits_for_the_rank_it_is_given() -> None:
    """`get_dataloader` lets rank 0 of those that it is given read the labels first, and shards for any but -1."""
    source = inspect.getsource(DetectionTrainer.get_dataloader)
    assert "with torch_distributed_zero_first(rank):" in source and "rank=rank," in source
    wait = inspect.getsource(torch_utils.torch_distributed_zero_first)
    assert wait.index("local_rank not in {-1, 0}") < wait.index("yield") < wait.index("local_rank == 0")


def validation_averages_losses_in_rank_0() -> None:
    """Losses of a validation are averaged in rank 0 by `ReduceOp.AVG`, after `gather_stats`, where there are ranks."""
    source = inspect.getsource(BaseValidator.__call__)
    assert source.index("self.gather_stats()") < source.index("if trainer.world_size > 1:")
    assert "dist.reduce(v, dst=0, op=dist.ReduceOp.AVG)" in source
    assert "dist.broadcast(buffer, src=0)" in inspect.getsource(BaseTrainer.validate)


def the_final_validation_takes_a_gpu_for_granted() -> None:
    """In a rank the device of a validation of its own is a GPU; in one that a trainer asks for it is the trainer's."""
    source = inspect.getsource(BaseValidator.__call__)
    assert "get_torch_device_backend(device_type).current_device()" in source and "if RANK == -1" in source
    order = [
        source.index(text)
        for text in (
            "self.training = trainer is not None", "self.device = trainer.device", "model.eval()",
            'self.run_callbacks("on_val_start")', "self.init_metrics(unwrap_model(model))", "model.loss(batch, preds)",
            "if self.training:\n            # Reduce loss", "if RANK > 0:\n                return stats",
        )
    ]  # fmt: skip
    assert order == sorted(order)


def recovery_reads_last_in_every_rank() -> None:
    """Whether a loss was no number is rank 0's to say; every rank then reads last.pt."""
    source = inspect.getsource(BaseTrainer._handle_nan_recovery)
    assert "corrupted = RANK in {-1, 0} and (loss_nan or fitness_nan)" in source
    assert "load_checkpoint(self.last)" in source and "if not self.last.exists():" in source


RANK_ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    ranks_are_read_when_it_is_imported,
    devices_of_one_machine_are_counted,
    a_process_group_is_set_up_in_one_hook,
    the_model_is_wrapped_right_before_the_loaders,
    a_model_on_a_cpu_takes_no_device_index,
    the_amp_check_is_rank_0s,
    a_batch_is_shared_by_the_ranks,
    the_loader_waits_for_the_rank_it_is_given,
    validation_averages_losses_in_rank_0,
    the_final_validation_takes_a_gpu_for_granted,
    recovery_reads_last_in_every_rank,
)
