"""The processes of one training on several machines: how they find each other, and what they tell each other.

`torchrun` or Ray starts them and says who is who in RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and
MASTER_PORT. Rank 0 alone has a run folder; the others work in a temporary one and get what they need of it over the
network, so that the machines need not share a disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from ultralytics.utils import LOCAL_RANK, RANK, WORLD_SIZE
from ultralytics.utils.torch_utils import parse_device

from reg_yolo.errors import ConfigError, RankLostError, RegYoloError, TrainingInterrupted, first_line
from reg_yolo.files import make_folder, replace_bytes
from reg_yolo.signals import listening_for_signals
from reg_yolo.yolo.training.rank_watch import COME_WITHIN_S, LOST_AFTER_S, RankWatch
from reg_yolo.yolo.training.records import SETTINGS_FILE
from reg_yolo.yolo.training.resume import last_checkpoint, run_folder_of

# As upstream's: a rank may read the labels of a large data set while the others wait. Who has died is found out sooner.
_COLLECTIVE_TIMEOUT = timedelta(hours=3)
_watch: RankWatch | None = None


class RanksDifferError(ConfigError):
    """The ranks do not train the same; raised by all of them with the same words."""


@contextmanager
def joined_ranks() -> Iterator[None]:
    """Join the process group that this process was started for; nothing happens in a process of its own.

    Raises:
        RankLostError: With the rank that has died or has not come.
    """
    global _watch
    if RANK == -1 or _watch is not None:
        yield
        return
    store, watch = _connect()
    _watch = watch
    watch.start()
    fault = ""
    try:
        # Gloo for what lies in memory, NCCL for what lies on GPUs.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and distributed.is_nccl_available() else "gloo"
        distributed.init_process_group(
            backend, store=store, rank=RANK, world_size=WORLD_SIZE, timeout=_COLLECTIVE_TIMEOUT
        )
        yield
        # Rank 0 still draws and writes when the others have nothing left to do.
        distributed.barrier()
        distributed.destroy_process_group()
    except RegYoloError as error:
        fault = first_line(error)
        if not isinstance(error, RanksDifferError):
            error.args = (f"{watch.name}: {error}", *error.args[1:])
        raise
    except RuntimeError as error:
        with listening_for_signals():
            # `torchrun` asks the other processes of a machine to end as soon as one has died.
            cause = watch.explain(error)
        fault = "" if isinstance(cause, RankLostError) else f"{type(error).__name__}: {first_line(error)}"
        raise cause from error
    except TrainingInterrupted:
        # All ranks have agreed on it.
        raise
    except BaseException as error:
        fault = f"{type(error).__name__}: {first_line(error)}".removesuffix(": ")
        raise
    finally:
        watch.end(fault)
        _watch = None


def _connect() -> tuple[distributed.Store, RankWatch]:
    """Return the store that all ranks share, and the watch over a connection of its own."""
    host, port = os.environ.get("MASTER_ADDR", ""), os.environ.get("MASTER_PORT", "")
    try:
        store, _, _ = next(iter(distributed.rendezvous("env://", timeout=timedelta(seconds=COME_WITHIN_S))))
        seconds = timedelta(seconds=LOST_AFTER_S)
        own = distributed.TCPStore(host, int(port), is_master=False, timeout=seconds)
    except (RuntimeError, ValueError) as error:
        raise RankLostError(
            f"rank {RANK} of {WORLD_SIZE}: the ranks do not meet at {host}:{port} (MASTER_ADDR, MASTER_PORT) within "
            f"{COME_WITHIN_S:g} s: {first_line(error)}"
        ) from error
    # A launcher that starts the ranks again keeps its store.
    attempt = f"reg_yolo/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    watch = RankWatch(distributed.PrefixStore(f"{attempt}/watch", own), RANK, WORLD_SIZE)
    return distributed.PrefixStore(f"{attempt}/group", store), watch


# What the ranks tell each other --------------------------------------------------------------------------------------


def said_by_first(value: Any) -> Any:
    """Return what rank 0 calls this with; all ranks must call it."""
    told = [value if RANK == 0 else None]
    distributed.broadcast_object_list(told, src=0)
    return told[0]


def hand_out(path: Path) -> None:
    """Give a file of rank 0 to the others, at their own `path`; one that rank 0 lacks is removed there."""
    content = said_by_first(path.read_bytes() if RANK == 0 and path.is_file() else None)
    if RANK == 0:
        return
    if content is None:
        path.unlink(missing_ok=True)
    else:
        make_folder(path.parent)
        replace_bytes(path, content)


def require_alike(values: Mapping[str, Any]) -> None:
    """Compare values with those of rank 0; all ranks must call this, and all raise if one differs.

    Args:
        values: By the names under which a difference is reported; compared by their `repr`.

    Raises:
        RanksDifferError: With the rank and the first value that differs.
    """
    own = {name: repr(value) for name, value in values.items()}
    name = _watch.name if _watch else f"rank {RANK}"
    everybody: list[Any] = [None] * WORLD_SIZE
    distributed.all_gather_object(everybody, (name, own))
    first = everybody[0][1]
    for other, theirs in everybody[1:]:
        for key in {**first, **theirs}:
            if first.get(key) != theirs.get(key):
                got, expected = (_shortened(each.get(key, "nothing")) for each in (theirs, first))
                raise RanksDifferError(
                    f"{other} differs from rank 0 in {key}: {got}, rank 0 has {expected}; settings, data and "
                    "versions must be the same on every machine"
                )


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def any_rank(asked: bool) -> bool:
    """Return whether any rank says yes; all ranks must call this."""
    flag = torch.tensor(int(asked))
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag)


# Where a rank works --------------------------------------------------------------------------------------------------


@contextmanager
def folder_of_rank(run: Path | None) -> Iterator[Path]:
    """Yield the run folder in rank 0, and a temporary one in the others.

    Args:
        run: The run folder; what the others give here is not read.
    """
    named = said_by_first(str(run))
    if _watch is not None:
        _watch.note_run(named)
    if RANK == 0:
        assert run is not None, "rank 0 names the run folder"
        yield run
        return
    with _temporary() as folder:
        # Of the same name, which some of upstream's messages show.
        yield folder / Path(named).name


@contextmanager
def own_copy(run: Path) -> Iterator[Path]:
    """Yield a run that is to go on: in rank 0 the one that is named, in the others a copy of what they need of it.

    Args:
        run: A run folder or its last.pt, on the machine of rank 0.

    Raises:
        WeightsError: If there is nothing to resume.
    """
    if RANK == -1:
        yield run
        return
    if RANK == 0:
        last = last_checkpoint(run)
        source = run_folder_of(last) or last.absolute().parent
        _hand_out_run(source, last)
        yield run
        return
    with _temporary() as folder:
        copy = folder / "run"
        _hand_out_run(copy, copy / "weights" / "last.pt")
        yield copy


@contextmanager
def _temporary() -> Iterator[Path]:
    """Yield a temporary folder, which the watch removes where it ends the process."""
    with tempfile.TemporaryDirectory(prefix="reg_yolo_rank_") as name:
        if _watch is not None:
            _watch.temporary.append(Path(name))
        yield Path(name)


def _hand_out_run(folder: Path, last: Path) -> None:
    named = said_by_first(str(folder))
    if _watch is not None:
        _watch.note_run(named)
    for file in (last, folder / SETTINGS_FILE):
        hand_out(file)


def own_device(given: object) -> str:
    """Return the one device of this process, of those that `device` names for its machine.

    Args:
        given: As Ultralytics takes it: None for all that are there, `cpu`, or indices of GPUs such as `0,1`.

    Raises:
        ConfigError: If it does not name one for each process of the machine.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    named = parse_device("" if given is None else str(given))
    if named == "cpu" or (not named and not torch.cuda.is_available()):
        return "cpu"
    indices = named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]
    if not all(index.isdigit() for index in indices):
        raise ConfigError(f"device: got {given}, expected cpu or indices of GPUs, since several processes train")
    if len(indices) < processes:
        raise ConfigError(
            f"device: {len(indices)} GPU(s) for {processes} processes on this machine; start fewer "
            "(--nproc-per-node), or name one for each"
        )
    return indices[LOCAL_RANK]
