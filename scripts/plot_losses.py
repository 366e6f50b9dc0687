"""Draw the figures of docs/losses_explained.md: each loss over what it depends on, and the gradient that it gives.

Every curve is computed by the functions of `reg_yolo.losses` that training calls; gradients come from autograd.

    python scripts/plot_losses.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reg_yolo import losses

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "losses"
POINTS = 401
STYLES = ("-", "--", "-.", ":", "-")
# REG A.8: pavilion, pedestrian bridge, information sign, single-arm pole, bus stop, warning sign, concrete guardrail.
COUNTS = {
    "pavilion": 200,
    "bridge": 100,
    "inform.": 700,
    "pole": 1500,
    "bus stop": 50,
    "warning": 800,
    "guardrail": 300,
}

Curves = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: curves of (x, y) by name."""

    title: str
    x: str
    y: str
    curves: Curves
    bars: bool = False
    limits: tuple[float, float] | None = None


def value_and_gradient(
    title: str, x: str, by: str, points: Tensor, functions: dict[str, Callable[[Tensor], Tensor]],
    shown: Tensor | None = None, limits: Sequence[tuple[float, float] | None] = (None, None),
) -> list[Panel]:  # fmt: skip
    """Return two panels: functions of `points`, and their derivatives by them.

    Args:
        title: What the functions have in common.
        x: Label of the horizontal axis.
        by: Name of `points` in the derivative.
        points: Tensor[N] at which the functions are computed.
        functions: By name, from Tensor[N] to Tensor[N], each entry from its own.
        shown: Tensor[N] on the horizontal axis; `points` where it is None.
        limits: Of the vertical axes.
    """
    values, slopes = {}, {}
    axis = points if shown is None else shown
    for name, function in functions.items():
        leaf = points.clone().requires_grad_()
        value = function(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
        values[name] = (axis, value.detach())
        slopes[name] = (axis, torch.zeros_like(points) if slope is None else slope)
    return [
        Panel(title, x, "value", values, limits=limits[0]),
        Panel(f"{title}: gradient", x, f"derivative by {by}", slopes, limits=limits[1]),
    ]


def over_probability(
    title: str,
    functions: dict[str, Callable[[Tensor], Tensor]],
    limits: Sequence[tuple[float, float] | None] = (None, None),
) -> list[Panel]:
    """Return the panels of functions of the logit, over the probability."""
    z = torch.linspace(-5, 5, POINTS, dtype=torch.float64)
    return value_and_gradient(title, "probability p", "the logit", z, functions, z.sigmoid(), limits)


def on_target(function: Callable[..., Tensor], y: float, **settings: object) -> Callable[[Tensor], Tensor]:
    """Return a loss of one class as a function of the logit alone."""
    return lambda z: function(z[:, None], torch.full_like(z[:, None], y), **settings).flatten()


def quality_focal() -> list[Panel]:
    """Exponents of the quality focal loss at a soft target."""
    gammas = (0.0, 0.5, 1.0, 1.5, 2.0)
    return over_probability(
        "Target 0.8", {f"gamma {g:g}": on_target(losses.quality_focal_loss, 0.8, gamma=g) for g in gammas}
    )


def focal_family() -> list[Panel]:
    """Focal, quality focal and varifocal loss on a negative, the background."""
    return over_probability("Target 0 (background)", {
        "cross-entropy": on_target(losses.quality_focal_loss, 0.0, gamma=0.0),
        "quality focal, gamma 2": on_target(losses.quality_focal_loss, 0.0, gamma=2.0),
        "focal, alpha 0.25": on_target(losses.sigmoid_focal_loss, 0.0),
        "varifocal": on_target(losses.varifocal_loss, 0.0),
    }, ((0, 3), (0, 1)))  # fmt: skip


def class_weights() -> list[Panel]:
    """Weights of the paper's classes, and the mitigation of negatives."""
    counts = torch.tensor(list(COUNTS.values()), dtype=torch.float64)
    place = torch.arange(len(COUNTS), dtype=torch.float64)
    bars = {f"temper {t:g}": (place, losses.balanced_weights(counts, temper=t)) for t in (0.25, 0.5, 1.0)}
    ratio = torch.logspace(-2, 0, 60, dtype=torch.float64)
    factors = {}
    for q in (0.25, 0.5, 0.8):
        weights = [losses.mitigation_weights([100.0, 100.0 * float(r)], q)[0, 1] for r in ratio]
        factors[f"q = {q:g}"] = (ratio, torch.stack(weights))
    return [
        Panel("Balanced weights of the paper's classes", "", "alpha", bars, bars=True),
        Panel("Mitigation: a negative of a rarer class", "objects, rarer over this class", "M", factors),
    ]


def spatial() -> list[Panel]:
    """The spatial-contextual weight, and what it leaves of a negative's gradient."""
    d = torch.linspace(0, 4, POINTS, dtype=torch.float64)
    shapes = {
        "beta 3, floor 0.1 (preset reg_v1)": (3.0, 0.1), "beta 3, no floor": (3.0, 0.0),
        "beta -3, floor 0.1": (-3.0, 0.1),
    }  # fmt: skip
    weights = {name: losses.spatial_context_weight(d, beta, 1.0, floor) for name, (beta, floor) in shapes.items()}
    slopes: Curves = {}
    for name, g in weights.items():
        z = torch.zeros(POINTS, 1, dtype=torch.float64, requires_grad=True)
        loss = losses.refined_generalized_focal_loss(z, torch.zeros_like(z), gamma=0.0, spatial_weight=g[:, None])
        slopes[name] = (d, torch.autograd.grad(loss.sum(), z)[0].flatten())
    x = "distance d from the nearest object of the class"
    return [
        Panel("Weight g", x, "g", {name: (d, g) for name, g in weights.items()}),
        Panel("Gradient of a negative with p = 0.5", x, "derivative by the logit", slopes),
    ]


def refined() -> list[Panel]:
    """The refined loss of a rare class, near and far from its objects, with the stock loss."""

    def loss(y: float, g: float, alpha: float) -> Callable[[Tensor], Tensor]:
        def at(z: Tensor) -> Tensor:
            weight = torch.full_like(z[:, None], g)
            return losses.refined_generalized_focal_loss(
                z[:, None], torch.full_like(z[:, None], y), class_weights=torch.tensor([alpha]), spatial_weight=weight
            ).flatten()

        return at

    rare, common = (float(w) for w in losses.balanced_weights([50.0, 1500.0], temper=0.5))
    return over_probability("reg and stock", {
        "stock, target 0.8": on_target(losses.quality_focal_loss, 0.8, gamma=0.0),
        f"reg, target 0.8, rare class (alpha {rare:.1f})": loss(0.8, 1.0, rare),
        f"reg, target 0.8, common class (alpha {common:.1f})": loss(0.8, 1.0, common),
        "reg, target 0, far (g = 1)": loss(0.0, 1.0, 1.0),
        "reg, target 0, near (g = 0.1)": loss(0.0, 0.1, 1.0),
    }, ((0, 6), (-3, 3)))  # fmt: skip


def equalized() -> list[Panel]:
    """Equalized focal loss at three balances of gradients."""

    def loss(ratio: float) -> Callable[[Tensor], Tensor]:
        balance = torch.tensor([ratio], dtype=torch.float64)
        return on_target(losses.equalized_focal_loss, 0.0, gradient_ratio=balance)

    return over_probability("Target 0", {f"g_c = {ratio:g}": loss(ratio) for ratio in (1.0, 0.5, 0.1)})


def uncertainty() -> list[Panel]:
    """Expected probability in place of p: the cross-entropy of a negative."""

    def loss(s: float, mode: str) -> Callable[[Tensor], Tensor]:
        return lambda z: losses.quality_focal_loss(
            losses.expected_logits(z, torch.full_like(z, s), mode), torch.zeros_like(z), gamma=0.0
        )

    return over_probability("Target 0, cross-entropy of p-hat", {
        "p itself (printed)": loss(1.0, "printed"),
        "logit_normal, s = 1": loss(1.0, "logit_normal"),
        "logit_normal, s = 3": loss(3.0, "logit_normal"),
        "truncated_normal, s = 0.1": loss(0.1, "truncated_normal"),
    })  # fmt: skip


def free_energy() -> list[Panel]:
    """The expected loss and the free energy at three deviations."""

    def energy(s: float, weight: float) -> Callable[[Tensor], Tensor]:
        return lambda z: losses.variational_free_energy(
            z, torch.full_like(z, s), torch.full_like(z, 0.8), prior_deviation=3.0, kl_weight=weight
        )

    return over_probability("F(q), target 0.8, prior N(0, 3^2)", {
        "s = 0.1, no divergence": energy(0.1, 0.0), "s = 2, no divergence": energy(2.0, 0.0),
        "s = 2, weight 0.1": energy(2.0, 0.1), "s = 2, weight 1 (printed)": energy(2.0, 1.0),
    })  # fmt: skip


def pixels() -> list[Panel]:
    """Softmax focal loss of a pixel of two classes, over the probability of the right one."""

    def loss(gamma: float) -> Callable[[Tensor], Tensor]:
        def at(z: Tensor) -> Tensor:
            logits = torch.stack([z, torch.zeros_like(z)])[None, :, None]
            labels = torch.zeros(1, 1, len(z), dtype=torch.long)
            return losses.softmax_focal_loss(logits, labels, gamma=gamma).flatten()

        return at

    return over_probability("A pixel's right class", {f"gamma {g:g}": loss(g) for g in (0.0, 1.5, 2.0)})


def shifted(offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return boxes of side 1 moved sideways, and their targets at 0."""
    zero, one = torch.zeros_like(offset), torch.ones_like(offset)
    return torch.stack([offset, zero, offset + 1, one], -1), torch.stack([zero, zero, one, one], -1)


def widened(width: Tensor) -> tuple[Tensor, Tensor]:
    """Return boxes with the target's centre and height and another width, and their targets of side 1."""
    zero, one = torch.zeros_like(width), torch.ones_like(width)
    return torch.stack([0.5 - width / 2, zero, 0.5 + width / 2, one], -1), torch.stack([zero, zero, one, one], -1)


IOU_FAMILY = {
    "IoU": losses.iou_loss, "GIoU": losses.giou_loss, "DIoU": losses.diou_loss, "CIoU": losses.ciou_loss,
    "EIoU": losses.eiou_loss,
}  # fmt: skip


def box_losses() -> list[Panel]:
    """IoU losses of a box that stands aside, and of one that is too narrow or too wide."""
    aside = torch.linspace(0.01, 2, POINTS, dtype=torch.float64)
    width = torch.linspace(0.2, 3, POINTS, dtype=torch.float64)
    moved = {name: lambda x, f=f: f(*shifted(x)) for name, f in IOU_FAMILY.items()}
    sized = {name: lambda x, f=f: f(*widened(x)) for name, f in IOU_FAMILY.items()}
    return [
        *value_and_gradient("Box set aside", "offset, in sides", "the offset", aside, moved),
        *value_and_gradient("Box of another width", "width, in the target's", "the width", width, sized),
    ]


def focal_eiou() -> list[Panel]:
    """Focal-EIoU and its variants."""
    aside = torch.linspace(0.01, 1.2, POINTS, dtype=torch.float64)
    functions = {
        "EIoU": losses.eiou_loss,
        "Focal-EIoU, gamma 0.5": losses.focal_eiou_loss,
        "Focal-EIoU v1, beta 0.8": losses.focal_eiou_v1_loss,
        "Focal-EIoU*, clamped": losses.focal_eiou_star_loss,
        "Focal-EIoU*, printed": lambda p, t: losses.focal_eiou_star_loss(p, t, form="printed"),
    }
    moved = {name: lambda x, f=f: f(*shifted(x)) for name, f in functions.items()}
    return value_and_gradient(
        "Box set aside", "offset, in sides", "the offset", aside, moved, limits=((-2, 4), (-1, 6))
    )


def coordinates() -> list[Panel]:
    """Losses on the distance of a side."""
    error = torch.linspace(-2, 2, POINTS + 1, dtype=torch.float64)
    functions = {
        "SmoothL1, beta 1": losses.smooth_l1_loss, "FocalL1, beta 0.8": losses.focal_l1_loss,
        "BalancedL1": losses.balanced_l1_loss,
    }  # fmt: skip
    plain = {name: lambda x, f=f: f(x, torch.zeros_like(x)) for name, f in functions.items()}
    return value_and_gradient("Error of a side", "error", "the error", error, plain)


def coefficient() -> list[Panel]:
    """CLE's coefficient of a box set aside, and what it leaves of the gradients of ten positives."""
    aside = torch.linspace(0, 4, POINTS, dtype=torch.float64)
    curves = {}
    for name, stretch in {"same shape": 1.0, "1.5 times as wide": 1.5, "3 times as wide": 3.0}.items():
        half, two = 2 * stretch, torch.full_like(aside, 2.0)
        pred = torch.stack([aside - half, -two, aside + half, two], -1)
        target = torch.tensor([-2.0, -2.0, 2.0, 2.0], dtype=torch.float64).expand_as(pred)
        curves[name] = (aside, losses.dynamic_coefficient(pred, target, "stride", torch.ones_like(aside)))
    z = torch.zeros(POINTS, dtype=torch.float64, requires_grad=True)
    each = losses.quality_focal_loss(z, torch.full_like(z, 0.8), gamma=0.0)
    flat = torch.autograd.grad(losses.quality_focal_loss(z, torch.full_like(z, 0.8), gamma=0.0).sum(), z)[0]
    moved = torch.autograd.grad(losses.equilibrated_loss(each, curves["same shape"][1]).sum(), z)[0]
    return [
        Panel("Coefficient lambda", "distance of the centres, in strides", "lambda", curves),
        Panel(
            "Gradient of equal positives, by where their box lies", "distance of the centres, in strides",
            "derivative by the logit", {"without": (aside, flat), "with lambda'": (aside, moved)},
        ),
    ]  # fmt: skip


FIGURES: dict[str, Callable[[], list[Panel]]] = {
    "quality_focal": quality_focal, "focal_family": focal_family, "class_weights": class_weights, "spatial": spatial,
    "refined": refined, "equalized": equalized, "uncertainty": uncertainty, "free_energy": free_energy,
    "pixels": pixels, "box_losses": box_losses, "focal_eiou": focal_eiou, "coordinates": coordinates,
    "coefficient": coefficient,
}  # fmt: skip


def draw(name: str, path: Path) -> None:
    """Draw one figure into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    panels = FIGURES[name]()
    rows = len(panels) // 2
    figure = Figure(figsize=(9, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(rows, 2, squeeze=False).flat, panels, strict=True):
        for index, (label, (x, y)) in enumerate(panel.curves.items()):
            if panel.bars:
                axes.bar(x.numpy() + 0.27 * (index - 1), y.numpy(), 0.25, label=label)
            else:
                # Curves that are equal stay visible under each other.
                axes.plot(x.numpy(), y.numpy(), STYLES[index], label=label, linewidth=2.2 - 0.25 * index)
        if panel.bars:
            axes.set_xticks(range(len(COUNTS)), list(COUNTS), rotation=30, fontsize=8)
            axes.axhline(1, color="0.6", linewidth=0.8)
        axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
        if panel.limits is not None:
            axes.set_ylim(panel.limits)
        if panel is panels[0] or panel.curves.keys() != panels[0].curves.keys():
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=90)
    with Image.open(path) as full:
        # A palette is enough for lines, and a third of the size.
        small = full.convert("RGB").quantize(64)
    small.save(path, optimize=True)


def main() -> None:
    """Draw every figure."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        draw(name, FOLDER / f"{name}.png")
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
