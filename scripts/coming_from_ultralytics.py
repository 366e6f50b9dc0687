"""Write docs/coming_from_ultralytics.md: every argument of the installed Ultralytics, and what it is here.

What is refused, and why, comes from the code that refuses it; what differs otherwise stands in `NOTES`. A test compares
the page with this script.

    python scripts/coming_from_ultralytics.py
"""

from __future__ import annotations

import re
from pathlib import Path

from ultralytics.utils import DEFAULT_CFG_DICT, DEFAULT_CFG_PATH

from reg_yolo.config.problems import show_value
from reg_yolo.config.train_arguments import REFUSED
from reg_yolo.yolo.commands.export import NOT_FOR_EXPORT, OTHER_ARGUMENTS, TAKEN
from reg_yolo.yolo.upstream.arguments import NOT_FOR_PREDICT

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coming_from_ultralytics.md"

# Tasks that are not here: what only they read is taken and has no effect.
OTHER_TASKS = {
    "dropout": "classification", "auto_augment": "classification", "erasing": "classification", "pose": "pose",
    "kobj": "pose", "rle": "pose", "angle": "oriented boxes", "dlog": "depth", "dgrad": "depth", "dlam": "depth",
}  # fmt: skip

# What an argument that is taken is here, where it is not simply the same.
NOTES = {
    "task": "`train detect/yolov8n`, or `task:` in a configuration: `detect`, `segment`, `semantic`, `joint` (ours)",
    "mode": "the command: `train`, `val`, `predict`, `export`. `track` is `predict --track`; there is no `benchmark`",
    "model": "`train model=yolov8n.pt data=my_roads.yaml`, YOLOv8 only; for the other commands the first word",
    "data": "the same, or `--data`; relative paths in it are relative to the file itself",
    "device": "the same in every command",
    "resume": "`train --resume RUN`, for a stopped run; with `epochs=N` it extends a finished one",
    "pretrained": "the same; `pretrained=highway_yolov8n.pt` finds the shipped weights",
    "optimizer": "the same, and `RiemannianAdamW`, `RiemannianSGD` ([optimisation.md](optimisation.md))",
    "amp": "the same, and `bf16` on a processor that computes it",
    "single_cls": "detection only",
    "rect": "training: not next to `sampling`",
    "project": "training: the same, `./runs` by default. `val` and `predict` write to `--out`",
    "name": "training: the same. `val` and `predict` write to `--out`",
    "exist_ok": "training: the same. `val` and `predict` write to `--out`",
    "cfg": "a configuration of ours is the first word of `train`; `extends:` builds on another",
    "distill_model": "not taken by train: upstream's distillation builds a criterion of its own",
    "dis": "no effect without `distill_model`",
    "box": "the same gain, on the box loss that `reg.box` chooses",
    "cls": "the same gain, on the class loss that `reg` chooses, which is brought to the stock scale",
    "dfl": "the same gain",
    "cls_pw": "the same, unless `reg.alpha` weights classes too: then one of the two",
    "conf": "one threshold for all classes; without it each class has its own, which `val` chose and `best.pt` holds",
    "iou": "the same; `--suppression` chooses how overlapping boxes are treated ([cle.md](cle.md))",
    "quantize": "`predict --precision f16`, `--int8` or `quantize=16`; `export quantize=16` or `--int8`",
    "nms": "not taken by export: suppression stays outside, where every class has its own threshold",
    "source": "the second word of `predict`: an image, a video, a folder, a pattern or a list",
    "vid_stride": "the same; `--every 5`, `--every 0.2s` and `--every 2m` thin by frames, seconds and metres",
    "save": "training: checkpoints. `predict save=false`: records only, no annotated copy",
    "save_json": "the same; `per_class.json` is written in any case",
    "save_conf": "no effect: `detections.jsonl` has every confidence",
    "stream_buffer": "no effect: files are read, no streams",
    "retina_masks": "on by default: masks have the frame's size",
    "format": "`onnx`, `openvino` or `engine`; other formats: `yolo export` takes the same checkpoint",
    "tracker": "`predict --track`, or `--track bytetrack.yaml` for another tracker ([tracks.md](tracks.md))",
}  # fmt: skip

