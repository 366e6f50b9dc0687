"""One training whose ranks Ray starts, on the machines of a cluster that share a folder.

Ray finds the machines and the cores or GPUs, and says where rank 0 is. From there on the ranks are those that
`torchrun` would start: each is a process of its own, `python -m reg_yolo train`, and they find each other as those do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError, RankLostError, RegYoloError
from reg_yolo.jobs.cluster import POLL_S, Cluster, connect, import_ray, require_room
from reg_yolo.signals import listening_for_signals

ROOM_WITHIN_S = 60.0
"""How long Ray may take to find room for all ranks at once."""
STOP_WITHIN_S = 60.0
"""How long the ranks may take to save and leave once they are asked to."""
_KEPT_LINES = 20
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class RankEnd:
    """How a rank has ended.

    Attributes:
        code: Of its process; None where Ray has lost it.
        lines: The last lines that it said.
    """

    code: int | None
    lines: tuple[str, ...] = ()

    @property
    def error(self) -> str:
        """What it said was wrong, in a line; empty where it said nothing of the kind."""
        said = [line.removeprefix("error: ") for line in self.lines if line.startswith("error: ")]
        return said[-1] if said else ""


def train_on_cluster(words: Sequence[str], ranks: int, cluster: Cluster) -> None:
    """Train by several ranks on a cluster; what rank 0 says is printed as it comes.

    Args:
        words: What follows `reg-yolo train`; paths are the same on every machine, and so is the working directory.
        ranks: Processes that train together, at least 2.
        cluster: Where, and what each of them takes.

    Raises:
        ConfigError: If Ray is not installed, the cluster does not answer or has no room, or a rank refused its words.
        RankLostError: With the rank that died.
        KeyboardInterrupt: If a signal asked to stop; the run is saved.
    """
    if ranks < 2:
        raise ConfigError(f"`workers`: got {ranks}, expected 2 or more processes that train together")
    ray = import_ray(cluster.address)
    connect(ray, cluster)
    try:
        require_room(ray, cluster)
        places = _places(ray, ranks, cluster)
        from ray.util.queue import Queue

        said = Queue(actor_options={"num_cpus": 0})
        host, port = ray.get(ray.remote(meeting_point).options(**places[0]).remote())
        shared = {"MASTER_ADDR": host, "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
        # Ray shows each process its own GPUs only, so that each is the only one of its machine.
        shared |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "OMP_NUM_THREADS": str(max(1, int(cluster.cpus)))}
        start = ray.remote(run_rank)
        pending = {
            start.options(**places[rank]).remote(
                list(words), {**shared, "RANK": str(rank)}, Path.cwd(), None if rank else said
            ): rank
            for rank in range(ranks)
        }
        ends = _followed(ray, pending, said)
    finally:
        ray.shutdown()
    _raise_faults(ends)


def _places(ray: Any, ranks: int, cluster: Cluster) -> list[dict[str, Any]]:
    """Return the options of Ray's tasks, one for each rank, all of which have room at once."""
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    needed = {"CPU": cluster.cpus, **({"GPU": cluster.gpus} if cluster.gpus else {})}
    group = placement_group([dict(needed) for _ in range(ranks)], strategy="SPREAD")
    if not group.wait(timeout_seconds=ROOM_WITHIN_S):
        total = ray.cluster_resources()
        raise ConfigError(
            f"`workers={ranks}`: no room for so many processes at once, of {cluster.cpus:g} cores and {cluster.gpus:g} "
            f"GPUs each; the cluster has {total.get('CPU', 0):g} cores and {total.get('GPU', 0):g} GPUs"
        )
    return [
        {
            "num_cpus": cluster.cpus,
            "num_gpus": cluster.gpus,
            # A rank that is started again would find the others gone.
            "max_retries": 0,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank),
        }
        for rank in range(ranks)
    ]


def meeting_point() -> tuple[str, int]:
    """Return the address of the machine that this is called on, and a free port there."""
    import ray.util

    with socket.socket() as free:
        free.bind(("", 0))
        return ray.util.get_node_ip_address(), int(free.getsockname()[1])


def run_rank(words: Sequence[str], environment: Mapping[str, str], folder: Path, said: Any) -> RankEnd:
    """Run one rank as a process of its own, from one of Ray's.

    Args:
        words: What follows `reg-yolo train`.
        environment: Who it is and where the ranks meet.
        folder: Its working directory.
        said: Queue that gets its lines; None keeps them.

    Raises:
        ConfigError: If this machine has no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: not on every machine; start the command in a folder that the machines share")
    process = subprocess.Popen(
        [sys.executable, "-m", "reg_yolo", "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        cwd=folder,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            # Of a progress bar that is drawn over and over, its last state.
            line = raw.decode("utf-8", "replace").rstrip().rpartition("\r")[2]
            lines.append(line)
            # What was wrong is said once, by whoever started the ranks.
            if said is not None and not line.startswith("error: "):
                said.put(line)
        return RankEnd(process.wait(), tuple(lines))
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _end_with_parent() -> None:
    """Let the kernel end this process when Ray's process is gone: it would go on training without anybody."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _followed(ray: Any, pending: dict[Any, int], said: Any) -> dict[int, RankEnd]:
    """Print what rank 0 says until all ranks have ended, and return how."""
    ends: dict[int, RankEnd] = {}
    with listening_for_signals() as stop:
        while pending:
            over, _ = ray.wait(list(pending), timeout=POLL_S)
            if stop.is_set():
                for task in pending:
                    ray.cancel(task)
                ray.wait(list(pending), num_returns=len(pending), timeout=STOP_WITHIN_S + 10)
                _print_all(said)
                raise KeyboardInterrupt
            for task in over:
                ends[pending.pop(task)] = _end_of(ray, task)
            _print_all(said)
    return ends


def _print_all(said: Any) -> None:
    waiting = said.size()
    if waiting:
        print("\n".join(said.get_nowait_batch(waiting)), flush=True)


def _end_of(ray: Any, task: Any) -> RankEnd:
    try:
        end: RankEnd = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return RankEnd(1, (f"error: {error.cause}",))
    except ray.exceptions.RayError:
        return RankEnd(None)
    return end


def _raise_faults(ends: Mapping[int, RankEnd]) -> None:
    """Raise what the rank that failed said, of several the one that was first at fault."""
    failed = {rank: end for rank, end in sorted(ends.items()) if end.code != 0}
    if not failed:
        return
    named = next((end.error for end in failed.values() if "has died" in end.error), "")
    lost = [rank for rank, end in failed.items() if not end.error]
    if named or lost:
        raise RankLostError(named or f"rank {lost[0]} of {len(ends)} has died; continue with train --resume RUN")
    raise RegYoloError(next(iter(failed.values())).error)
