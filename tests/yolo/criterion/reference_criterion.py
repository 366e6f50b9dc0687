"""The whole criterion in plain Python floats: loops over anchor points and classes, no torch, no arrays.

What the assigner decided comes in as a list; everything after it is computed here from the equations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.losses import reference as equations

# Points and weights of the Gauss-Hermite rule with 8 points for expectations under N(0, 1) (Abramowitz and Stegun,
# table 25.10, scaled by sqrt(2) and 1/sqrt(pi)).
HERMITE_8 = [
    (0.381186990207322 * math.sqrt(2.0), 0.6611470125582413 / math.sqrt(math.pi)),
    (1.157193712446780 * math.sqrt(2.0), 0.2078023258148919 / math.sqrt(math.pi)),
    (1.981656756695843 * math.sqrt(2.0), 0.01707798300741348 / math.sqrt(math.pi)),
    (2.930637420257244 * math.sqrt(2.0), 0.0001996040722113676 / math.sqrt(math.pi)),
]


@dataclass
class Head:
    """box_logits[b][a] holds four lists of bins, class_logits[b][a][c] a logit; points and strides are in pixels."""

    box_logits: list
    class_logits: list
    points: list
    strides: list


@dataclass
class Positive:
    """One anchor point that has an object, its box in pixels."""

    image: int
    anchor: int
    label: int
    score: float
    box: list


def class_weights(alpha: dict[str, Any], counts: list[int]) -> list[float] | None:
    if alpha["weights"] is not None:
        return alpha["weights"]
    if alpha["scheme"] == "inverse_frequency":
        return equations.inverse_frequency_weights(counts, alpha["temper"])
    if alpha["scheme"] == "balanced":
        return equations.balanced_weights(counts, alpha["temper"])
    if alpha["scheme"] == "dual":
        dual = alpha["dual"]
        return equations.DualClassWeights(counts, dual["step"], dual["pull"], dual["momentum"]).weights()
    return None


def deviation_at(uncertainty: dict[str, Any], sides: list, label: int, learned: list[float] | None) -> float | None:
    if uncertainty["mode"] in ("none", "printed"):
        return None
    if uncertainty["deviation"] == "learned":
        return learned[label]
    if uncertainty["deviation"] == "dfl":
        return uncertainty["kappa"] * equations.distribution_spread(sides)
    return uncertainty["deviation"]


def truncated_normal_logit(z: float, s: float) -> float:
    """Logit of the mean of N(sigmoid(z), s^2) truncated to [0, 1]."""
    p = equations.sigmoid(z)
    low, high = -p / s, (1.0 - p) / s

    def cumulative(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2.0))

    density = equations.normal_density(low, 0.0, 1.0) - equations.normal_density(high, 0.0, 1.0)
    mean = p + s * density / (cumulative(high) - cumulative(low))
    return math.log(mean) - math.log1p(-mean)


def expected_loss(z: float, y: float, s: float, gamma: float) -> float:
    """E_q of the quality focal loss by the rule that the criterion uses."""
    return sum(
        weight * equations.quality_focal_loss(z + sign * point * s, y, gamma)
        for point, weight in HERMITE_8
        for sign in (-1.0, 1.0)
    )


def divergence(
    settings: dict[str, Any], head: Head, positives: list[Positive], classes: int, learned: list[float] | None
) -> float:
    """KL(q, prior) of the positives, the prior's mean at the head's first bias or at the number given."""
    uncertainty = settings["uncertainty"]
    prior = uncertainty["prior"]
    total = 0.0
    for p in positives:
        s = deviation_at(uncertainty, head.box_logits[p.image][p.anchor], p.label, learned)
        mean = prior["mean"]
        if mean == "bias":
            mean = math.log(5.0 / classes / (640.0 / head.strides[p.anchor]) ** 2)
        ratio, shift = (
            s / prior["deviation"],
            (head.class_logits[p.image][p.anchor][p.label] - mean) / prior["deviation"],
        )
        total += prior["kl_weight"] * (0.5 * (ratio**2 + shift**2 - 1.0) - math.log(ratio))
    return total


def entry_loss(settings: dict[str, Any], z: float, y: float, alpha: float | None, g: float | None, s: float | None):
    """Loss of one logit."""
    on = "all" if settings["alpha"]["on"] == "both" else "positives"
    weight = equations.entry_weight(y, alpha, on, g, settings["spatial"]["scope"])
    gamma, mode = settings["focal"]["gamma"], settings["uncertainty"]["mode"]
    if s is not None and mode == "free_energy":
        return weight * expected_loss(z, y, s, gamma)
    if s is not None:
        z = truncated_normal_logit(z, s) if mode == "truncated_normal" else z / math.sqrt(1 + math.pi * s * s / 8)
    if settings["focal"]["form"] == "equalized":
        # No gradient has been seen yet: every class counts as balanced.
        return equations.equalized_focal_loss(z, y, 1.0, gamma, settings["focal"]["s"], weight)
    if settings["focal"]["form"] == "sigmoid":
        return weight * equations.sigmoid_focal_loss(z, y, settings["focal"]["alpha"] or 0.25, gamma)
    if settings["focal"]["form"] == "varifocal":
        return weight * equations.varifocal_loss(z, y, settings["focal"]["alpha"] or 0.75, gamma)
    if settings["focal"]["form"] == "printed":
        return weight * (1.0 - equations.sigmoid(z)) ** gamma * equations.softplus(-z) if y > 0 else 0.0
    return weight * equations.quality_focal_loss(z, y, gamma)


def context_weight(spatial: dict[str, Any], point: list, stride: float, truth: list, label: int) -> float | None:
    if not spatial["enabled"]:
        return None
    labels, boxes = [c for c, _ in truth], [box for _, box in truth]
    valid = [True] * len(truth)
    if spatial["distance"] == "center":
        distance = equations.center_distance(point, boxes, labels, valid, label)
    else:
        distance = equations.edge_distance(point, boxes, labels, valid, label, stride)
    return equations.spatial_context_weight(distance, spatial["beta"], spatial["delta"], spatial["floor"])


def negative_weight(settings: dict[str, Any], z: float, g: float | None, mitigation: float) -> float | None:
    """g with hard entries kept, times Seesaw's mitigation; None where everything is 1."""
    if g is not None:
        g = equations.keep_hard_entries(g, z, settings["spatial"]["keep_hard"])
    return g if mitigation == 1.0 else mitigation * (1.0 if g is None else g)


