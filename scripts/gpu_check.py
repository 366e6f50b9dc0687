"""Check reg_yolo on one GPU, and measure it beside Ultralytics: under nine minutes, no network, one table.

    python scripts/gpu_check.py [--short] [--device cuda:0] [--out gpu_check.json] [--only criterion assignment]

Sections: neutral parity, AMP with every preset, odd batches, criterion, mask loss, waits for the card, training step,
assignment, predict, engines, stages, suppression. Each is independent: what fails becomes a row, the others go on, and
the exit code is 1 at the end. Each has a time limit, after which the rows it has so far are kept. Speed goals that are
missed are named, but change no exit code. --short takes tiny sizes and about half a minute on a processor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import gpu_check_losses as losses
import gpu_check_predict as prediction
import torch
import torchvision
from bench_criterion import machine_name
from gpu_check_rows import SHORT, Row, Setting, Sizes

from reg_yolo.files import replace_text
from reg_yolo.text_tables import escape_markdown, markdown_rows
from reg_yolo.yolo.upstream.engine_kinds import ONNXRUNTIME, TENSORRT

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics import __version__ as ultralytics_version  # isort: skip
from ultralytics.utils import LOGGER  # isort: skip

Section = Callable[[Setting], Iterator[Row]]
# Seconds at most; together no more than WHOLE.
SECTIONS: dict[str, tuple[Section, float]] = {
    "parity": (losses.neutral_parity, 60),
    "amp": (losses.amp, 60),
    "batches": (losses.odd_batches, 40),
    "criterion": (losses.criterion_speed, 90),
    "masks": (losses.mask_loss_speed, 90),
    "waits": (losses.synchronisations, 20),
    "step": (losses.step_speed, 70),
    "assignment": (losses.assignment, 60),
    "predict": (prediction.predict_speed, 90),
    "engines": (prediction.engines, 120),
    "stages": (prediction.stages, 30),
    "suppression": (prediction.suppression, 20),
}
WHOLE = 500.0
HEADINGS = ("check", "case", "verdict", "unit", "stock", "ours", "ours / stock", "note")
WEIGHTS = Path(__file__).resolve().parents[1] / "weights/highway_yolov8n.pt"


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block once the time is up, where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            # An alarm that somebody else had set still goes off.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-3), interval)


def run_section(name: str, section: Section, setting: Setting, seconds: float, rows: list[Row]) -> float:
    """Add the rows of a section to `rows`, a failure as one more row, and return the seconds it took."""
    started = time.perf_counter()
    if seconds <= 0:
        rows.append(Row(name, "whole section", "left out", note="no time was left"))
        return 0.0
    try:
        with time_limit(seconds):
            for row in section(setting):
                rows.append(row)
                print(" | ".join(row.cells()), file=sys.stderr, flush=True)
    except TimeoutError as error:
        rows.append(Row(name, "the rest of the section", "left out", note=str(error)))
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        rows.append(Row(name, "the rest of the section", "failed", note=f"failed: {said}"))
        logging.getLogger("gpu_check").exception("section %s", name)
    if setting.on_gpu:
        # What a failure leaves in memory must not fail the next section.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
    return time.perf_counter() - started


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the figures depend on."""
    found: dict[str, Any] = {
        "device": machine_name(device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "ultralytics": ultralytics_version,
        "onnxruntime": prediction.describe(ONNXRUNTIME),
        "tensorrt": prediction.describe(TENSORRT),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"memory_gib": round(properties.total_memory / 2**30, 1), "cuda": torch.version.cuda}
        found |= {"cudnn": torch.backends.cudnn.version(), "processor": machine_name(torch.device("cpu"))}
    return found


def check(setting: Setting, names: list[str], out: Path | None, whole: float) -> list[Row]:
    """Run sections and return all rows; the JSON file is written again after every section."""
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    ends = time.perf_counter() + whole
    for name in names:
        section, limit = SECTIONS[name]
        seconds[name] = run_section(name, section, setting, min(limit, ends - time.perf_counter()), rows)
        print(f"-- {name}: {seconds[name]:.1f} s", file=sys.stderr, flush=True)
        if out is not None:
            content = {
                "schema": "reg-yolo/gpu-check/1",
                "machine": machine(setting.device),
                "sizes": asdict(setting.sizes),
                "seconds": {key: round(value, 1) for key, value in seconds.items()},
                "rows": [asdict(row) for row in rows],
            }
            replace_text(out, json.dumps(content, indent=1) + "\n")
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for, print the table, and return 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="tiny sizes, for a processor")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="write the rows as JSON, too")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="run these sections alone")
    parser.add_argument("--minutes", type=float, default=WHOLE / 60, help="time limit of all sections together")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="a trained YOLOv8 detector of the seven classes")
    options = parser.parse_args(arguments)
    LOGGER.setLevel("ERROR")
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gpu_check_", ignore_cleanup_errors=True) as folder:
        setting = Setting(device, SHORT if options.short else Sizes(), Path(folder), options.weights)
        rows = check(setting, options.only or list(SECTIONS), options.out, 60.0 * options.minutes)
    facts = ", ".join(f"{key} {value}" for key, value in machine(device).items() if key != "device")
    print(f"\n{machine_name(device)} ({facts}), {time.perf_counter() - started:.0f} s\n")
    cells = [[escape_markdown(cell) for cell in row.cells()] for row in rows]
    print(markdown_rows(HEADINGS, cells, text_columns=4))
    for verdict in ("failed", "goal missed"):
        named = [f"{row.check}: {row.case}" for row in rows if row.verdict == verdict]
        if named:
            print(f"\n{len(named)} {verdict}: {'; '.join(named)}")
    return int(any(row.verdict == "failed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
