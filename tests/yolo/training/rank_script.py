"""What the tests of several ranks let each rank do; results go to WORK/rankN.pt, what it says to WORK/outN.txt.

`python -m tests.yolo.training.rank_script WORK PORT` imports what takes long once, and forks into the ranks. Not so
Ultralytics, which reads RANK when it is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

RANKS = 2
EPOCHS = 3
_SLOW = ("torch", "torchvision", "cv2", "albumentations", "matplotlib.pyplot", "pydantic", "polars", "scipy.optimize")


def fork_ranks(work: Path, port: str) -> int:
    """Fork into the ranks, and return how many have failed."""
    for module in _SLOW:
        importlib.import_module(module)
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if child == 0:
            said = os.open(work / f"out{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(RANKS), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            importlib.import_module("tests.yolo.training.rank_work").main(work)
            return 0
        children.append(child)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    sys.exit(fork_ranks(Path(sys.argv[1]), sys.argv[2]))