def class_entries(
    settings: dict[str, Any],
    head: Head,
    truth: list,
    positives: list[Positive],
    counts: list[int],
    learned: list[float] | None = None,
) -> list:
    """Loss of every entry, [b][a][c], before the normaliser."""
    scores = {(p.image, p.anchor, p.label): p.score for p in positives}
    alpha = class_weights(settings["alpha"], counts)
    owner = {(p.image, p.anchor): p.label for p in positives}
    mitigation = equations.mitigation_weights(counts, settings["alpha"]["mitigation"])
    return [
        [
            [
                entry_loss(
                    settings,
                    z,
                    scores.get((image, anchor, label), 0.0),
                    None if alpha is None else alpha[label],
                    negative_weight(
                        settings,
                        z,
                        context_weight(
                            settings["spatial"], head.points[anchor], head.strides[anchor], truth[image], label
                        ),
                        mitigation[owner.get((image, anchor), label)][label],
                    ),
                    deviation_at(settings["uncertainty"], head.box_logits[image][anchor], label, learned),
                )
                for label, z in enumerate(logits)
            ]
            for anchor, logits in enumerate(rows)
        ]
        for image, rows in enumerate(head.class_logits)
    ]


def predicted_box(head: Head, image: int, anchor: int) -> list[float]:
    """The decoded box in strides."""
    x, y = (coordinate / head.strides[anchor] for coordinate in head.points[anchor])
    left, top, right, bottom = (equations.distribution_moments(side)[0] for side in head.box_logits[image][anchor])
    return [x - left, y - top, x + right, y + bottom]


