"""Measure how a focused loss compares with the stock one over a training: the numbers behind `scale: by_gamma`.

    python scripts/measure_loss_balance.py [--images 48] [--imgsz 256] [--steps 5 20 60 120] [--device cpu]
    python scripts/measure_loss_balance.py --masks
    python scripts/measure_loss_balance.py --settle 60 --fixed-images 8

On scenes of the embedded highway, at several moments of a training from scratch (with the stock loss and with a focused
one, in turn) and on the shipped weights, every setting sees the same predictions. For each: the stock value over ours,
and the same of the summed absolute gradient by class logits, for positives (y > 0), for negatives, and for both
together. The last table has medians by gamma. With --masks the gradient is that by mask coefficients.

--settle N trains N steps from scratch with each setting instead, on a few images, and prints what background is left
with: the mean probability of negatives and the share above validation's threshold of 0.001.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reg_yolo.config.reg import RegSettings
from reg_yolo.config.shipped import SHIPPED_WEIGHTS
from reg_yolo.scenes import write_stills
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics.cfg import get_cfg  # isort: skip
from ultralytics.data.build import build_yolo_dataset  # isort: skip
from ultralytics.data.utils import check_det_dataset  # isort: skip
from ultralytics.nn.tasks import DetectionModel, SegmentationModel  # isort: skip

GAMMAS = (0.5, 1.0, 1.5, 2.0)
# The forms that balance positives against negatives do so without an exponent, too.
BALANCED_GAMMAS = (0.0, 1.0, 1.5, 2.0)
ALPHA = {"scheme": "balanced", "temper": 0.5}
CENTER = {"enabled": True, "floor": 0.1}
EDGE = {"enabled": True, "floor": 0.1, "distance": "edge", "beta": 1.0, "delta": 3.0, "keep_hard": 1.0}
SEED = 31_000

# Value, and gradient of positives, of negatives, of both
Measured = tuple[float, float, float, float]
Ratios = dict[str, list[Measured]]


def settings_to_measure(masks: bool) -> dict[str, tuple[str, RegSettings]]:
    """Return form with exponent, and settings, by name, without a factor."""
    found = {}
    for form in () if masks else ("sigmoid", "varifocal"):
        for gamma in BALANCED_GAMMAS:
            for name, terms in {"": {}, " class alpha": {"alpha": ALPHA}}.items():
                reg = {"preset": "stock", "focal": {"gamma": gamma, "form": form}, "scale": 1.0, **terms}
                found[f"{form} {gamma:g}{name}"] = (f"{form} {gamma:g}", RegSettings.from_mapping(reg))
    for gamma in GAMMAS:
        variants: dict[str, Any] = {"": {}, " alpha": {"alpha": ALPHA}}
        if not masks:
            variants |= {" g": {"spatial": CENTER}, " alpha g": {"alpha": ALPHA, "spatial": CENTER}}
            variants[" g edge, hard kept"] = {"spatial": EDGE}
        for name, terms in variants.items():
            reg = {"preset": "stock", "focal": {"gamma": gamma}, "scale": 1.0, **terms}
            found[f"gamma {gamma:g}{name}"] = (f"gamma {gamma:g}", RegSettings.from_mapping(reg))
    return found


def settings_to_settle() -> dict[str, Any]:
    """Return the losses whose background is compared, by name."""
    return {
        "stock": "stock",
        "reg_v1 (auto)": "reg_v1",
        "reg_v1, by_gamma": {"preset": "reg_v1", "scale": "by_gamma"},
        "gamma 1, by_gamma": {"preset": "stock", "focal": {"gamma": 1.0}},
        "gamma 1.5, by_gamma": {"preset": "stock", "focal": {"gamma": 1.5}},
        "gamma 2, by_gamma": {"preset": "stock", "focal": {"gamma": 2.0}},
        "gamma 1.5, g edge, hard kept": {"preset": "stock", "focal": {"gamma": 1.5}, "spatial": EDGE},
        "alpha^0.5": {"preset": "stock", "alpha": ALPHA},
        "alpha^0.5, mitigation 0.5": {"preset": "stock", "alpha": {**ALPHA, "mitigation": 0.5}},
        "efl s 8": "efl",
        "efl s 2": {"preset": "efl", "focal": {"s": 2.0}},
        "reg_efl": "reg_efl",
    }


class Scenes:
    """Scenes of the embedded highway, augmented as upstream trains, in batches that never end."""

    def __init__(self, folder: Path, images: int, imgsz: int, batch: int, masks: bool, device: str) -> None:
        yaml = folder / "data.yaml"
        if not yaml.exists():
            write_stills(folder, images, (2 * imgsz, imgsz * 6 // 5), SEED, boxes_only=not masks, workers=1)
            if masks:
                drop_box_rows(folder / "labels")
        data = check_det_dataset(str(yaml))
        arguments = get_cfg(overrides={"imgsz": imgsz, "task": "segment" if masks else "detect"})
        self.dataset = build_yolo_dataset(arguments, data["train"], batch, data, mode="train", stride=32)
        self.names: dict[int, str] = data["names"]
        self.batch, self.device = batch, device
        rows = torch.cat([torch.as_tensor(label["cls"]).view(-1) for label in self.dataset.labels]).long()
        self.counts = torch.bincount(rows, minlength=len(self.names)).tolist()

    def batches(self, seed: int, fixed: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield batches; with `fixed` always the same images, augmented once."""
        generator = torch.Generator().manual_seed(seed)
        kept: list[Any] | None = None
        while True:
            if kept is None or fixed is None:
                chosen = torch.randperm(len(self.dataset), generator=generator)[: fixed or self.batch]
                kept = [self.dataset[int(index)] for index in chosen]
            # Collating numbers the samples' rows in place.
            batch = self.dataset.collate_fn(copy.deepcopy(kept))
            batch["img"] = batch["img"].to(self.device).float() / 255
            yield {key: v.to(self.device) if isinstance(v, Tensor) else v for key, v in batch.items()}


