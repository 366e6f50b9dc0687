"""Train the checkpoint that travels with the package, on the embedded highway.

    python scripts/train_shipped_weights.py            # writes weights/highway_yolov8n.pt

The scenes come from seeds of their own, so neither the demo's scenes (seed 0) nor its drive have been seen.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, write_checkpoint

SEED = 20_000


def without_paths(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint that does not say where on which machine it was trained."""
    for arguments in (checkpoint["train_args"], checkpoint["model"].args):
        arguments.update({"project": None, "save_dir": None, "data": None, "name": None, "model": "yolov8n.yaml"})
    return {**checkpoint, "git": None}


def main() -> None:
    """Make the scenes unless they are there, train, and put best.pt where the package looks for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=700)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--work", type=Path, default=Path("runs/shipped_weights"))
    parser.add_argument("settings", nargs="*", help="further KEY=VALUE settings")
    arguments = parser.parse_args()

    from reg_yolo.config.shipped import SHIPPED_WEIGHTS
    from reg_yolo.scenes import write_stills
    from reg_yolo.yolo.commands.train import train

    data = arguments.work / "scenes" / "data.yaml"
    if not data.exists():
        write_stills(
            data.parent,
            arguments.images,
            (640, 384),
            SEED,
            boxes_only=True,
            workers=os.cpu_count() or 1,
            val_fraction=0.1,
        )
    result = train(
        "quickstart",
        [
            f"data={data.absolute()}",
            f"epochs={arguments.epochs}",
            f"project={arguments.work.absolute()}",
            *arguments.settings,
        ],
    )
    target = Path(__file__).resolve().parents[1] / "weights" / SHIPPED_WEIGHTS
    target.parent.mkdir(exist_ok=True)
    checkpoint = without_paths(load_checkpoint_file(result.best))
    write_checkpoint(checkpoint, [target])
    assert result.report is not None
    print(result.report.as_text(), f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