HEAD = """# Coming from Ultralytics

`reg-yolo` trains, measures and runs YOLOv8 through Ultralytics itself. Checkpoints go both ways: `reg-yolo` takes stock
YOLOv8 weights, and plain `yolo` takes ours. What changes is the loss, and what is written around it.

| with Ultralytics | here |
|---|---|
| `yolo detect train model=yolov8n.pt data=roads.yaml epochs=50` | `reg-yolo train model=yolov8n.pt data=roads.yaml epochs=50` |
| `yolo segment train model=yolov8n-seg.pt data=roads.yaml` | `reg-yolo train segment/yolov8n model=yolov8n-seg.pt data=roads.yaml` |
| the same with the stock loss | `reg-yolo train model=yolov8n.pt data=roads.yaml reg=stock` |
| `yolo train resume model=runs/detect/train/weights/last.pt` | `reg-yolo train --resume runs/detect/train` |
| `yolo val model=best.pt data=roads.yaml` | `reg-yolo val best.pt data=roads.yaml` |
| `yolo predict model=best.pt source=drive.mp4` | `reg-yolo predict best.pt drive.mp4` |
| `yolo track model=best.pt source=drive.mp4 tracker=bytetrack.yaml` | `reg-yolo predict best.pt drive.mp4 --track bytetrack.yaml` |
| `yolo export model=best.pt format=onnx` | `reg-yolo export best.pt format=onnx` |

Where the last column below says *the same*, the argument is handed to Ultralytics as it is. `export` takes
{export} and refuses what would have no effect on an export.

Written by `scripts/coming_from_ultralytics.py` from Ultralytics {version}: {number} arguments.
"""  # noqa: E501


def sections() -> dict[str, list[str]]:
    """Return Ultralytics' arguments under the headings of its own configuration file."""
    found: dict[str, list[str]] = {}
    heading = "General"
    for line in DEFAULT_CFG_PATH.read_text(encoding="utf-8").splitlines():
        if title := re.match(r"# ([A-Z][\w ./]+?)(?: -+)?$", line):
            heading = title[1].replace(".yaml", "").strip()
        elif (key := re.match(r"(\w+):", line)) and key[1] in DEFAULT_CFG_DICT:
            found.setdefault(heading, []).append(key[1])
    return found


SECTIONS = sections()


def here(key: str) -> str:
    """Return what an argument of Ultralytics is in reg_yolo."""
    if key in OTHER_TASKS:
        return f"no effect: for {OTHER_TASKS[key]}, which is not here"
    said = [NOTES[key]] if key in NOTES else []
    if not said and key in REFUSED:
        said.append(f"not taken; {REFUSED[key]}")
    if key in NOT_FOR_PREDICT and key not in NOTES:
        said.append(f"not taken by predict: {NOT_FOR_PREDICT[key]}")
    if key in NOT_FOR_EXPORT and key not in NOTES:
        said.append(f"not taken by export: {NOT_FOR_EXPORT[key]}")
    if not said and key in SECTIONS.get("Export settings", []) and key not in (*TAKEN, *OTHER_ARGUMENTS):
        said.append("not taken by export, on whose formats it has no effect")
    return "; ".join(said) or "the same"


def page() -> str:
    """Return the page as Markdown."""
    from ultralytics import __version__

    taken = ", ".join(f"`{key}`" for key in sorted({"format", *TAKEN, *OTHER_ARGUMENTS}))
    lines = [HEAD.format(export=taken, version=__version__, number=len(DEFAULT_CFG_DICT))]
    for heading, keys in SECTIONS.items():
        lines += [f"## {heading}\n", "| argument | default | here |", "|---|---|---|"]
        for key in keys:
            default = "" if DEFAULT_CFG_DICT[key] is None else f"`{show_value(DEFAULT_CFG_DICT[key])}`"
            lines.append(f"| `{key}` | {default} | {here(key)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
