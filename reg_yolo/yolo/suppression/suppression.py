"""Suppression of a network's raw output by Ultralytics' NMS, soft-NMS or balanced NMS, in Ultralytics' format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import xywh2xyxy

from reg_yolo.config.suppression import SuppressionKind, checked_word
from reg_yolo.errors import ConfigError
from reg_yolo.nms import Survivors, balanced_nms, soft_nms


@dataclass
class Suppression:
    """Callable that turns raw output into detections, as `ultralytics.utils.nms.non_max_suppression` does.

    `stock` is that function. `balanced` and `soft` (Gaussian, sigma 0.5) start from the same candidates: its selection
    by confidence, class and number comes first.

    Attributes:
        kind: "stock", "soft" or "balanced".
        dropped: Boxes left out so far because they were inverted or no finite numbers; `stock` counts none.
        over_limit: Boxes left out so far because an image had more than soft-NMS takes.
    """

    kind: SuppressionKind = "stock"
    dropped: int = 0
    over_limit: int = 0

    def __post_init__(self) -> None:
        """Refuse an unknown kind."""
        checked_word("suppression", self.kind, SuppressionKind)

    @property
    def left_out(self) -> int:
        """Boxes left out so far, for whatever reason."""
        return self.dropped + self.over_limit

    def __call__(
        self,
        prediction: Tensor | Sequence[Any],
        conf_thres: float = 0.25,
        iou_thres: float = 0.45,
        *,
        classes: Sequence[int] | None = None,
        agnostic: bool = False,
        multi_label: bool = False,
        max_det: int = 300,
        nc: int = 0,
        max_nms: int = 30000,
        max_time_img: float = 0.05,
        end2end: bool = False,
    ) -> list[Tensor]:
        """Return the detections of each image.

        Args:
            prediction: Tensor[B, 4 + nc + M, A]: boxes as centre and size in pixels, class scores, and M mask
                coefficients; or a sequence that begins with it.
            conf_thres: A score must be above it; under `soft` the lowered score too.
            iou_thres: Boxes that overlap by more are one cluster; unused by `soft`.
            classes: The classes that count; None for all.
            agnostic: Whether boxes of different classes meet.
            multi_label: Whether a box may have several classes.
            max_det: Most detections of an image, the highest scores.
            nc: Number of classes; 0 without mask coefficients.
            max_nms: Most candidates of an image, the highest scores.
            max_time_img: Seconds an image, in `stock` only: when 2 s more are over, the images left have no detections.
            end2end: Whether the network has suppressed already.

        Returns:
            B times Tensor[K, 6 + M]: xyxy in pixels, score, class, mask coefficients; the highest score first.

        Raises:
            ConfigError: If the output is suppressed already, and the kind is not `stock`.
        """
        raw: Tensor = prediction if isinstance(prediction, Tensor) else prediction[0]
        if self.kind == "stock":
            return non_max_suppression(
                raw, conf_thres, iou_thres, None if classes is None else list(classes), agnostic, multi_label,
                max_det=max_det, nc=nc, max_nms=max_nms, max_time_img=max_time_img, end2end=end2end,
            )  # fmt: skip
        if end2end or raw.shape[-1] == 6:
            raise ConfigError(
                f"`suppression`: {self.kind} needs the boxes before suppression, and this network or export has NMS "
                "inside; take stock, or export with nms=False"
            )
        nc = nc or raw.shape[1] - 4
        image, rows = _candidates(raw, nc, conf_thres, classes, multi_label and nc > 1, max_nms)
        group = image if agnostic else image * nc + rows[:, 5].long()
        if self.kind == "balanced":
            survivors = balanced_nms(rows[:, :4], rows[:, 4], group, iou_thres)
        else:
            survivors = _soft(image, rows, group, conf_thres, len(raw))
        self.dropped += survivors.dropped
        self.over_limit += survivors.over_limit
        image, rows = image[survivors.indices], rows[survivors.indices]
        rows = torch.cat((rows[:, :4], survivors.scores.unsqueeze(1), rows[:, 5:]), 1)
        # By score as upstream has them; the cut takes the lowest.
        order = rows[:, 4].argsort(descending=True, stable=True)
        image, rows = image[order], rows[order]
        return [rows[image == number][:max_det] for number in range(len(raw))]


def _candidates(
    raw: Tensor, nc: int, conf_thres: float, classes: Sequence[int] | None, multi_label: bool, max_nms: int
) -> tuple[Tensor, Tensor]:
    """Return the image of each candidate, Tensor[N], and its row in the format of detections, by image."""
    scores = raw[:, 4 : 4 + nc].transpose(1, 2)
    if multi_label:
        image, anchor, label = (scores > conf_thres).nonzero(as_tuple=True)
    else:
        best, labels = scores.max(2)
        image, anchor = (best > conf_thres).nonzero(as_tuple=True)
        label = labels[image, anchor]
    if classes is not None:
        wanted = torch.isin(label, torch.tensor(list(classes), device=label.device))
        image, anchor, label = image[wanted], anchor[wanted], label[wanted]
    counts = torch.bincount(image, minlength=len(raw))
    if int(counts.max()) > max_nms:
        order = scores[image, anchor, label].argsort(descending=True, stable=True)
        order = order[image[order].argsort(stable=True)]
        place = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[image[order]]
        order = order[place < max_nms]
        image, anchor, label = image[order], anchor[order], label[order]
    found = raw.transpose(1, 2)[image, anchor]
    conf = found.gather(1, 4 + label.unsqueeze(1))
    rows = torch.cat((xywh2xyxy(found[:, :4]), conf, label.unsqueeze(1).float(), found[:, 4 + nc :]), 1)
    return image, rows.float()


def _soft(image: Tensor, rows: Tensor, group: Tensor, conf_thres: float, images: int) -> Survivors:
    """Return the survivors of soft-NMS, which takes one image at a time."""
    parts = []
    for number in range(images):
        own = (image == number).nonzero().squeeze(1)
        found = soft_nms(rows[own, :4], rows[own, 4], group[own], score_threshold=conf_thres)
        parts.append((own[found.indices], found))
    return Survivors(
        torch.cat([indices for indices, _ in parts]),
        torch.cat([found.scores for _, found in parts]),
        sum(found.dropped for _, found in parts),
        sum(found.over_limit for _, found in parts),
    )
