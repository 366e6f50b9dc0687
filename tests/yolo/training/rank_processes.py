"""Starting the processes of a training that several of them share, on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ultralytics.utils.dist import find_free_network_port

ROOT = Path(__file__).resolve().parents[3]
RANKS = 2


def environment_of(**values: object) -> dict[str, str]:
    """Return this process's environment with these values, one thread, and this package."""
    fixed = {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    return {**os.environ, **fixed, **{name: str(value) for name, value in values.items()}}


def start(words: Sequence[str], said: Path, **values: object) -> subprocess.Popen[bytes]:
    """Start `python WORDS`; what it says goes to the file `said`."""
    with said.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *words], stdout=output, stderr=subprocess.STDOUT, env=environment_of(**values),
            cwd=said.parent,
        )  # fmt: skip


def start_machines(words: Sequence[str], work: Path) -> list[subprocess.Popen[bytes]]:
    """Start `torchrun` once for each of two machines of one process each; machine N says it in WORK/outN.txt."""
    port = str(find_free_network_port())
    return [
        start(
            ["-m", "torch.distributed.run", "--nnodes", str(RANKS), "--nproc-per-node", "1", "--node-rank", str(rank),
             "--master-addr", "127.0.0.1", "--master-port", port, "-m", "reg_yolo", *words],
            work / f"out{rank}.txt",
        )
        for rank in range(RANKS)
    ]  # fmt: skip
