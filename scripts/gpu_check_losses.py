"""The sections of gpu_check.py about training: criterion, mask loss, assignment and whole steps beside Ultralytics'."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import cv2
import numpy as np
import torch
from bench_criterion import (
    CLASS_COUNTS,
    EVERYTHING_ON,
    Case,
    all_criteria,
    forward_and_backward,
    head_like_model,
    interleaved,
    make_batch,
    on_device,
    ratio_text,
)
from bench_mask_loss import EVERYTHING_ON as MASKS_ON
from bench_mask_loss import Case as MaskCase
from gpu_check_rows import Row, Setting, difference, parity_row, speed_rows
from torch import Tensor, nn

from reg_yolo.config.presets import PRESETS
from reg_yolo.config.reg import RegSettings
from reg_yolo.scenes import write_stills
from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.head_output import HeadOutput
from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss
from reg_yolo.yolo.criterion.targets import GroundTruth, Positives

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics import YOLO  # isort: skip
from ultralytics.cfg import get_cfg  # isort: skip
from ultralytics.nn.tasks import DetectionModel, SegmentationModel  # isort: skip
from ultralytics.utils.loss import v8DetectionLoss, v8SegmentationLoss  # isort: skip
from ultralytics.utils.tal import TaskAlignedAssigner  # isort: skip

MASK_LEAVES = ("boxes", "scores", "mask_coefficient", "proto")
# A new loss scaler starts at 2^16 and halves itself while gradients overflow, each time leaving a step out.
MOST_HALVINGS = 12
GOAL_CRITERION, GOAL_STEP = 0.5, 0.97


def training_step(
    model: nn.Module, criterion: Any, images: Tensor, labels: dict[str, Tensor], *, amp: bool = False
) -> Callable[[], None]:
    """Return a call that takes one step, with `amp` as upstream trains on a GPU: in half precision, the loss scaled."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler(images.device.type, enabled=amp)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(images.device.type, enabled=amp):
            loss, _ = criterion(model(images), labels)
        scaler.scale(loss.sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def neutral_parity(setting: Setting) -> Iterator[Row]:
    """Hold the neutral criterion to stock's losses and gradients: heads, masks, and every parameter of a network."""
    sizes, name = setting.sizes, "neutral parity"
    images = sizes.batches[0]
    with deterministic():
        for objects in sizes.objects:
            preds, batch = on_device(Case(images, objects, sizes.image_size), setting.device)
            criteria = all_criteria(head_like_model(setting.device))
            stock, ours = (
                (lambda c=criteria[key], p=preds, b=batch: forward_and_backward(c, p, b))
                for key in ("stock", "neutral")
            )
            yield parity_row(name, f"detect, {images} x {objects}", stock, ours)
        case = MaskCase(images, sizes.objects[0], setting.device, sizes.image_size)
        stock, ours = (
            (lambda c=criterion: mask_loss_and_gradients(c, case.preds, case.batch))
            for criterion in (v8SegmentationLoss(case.model), case.criterion("stock"))
        )
        yield parity_row(name, f"segment, {images} x {sizes.objects[0]}", stock, ours)
        model = detector_in_training(setting)
        pictures, labels = scene_batch(setting)
        stock, ours = (
            (lambda c=criterion: parameter_gradients(model, c, pictures, labels))
            for criterion in (v8DetectionLoss(model), RegDetectionLoss(model, reg("stock"), CLASS_COUNTS))
        )
        yield parity_row(name, "detect, every parameter of YOLOv8n", stock, ours)


def amp(setting: Setting) -> Iterator[Row]:
    """Train one step of every preset on rendered scenes in half precision: loss and gradients are finite."""
    pictures, labels = scene_batch(setting)
    torch.manual_seed(0)
    segmenter = SegmentationModel("yolov8n-seg.yaml", nc=len(CLASS_COUNTS), verbose=False).to(setting.device).train()
    segmenter.args = get_cfg()
    networks: dict[str, tuple[nn.Module, Any, Callable[..., Any]]] = {
        "detect": (detector_in_training(setting), v8DetectionLoss, RegDetectionLoss),
        "segment": (segmenter, v8SegmentationLoss, RegSegmentationLoss),
    }
    precision = "float16" if setting.on_gpu else "bfloat16"
    for task, (model, stock_class, our_class) in networks.items():
        counts = [CLASS_COUNTS] * (1 if task == "detect" else 2)
        state = copy.deepcopy(model.state_dict())
        _, stock_halvings = half_precision_step(model, stock_class(model), pictures, labels)
        for preset in PRESETS:
            model.load_state_dict(state)
            criterion = our_class(model, reg(preset), *counts)
            loss, halvings = half_precision_step(model, criterion, pictures, labels)
            finite = bool(np.isfinite(loss)) and halvings <= MOST_HALVINGS
            scale = f"loss scale halved {halvings} times, stock {stock_halvings}" if setting.on_gpu else ""
            note = f"{precision}, loss {loss:.4g}; {scale}".rstrip("; ")
            yield Row("AMP", f"{task}, preset {preset}", "ok" if finite else "failed", note=note)


def odd_batches(setting: Setting) -> Iterator[Row]:
    """Take batches without objects, with objects in half of the images, and with very many of them."""
    sizes, device = setting.sizes, setting.device
    images = max(2, sizes.batches[0] // 2)
    for title, objects, kept in (
        ("no objects", 3, 0),
        ("objects in half of the images", 12, images // 2),
        (f"{sizes.crowd} objects an image", sizes.crowd, images),
    ):
        preds, batch = on_device(Case(images, objects, sizes.image_size), device)
        batch = only_first_images(batch, kept)
        criteria = all_criteria(head_like_model(device))
        stock, ours, everything = (
            (lambda c=criterion, p=preds, b=batch: forward_and_backward(c, p, b)) for criterion in criteria.values()
        )
        yield parity_row("odd batches", f"detect, {title}, neutral", stock, ours)
        yield finite_row("odd batches", f"detect, {title}, everything on", everything())
        case = MaskCase(images, objects, device, sizes.image_size)
        labels = only_first_images(case.batch, kept)
        outcome = mask_loss_and_gradients(case.criterion(MASKS_ON), case.preds, labels)
        yield finite_row("odd batches", f"segment, {title}, reg", outcome)
        del case


def criterion_speed(setting: Setting) -> Iterator[Row]:
    """Time the criterion, forward and backward."""
    for images, objects in product(setting.sizes.batches, setting.sizes.objects):
        preds, batch = on_device(Case(images, objects, setting.sizes.image_size), setting.device)
        criteria = all_criteria(head_like_model(setting.device))
        calls = {n: (lambda c=c, p=preds, b=batch: forward_and_backward(c, p, b)) for n, c in criteria.items()}
        yield from speed_rows("criterion", f"{images} x {objects}", calls, setting, GOAL_CRITERION)


def mask_loss_speed(setting: Setting) -> Iterator[Row]:
    """Time the mask loss alone, forward and backward."""
    for images, objects in product(setting.sizes.batches, setting.sizes.objects):
        case = MaskCase(images, objects, setting.device, setting.sizes.image_size)
        losses = {"stock": case.stock, "reg": case.ours(MASKS_ON)}
        calls = {name: (lambda c=case, loss=loss: c.step(loss)) for name, loss in losses.items()}
        yield from speed_rows("mask loss", f"{images} x {objects}", calls, setting)
        del case, losses, calls


def step_speed(setting: Setting) -> Iterator[Row]:
    """Time whole training steps of YOLOv8n, on a card in half precision."""
    sizes, device = setting.sizes, setting.device
    torch.manual_seed(0)
    network = DetectionModel("yolov8n.yaml", nc=len(CLASS_COUNTS), verbose=False).to(device).train()
    network.args = get_cfg()
    generator = torch.Generator().manual_seed(0)
    for images in sizes.batches:
        pictures = torch.rand(images, 3, sizes.image_size, sizes.image_size, generator=generator).to(device)
        for objects in sizes.objects:
            batch = make_batch(Case(images, objects, sizes.image_size), generator)
            labels = {key: value.to(device) for key, value in batch.items()}
            stock, ours = copy.deepcopy(network), copy.deepcopy(network)
            everything = RegDetectionLoss(ours, reg(EVERYTHING_ON), CLASS_COUNTS)
            calls = {
                "stock": training_step(stock, v8DetectionLoss(stock), pictures, labels, amp=setting.on_gpu),
                "everything": training_step(ours, everything, pictures, labels, amp=setting.on_gpu),
            }
            yield from speed_rows("training step", f"{images} x {objects}", calls, setting, GOAL_STEP)


def synchronisations(setting: Setting) -> Iterator[Row]:
    """Count how often the processor waits for the card, with few and with many images."""
    if not setting.on_gpu:
        yield Row("waits for the card", "mask loss, criterion", "left out", note="only a card can count them")
        return
    few, many, objects = 4, 16, 12
    counts: dict[str, list[int]] = {"criterion": [], "mask loss": []}
    stock: dict[str, list[int]] = {"criterion": [], "mask loss": []}
    for images in (few, many):
        preds, batch = on_device(Case(images, objects, setting.sizes.image_size), setting.device)
        criteria = all_criteria(head_like_model(setting.device))
        masks = MaskCase(images, objects, setting.device, setting.sizes.image_size)
        for into, criterion, mask_loss in (
            (stock, criteria["stock"], masks.stock),
            (counts, criteria["everything"], masks.ours(MASKS_ON)),
        ):
            into["criterion"].append(waits(lambda c=criterion, p=preds, b=batch: forward_and_backward(c, p, b)))
            into["mask loss"].append(waits(lambda m=masks, loss=mask_loss: m.step(loss)))
    for name, (at_few, at_many) in counts.items():
        note = f"{few} images: stock {stock[name][0]}, ours {at_few}; {many} images: stock {stock[name][1]}"
        verdict = "goal met" if at_many <= at_few else "goal missed"
        note += "; goal: none that comes with every image"
        yield Row(
            "waits for the card", f"{name}, {many} x {objects}", verdict, "waits", stock[name][1], at_many, note=note
        )


def assignment(setting: Setting) -> Iterator[Row]:
    """Hold the assignment on candidates to Ultralytics' dense one, and time both."""
    sizes = setting.sizes
    for images, objects in product(sizes.batches, sizes.objects):
        preds, batch = on_device(Case(images, objects, sizes.image_size), setting.device)
        criterion = all_criteria(head_like_model(setting.device))["neutral"]
        head = HeadOutput.read(preds, criterion.stride, criterion.bbox_decode)
        scores = head.logits.detach().sigmoid().contiguous()
        points = head.anchor_points * head.strides
        rows = torch.cat((batch["batch_idx"].view(-1, 1), batch["cls"], batch["bboxes"]), 1)
        labels, boxes = criterion.preprocess(rows, images, scale_tensor=head.image_size[[1, 0, 1, 0]]).split((1, 4), 2)
        truth = GroundTruth(labels, boxes, boxes.sum(2, keepdim=True).gt_(0.0))
        sparse: SparseTaskAlignedAssigner = criterion.assigner
        sparse.sparse_on = frozenset({setting.device.type})
        dense: TaskAlignedAssigner = v8DetectionLoss(head_like_model(setting.device)).assigner

        def densely(dense=dense, head=head, scores=scores, points=points, truth=truth) -> tuple[Tensor, ...]:
            with torch.no_grad():
                logits = head.box_logits.transpose(1, 2).contiguous()
                decoded = head.decode(head.anchor_points, logits) * head.strides
                return dense(scores, decoded, points, truth.labels, truth.boxes, truth.valid)

        def sparsely(sparse=sparse, head=head, scores=scores, points=points, truth=truth) -> Positives | None:
            return sparse.assign(scores, head.boxes_in_pixels, points, truth, head.level_shapes)

        found_labels, _, found_scores, has_object, object_index = densely()
        expected, actual = Positives.of_dense(found_labels, found_scores, has_object, object_index), sparsely()
        case = f"{images} x {objects}"
        if actual is None:
            yield Row("assignment", case, "failed", note="the sparse one gave up: are there NaNs?")
            continue
        yield agreement_row(case, expected, actual, images * scores.shape[1])
        times = interleaved({"dense": densely, "sparse": sparsely}, sizes.repeats, setting.device)
        medians = [float(np.median(times[name])) for name in times]
        yield Row("assignment", f"{case}, time", "", "ms", *medians, ratio_text(times["sparse"], times["dense"]))


def agreement_row(case: str, expected: Positives, actual: Positives, points: int) -> Row:
    """Compare two assignments: the same anchor points, objects and classes, and how far their scores are apart."""
    names = ("image", "anchor", "object", "label")
    left, right = (set(zip(*(getattr(p, n).tolist() for n in names), strict=True)) for p in (expected, actual))
    other = len(left ^ right)
    apart = difference((expected.score,), (actual.score,)) if not other else 0.0
    note = f"{len(left)} positives of {points} points, {other} of them in only one of both"
    note += "" if other else f", scores apart by {apart:.1g}"
    return Row("assignment", case, "ok" if not other and apart <= 1e-5 else "failed", note=note)


def reg(given: Any) -> RegSettings:
    """Return the settings of a preset or a mapping."""
    return RegSettings.from_mapping(given)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Ask torch for kernels that give the same bits every time, where it has them."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def detector_in_training(setting: Setting) -> nn.Module:
    """Return the trained detector as a trainer holds it."""
    model = YOLO(setting.weights, task="detect").model.float().to(setting.device).train()
    model.args = get_cfg()
    return model.requires_grad_(True)


def scene_batch(setting: Setting) -> tuple[Tensor, dict[str, Tensor]]:
    """Return rendered images, Tensor[B, 3, H, W] in [0, 1], and their labels with masks; rendered once."""
    root, side = setting.folder / "scenes", setting.sizes.image_size
    if not root.exists():
        write_stills(root, setting.sizes.scenes, (side, side), seed=5, val_fraction=0.0, masks=True)
    pictures, masks, rows, has_mask = [], [], [], []
    files = sorted((root / "images/train").iterdir())
    for number, file in enumerate(files):
        pictures.append(torch.from_numpy(cv2.imread(str(file))[..., ::-1].copy()).permute(2, 0, 1).float() / 255)
        mask = cv2.imread(str(root / "masks/train" / f"{file.stem}.png"), cv2.IMREAD_UNCHANGED)
        masks.append(torch.from_numpy(mask[::4, ::4].astype(np.float32)))
        for line in (root / "labels/train" / f"{file.stem}.txt").read_text(encoding="utf-8").splitlines():
            label, *values = (float(word) for word in line.split())
            has_mask.append(len(values) > 4)
            if has_mask[-1]:
                corners = np.array(values).reshape(-1, 2)
                values = [*(corners.min(0) + corners.max(0)) / 2, *(corners.max(0) - corners.min(0))]
            rows.append([number, label, *values])
    table = torch.tensor(rows, dtype=torch.float32).view(-1, 6)
    labels = {"batch_idx": table[:, 0], "cls": table[:, 1:2], "bboxes": table[:, 2:]}
    labels |= {"masks": torch.stack(masks), "has_mask": torch.tensor(has_mask)}
    return torch.stack(pictures).to(setting.device), {key: value.to(setting.device) for key, value in labels.items()}


def mask_loss_and_gradients(criterion: Any, preds: dict[str, Any], batch: dict[str, Any]) -> tuple[Tensor, ...]:
    """Return the losses of a segmentation criterion, and its gradients by everything that a head puts out."""
    leaves = {name: preds[name].detach().clone().requires_grad_() for name in MASK_LEAVES}
    loss, _ = criterion({**preds, **leaves}, batch)
    gradients = torch.autograd.grad(loss.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
    return loss.detach(), *gradients


def parameter_gradients(
    model: nn.Module, criterion: Any, pictures: Tensor, labels: dict[str, Tensor]
) -> tuple[Tensor, ...]:
    """Return the losses of a network and the gradient of every parameter."""
    loss, _ = criterion(model(pictures), labels)
    used = [p for p in model.parameters() if p.requires_grad]
    return loss.detach(), *torch.autograd.grad(loss.sum(), used, allow_unused=True, materialize_grads=True)


def half_precision_step(
    model: nn.Module, criterion: Any, pictures: Tensor, labels: dict[str, Tensor]
) -> tuple[float, int]:
    """Return the loss under autocast, and how often the loss scale had to be halved for finite gradients."""
    on_gpu = pictures.is_cuda
    scale = 2.0**16 if on_gpu else 1.0
    for halvings in range(MOST_HALVINGS + 1):
        model.zero_grad()
        with torch.autocast(pictures.device.type, torch.float16 if on_gpu else torch.bfloat16):
            loss, _ = criterion(model(pictures), labels)
        (loss.sum() * scale).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if bool(torch.stack([torch.isfinite(g).all() for g in gradients]).all()):
            return float(loss.detach().sum()), halvings
        scale /= 2
    return float(loss.detach().sum()), MOST_HALVINGS + 1


def only_first_images(batch: dict[str, Tensor], images: int) -> dict[str, Tensor]:
    """Return a batch in which only the first images have objects."""
    kept = batch["batch_idx"] < images
    labels = {key: batch[key][kept] for key in ("batch_idx", "cls", "bboxes")}
    if "masks" in batch:
        here = torch.arange(len(batch["masks"]), device=batch["masks"].device) < images
        labels["masks"] = batch["masks"] * here[:, None, None]
    return labels


def finite_row(check: str, case: str, outcome: tuple[Tensor, ...]) -> Row:
    """Return whether losses and gradients are numbers."""
    finite = all(bool(torch.isfinite(each).all()) for each in outcome)
    return Row(check, case, "ok" if finite else "failed", note=f"loss {float(outcome[0].sum()):.4g}")


def waits(call: Callable[[], Any]) -> int:
    """Return how many synchronising operations a call makes, after one call to warm up."""
    call()
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)