def drop_box_rows(labels: Path) -> None:
    """Leave the objects that have an outline: upstream's data set takes no file that mixes both."""
    for file in labels.rglob("*.txt"):
        rows = [row for row in file.read_text(encoding="utf-8").splitlines() if len(row.split()) > 5]
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def new_network(scenes: Scenes, masks: bool, device: str) -> nn.Module:
    """Return a network from scratch."""
    torch.manual_seed(0)
    kind, name = (SegmentationModel, "yolov8n-seg.yaml") if masks else (DetectionModel, "yolov8n.yaml")
    model = kind(name, nc=len(scenes.names), verbose=False)
    model.args = get_cfg()
    return model.to(device).train()


def criterion(model: nn.Module, settings: RegSettings, counts: list[int], masks: bool) -> RegDetectionLoss:
    """Return our criterion."""
    if masks:
        return RegSegmentationLoss(model, settings, counts, counts)
    return RegDetectionLoss(model, settings, counts)


def train(model: nn.Module, loss: RegDetectionLoss, batches: Iterator[dict[str, Any]], steps: int, bf16: bool) -> None:
    """Take AdamW steps; the head's output is float32 for the loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=5e-4)
    for _ in range(steps):
        batch = next(batches)
        optimizer.zero_grad()
        with torch.autocast(batch["img"].device.type, dtype=torch.bfloat16, enabled=bf16):
            preds = model(batch["img"])
        preds = {key: value.float() if isinstance(value, Tensor) else value for key, value in preds.items()}
        loss(preds, batch)[0].sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()


def leaves(model: nn.Module, batch: dict[str, Any]) -> dict[str, Any]:
    """Return the head's output as leaves with gradient."""
    with torch.no_grad():
        preds = model(batch["img"])
    return {key: v.float().detach().requires_grad_() if isinstance(v, Tensor) else v for key, v in preds.items()}


def class_balances(
    losses: dict[str, RegDetectionLoss], preds: dict[str, Any], batch: dict[str, Any]
) -> dict[str, Measured]:
    """Return the class loss of each criterion and its absolute gradient on positives, on negatives and on both."""
    head, assignment, _ = next(iter(losses.values())).detection_losses(preds, batch)
    positive = assignment.target_scores.transpose(1, 2) > 0
    found = {}
    for name, loss in losses.items():
        value = loss.class_terms.entries(head, assignment, None)[0].sum() / loss.class_terms.normalizer(assignment)
        (gradient,) = torch.autograd.grad(value, preds["scores"])
        size = gradient.abs()
        own = float(torch.where(positive, size, 0.0).sum())
        found[name] = (float(value.detach()), own, float(size.sum()) - own, float(size.sum()))
    return found


def mask_balances(
    losses: dict[str, RegDetectionLoss], preds: dict[str, Any], batch: dict[str, Any]
) -> dict[str, Measured]:
    """Return the mask loss of each criterion, and three times its absolute gradient by mask coefficients."""
    found = {}
    for name, loss in losses.items():
        value = loss.loss(preds, batch)[0][1]
        (gradient,) = torch.autograd.grad(value, preds["mask_coefficient"])
        size = float(gradient.abs().sum())
        found[name] = (float(value.detach()), size, size, size)
    return found


def measure(model: nn.Module, scenes: Scenes, masks: bool, batches: int, into: Ratios) -> None:
    """Add stock over ours, of value and both gradients, for every setting on some batches."""
    stock = RegSettings.from_mapping("stock")
    settings = {"stock": stock, **{name: one for name, (_, one) in settings_to_measure(masks).items()}}
    losses = {name: criterion(model, one, scenes.counts, masks) for name, one in settings.items()}
    stream = scenes.batches(77)
    for _ in range(batches):
        batch = next(stream)
        found = (mask_balances if masks else class_balances)(losses, leaves(model, batch), batch)
        for name in list(settings)[1:]:
            if min(*found["stock"], *found[name]) > 0:
                ratios = tuple(s / o for s, o in zip(found["stock"], found[name], strict=True))
                into.setdefault(name, []).append(ratios)  # type: ignore[arg-type]