def box_loss(box: dict[str, Any], predicted: list, target: list, point: list) -> float:
    """Loss of one pair of boxes in strides; of focal_eiou the part that is averaged by its own weights."""
    name, gamma = box["loss"], box["gamma"]
    if name in ("focal_eiou", "eiou"):
        return equations.eiou_loss(predicted, target)
    if name == "focal_eiou_v1":
        return equations.focal_eiou_v1_loss(predicted, target, box["beta"] or 0.8)
    if name == "focal_eiou_star":
        return equations.focal_eiou_star_loss(predicted, target, gamma, box["form"])
    if name.endswith("_l1"):
        x, y = point
        loss = {
            "smooth_l1": lambda p, t: equations.smooth_l1_loss(p, t, box["beta"] or 1.0),
            "focal_l1": lambda p, t: equations.focal_l1_loss(p, t, box["beta"] or 0.8),
            "balanced_l1": lambda p, t: equations.balanced_l1_loss(
                p, t, box["small_gain"], box["large_slope"], box["beta"] or 1.0
            ),
        }[name]
        sides = [[x - b[0], y - b[1], b[2] - x, b[3] - y] for b in (predicted, target)]
        return sum(loss(p, t) for p, t in zip(*sides, strict=True)) / 4.0
    return getattr(equations, f"{name}_loss")(predicted, target)


def distribution_focal_loss(sides: list, target: list, point: list) -> float:
    """GFL eq. 6 on the four sides: the two bins beside the target, by their nearness."""
    x, y = point
    total = 0.0
    distances = [x - target[0], y - target[1], target[2] - x, target[3] - y]
    for logits, distance in zip(sides, distances, strict=True):
        distance = min(max(distance, 0.0), len(logits) - 1 - 0.01)
        log_sum = math.log(sum(math.exp(z) for z in logits))
        left = int(distance)
        total += (log_sum - logits[left]) * (left + 1 - distance) + (log_sum - logits[left + 1]) * (distance - left)
    return total / 4.0


def criterion(
    settings: dict[str, Any],
    gains: dict[str, float],
    head: Head,
    truth: list,
    positives: list[Positive],
    counts: list[int],
    *,
    learned: list[float] | None = None,
    scale: float = 1.0,
) -> dict[str, float]:
    """The three items of the loss; truth[b] is a list of (class, box in pixels)."""
    normalizer = max(sum(p.score for p in positives), 1.0)
    class_normalizer = max(len(positives), 1) if settings["focal"]["form"] == "printed" else normalizer
    entries = class_entries(settings, head, truth, positives, counts, learned)
    class_total = sum(value for image in entries for row in image for value in row)
    box_total = weight_total = distribution_total = 0.0
    for p in positives:
        stride = head.strides[p.anchor]
        point = [coordinate / stride for coordinate in head.points[p.anchor]]
        target, predicted = [v / stride for v in p.box], predicted_box(head, p.image, p.anchor)
        weight = p.score
        if settings["box"]["loss"] == "focal_eiou":
            weight *= equations.intersection_over_union(predicted, target)[0] ** settings["box"]["gamma"]
        box_total += weight * box_loss(settings["box"], predicted, target, point)
        weight_total += weight
        sides = head.box_logits[p.image][p.anchor]
        distribution_total += p.score * distribution_focal_loss(sides, target, point)
    if settings["box"]["loss"] == "focal_eiou":
        # A mean by its own weights, never weighing more than the scores that it is of.
        scores = sum(p.score for p in positives)
        box_total, normalizer_of_boxes = box_total * scores / max(scores, 1.0), weight_total
    else:
        normalizer_of_boxes = normalizer
    extra = 0.0
    if settings["uncertainty"]["mode"] == "free_energy":
        extra = divergence(settings, head, positives, len(counts), learned) / class_normalizer
    return {
        "box_loss": (settings["box"]["gain"] or gains["box"]) * box_total / normalizer_of_boxes,
        "cls_loss": gains["cls"] * (scale * class_total / class_normalizer + extra),
        "dfl_loss": gains["dfl"] * distribution_total / normalizer,
    }


def normalized_coefficients(
    settings: dict[str, Any],
    head: Head,
    truth: list,
    positives: list[Positive],
    counts: list[int],
) -> list[float]:
    """CLE eq. 2-4: lambda' of every positive."""
    entries = class_entries(settings, head, truth, positives, counts)
    losses, coefficients = [], []
    for p in positives:
        stride = head.strides[p.anchor]
        predicted = [v * stride for v in predicted_box(head, p.image, p.anchor)]
        unit = settings["dynamic_coefficient"]["unit"]
        losses.append(sum(entries[p.image][p.anchor]))
        coefficients.append(equations.dynamic_coefficient(predicted, p.box, unit, stride, 1e-6))
    ratio = sum(losses) / sum(c * loss for c, loss in zip(coefficients, losses, strict=True))
    return [c * ratio for c in coefficients]