def measure_all(scenes: Scenes, options: argparse.Namespace) -> None:
    """Print the ratios at each moment and their medians by gamma."""
    by_moment: dict[str, Ratios] = {}
    for trained_with in ("stock", {"preset": "stock", "focal": {"gamma": 1.5}}):
        model = new_network(scenes, options.masks, options.device)
        loss = criterion(model, RegSettings.from_mapping(trained_with), scenes.counts, options.masks)
        stream, done = scenes.batches(1), 0
        label = trained_with if isinstance(trained_with, str) else "gamma 1.5"
        for step in options.steps:
            train(model, loss, stream, step - done, options.bf16)
            done = step
            moment = f"{step} steps of {label}"
            measure(model, scenes, options.masks, options.measure_batches, by_moment.setdefault(moment, {}))
            print(f"{moment}: {by_gamma(by_moment[moment], options.masks)}", flush=True)
    if not options.masks:
        shipped = Path(__file__).resolve().parents[1] / "weights" / SHIPPED_WEIGHTS
        model = load_checkpoint_file(shipped)["model"].float().to(options.device).train()
        model.args = get_cfg()
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        measure(model, scenes, False, options.measure_batches, by_moment.setdefault("shipped weights", {}))
    print("\nStock over ours without a factor: value / gradient of positives / of negatives / of both\n")
    print("| setting | " + " | ".join(by_moment) + " |")
    print("|---|" + "---|" * len(by_moment))
    for name in settings_to_measure(options.masks):
        cells = [" / ".join(f"{m:.2f}" for m in medians_of(ratios.get(name, []))) for ratios in by_moment.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n| exponent | medians of | value: least, median, most | gradient: least, median, most |\n|---|---|---|---|")
    for wanted in groups(options.masks):
        medians = [
            medians_of(ratios[name])
            for name, (group, _) in settings_to_measure(options.masks).items()
            if group == wanted
            for ratios in by_moment.values()
            if ratios.get(name)
        ]
        ranges = [
            f"{min(column):.2f}, {statistics.median(column):.2f}, {max(column):.2f}"
            for column in ([m[index] for m in medians] for index in (0, 3))
        ]
        print(f"| {wanted} | {len(medians)} | " + " | ".join(ranges) + " |")


def by_gamma(ratios: Ratios, masks: bool) -> str:
    """Return the median ratios of value and gradient for each exponent, in a line."""
    parts = []
    for wanted in groups(masks):
        rows = [
            medians_of(ratios.get(name, [])) for name, (one, _) in settings_to_measure(masks).items() if one == wanted
        ]
        value, gradient = (statistics.median(row[index] for row in rows) for index in (0, 3))
        parts.append(f"{wanted} value {value:.2f} gradient {gradient:.2f}")
    return ", ".join(parts)


def groups(masks: bool) -> list[str]:
    """Return each form with exponent once."""
    return list(dict.fromkeys(group for group, _ in settings_to_measure(masks).values()))


def medians_of(rows: list[Measured]) -> list[float]:
    """Return the median of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)] if rows else [math.nan] * 4


def settle_all(scenes: Scenes, options: argparse.Namespace) -> None:
    """Train each setting a little and print what its background is left with."""
    print("| loss | scale | mean p of negatives | above 0.001 | mean p of positives | negative / positive gradient |")
    print("|---|---|---|---|---|---|", flush=True)
    for name, reg in settings_to_settle().items():
        model = new_network(scenes, False, options.device)
        loss = criterion(model, RegSettings.from_mapping(reg), scenes.counts, False)
        stream = scenes.batches(1, fixed=options.fixed_images)
        train(model, loss, stream, options.settle, options.bf16)
        terms = loss.epoch_terms(scenes.names)
        batch = next(stream)
        preds = leaves(model, batch)
        _, assignment, _ = loss.detection_losses(preds, batch)
        p, positive = preds["scores"].detach().sigmoid(), assignment.target_scores.transpose(1, 2) > 0
        background = p[~positive]
        print(
            f"| {name} | {terms['reg/scale']:.2f} | {float(background.mean()):.5f} | "
            f"{float((background > 0.001).float().mean()):.3f} | {float(p[positive].mean()):.3f} | "
            f"{terms['reg/gradient_negative_to_positive']:.2f} |",
            flush=True,
        )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48, help="scenes to render")
    parser.add_argument("--imgsz", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 20, 60, 120], help="moments of the training")
    parser.add_argument("--measure-batches", type=int, default=3, help="batches measured at each moment")
    parser.add_argument("--masks", action="store_true", help="measure the mask loss")
    parser.add_argument("--settle", type=int, default=0, help="steps of a short training with each setting")
    parser.add_argument("--fixed-images", type=int, default=8, help="images of that training")
    parser.add_argument("--bf16", action="store_true", help="forward pass in bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work", type=Path, help="where the scenes lie or go; a temporary folder otherwise")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.work or Path(temporary)) / ("masks" if options.masks else "boxes")
        folder.mkdir(parents=True, exist_ok=True)
        scenes = Scenes(folder, options.images, options.imgsz, options.batch, options.masks, options.device)
        settle_all(scenes, options) if options.settle else measure_all(scenes, options)


if __name__ == "__main__":
    main()
