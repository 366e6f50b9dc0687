"""Say in text what each preset computes, term by term, with the equations' numbers in the papers.

Written from the resolved settings, so that it cannot fall behind them.
"""

from __future__ import annotations

from reg_yolo.config.pixel_terms import pixel_term_faults
from reg_yolo.config.presets import DEFAULT_PRESET, PRESETS
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.reg_sections import BoxSettings, MaskSpatialSettings, ProximalSettings, SpatialSettings
from reg_yolo.config.semantic import PixelSpatialSettings

_SYMBOLS = """\
z[i,c] is the logit of anchor point i and class c, p = sigmoid(z), y in [0,1] the soft target from the task-aligned
assigner, S = max(sum of y, 1). Positive and negative are entries with y > 0 and y = 0. BCE is binary cross-entropy.

REG   Panboonyuen, Refined Generalized Focal Loss, arXiv 2409.09877; REG-blog is the author's post of 2024-09-07
GFL   Li et al., Generalized Focal Loss, arXiv 2006.04388
EIOU  Zhang et al., Focal and Efficient IOU Loss, arXiv 2101.08158
EFL   Li et al., Equalized Focal Loss for Dense Long-Tailed Object Detection, arXiv 2201.02593
Seesaw  Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, arXiv 2008.10032
CLE   Zhang et al., Classification-Localization Equilibrated Object Detection
"""

BOX_LOSSES: dict[str, str] = {
    "ciou": "CIoU and the distribution focal loss, as stock YOLOv8 (EIOU eq. 4-5; GFL)",
    "iou": "1 - IoU (EIOU eq. 2)",
    "giou": "GIoU (EIOU eq. 3)",
    "diou": "DIoU: 1 - IoU + rho^2(centres)/diagonal^2 of the enclosing box (EIOU eq. 4 without v)",
    "eiou": "EIoU: DIoU + (w - w_gt)^2/w_c^2 + (h - h_gt)^2/h_c^2 (EIOU eq. 7)",
    "focal_eiou": "IoU^{gamma:g} EIoU over the sum of weights x min(sum of y, 1){gradient} (EIOU eq. 10-11)",
    "focal_eiou_v1": "FocalL1(EIoU), beta {beta:g} (EIOU §4.2, eq. 8-9)",
    "focal_eiou_star": "-(1 - IoU)^{gamma:g} log(IoU/EIoU){bounds} (EIOU §5.4.4)",
    "smooth_l1": "SmoothL1 on the four distances in strides, beta {beta:g}, mean of 4; DFL kept (REG-blog)",
    "focal_l1": "FocalL1 on the four distances in strides, beta {beta:g}, mean of 4; DFL kept (EIOU eq. 8-9)",
    "balanced_l1": "BalancedL1 on the four distances in strides, alpha {small:g}, gamma {large:g}, beta {beta:g}, mean "
    "of 4; DFL kept (EIOU §5.4.3)",
}


PAPER_GAIN = 2.5
"""What EIOU's detectors multiply its IoU losses by, at a class gain of 1."""
_ON_DISTANCES = ("smooth_l1", "focal_l1", "balanced_l1")

_BESIDE_THE_LOSS = (
    (
        "train.optimizer=RiemannianAdamW",
        "each filter before a batch norm stays on the sphere of its initial norm: AdamW's move, projected on the "
        "tangent space and renormalised; momentum projected; no weight decay there. RiemannianSGD: the same of SGD's "
        "(REG §2.6.1)",
    ),
    (
        "reg.proximal.enabled=true",
        "after each step of the optimizer, {steps} gradient steps on norm^2 / (2 x {eta:g} x lr) + G over the last "
        "class convolutions, each {inner_lr:g} of the way; G = sum of p over entries farther than delta from every "
        "object of their class / S (REG §2.6.3); reg.proximal.steps, .eta, .inner_lr",
    ),
    ("model=yolov8n-leaky.yaml", "YOLOv8 (n to x) with LeakyReLU(0.1) instead of SiLU (REG-blog)"),
)


def describe_losses() -> str:
    """Return the text of `reg-yolo config --losses`: every preset with its terms, equations and where they stand."""
    parts = [_SYMBOLS]
    for name, terms in preset_terms().items():
        title = f"{name}   (the default)" if name == DEFAULT_PRESET else name
        lines = [f"  {label:<9} {text}" for label, text in terms.items()]
        parts.append("\n".join([title, *lines]) + "\n")
    parts += [_describe_box_losses(), _describe_beside_the_loss()]
    parts.append("Every value can be overridden: reg.preset=gfl reg.focal.gamma=1.5 reg.box.loss=eiou\n")
    return "\n".join(parts)


def preset_terms() -> dict[str, dict[str, str]]:
    """Return the terms of every preset by label: what it computes, with equations and where they stand."""
    return {name: dict(loss_terms(RegSettings.from_mapping(name))) for name in PRESETS}


def _describe_box_losses() -> str:
    """Return each box loss at its own defaults, the keys that change it, and the papers' gain."""
    keys = {
        "focal_eiou": "gamma, weight_gradient",
        "focal_eiou_v1": "beta",
        "focal_eiou_star": "gamma, form: clamped or printed",
        "smooth_l1": "beta",
        "focal_l1": "beta",
        "balanced_l1": "beta, small_gain, large_slope",
    }
    lines = ["Box losses: reg.box.loss=NAME, with the keys of reg.box in brackets"]
    for name in BOX_LOSSES:
        own = f" [{keys[name]}]" if name in keys else ""
        lines.append(f"  {name:<15} {_box(BoxSettings.model_validate({'loss': name}))}{own}")
    lines.append(
        f"  {'gain':<15} train.box (7.5, made for ciou), or reg.box.gain. EIOU's detectors have {PAPER_GAIN:g} for IoU "
        f"losses at a class gain of 1; theirs for {', '.join(_ON_DISTANCES)} are for offsets over anchors, not strides"
    )
    return "\n".join(lines) + "\n"


def _describe_beside_the_loss() -> str:
    proximal = ProximalSettings()
    values = {"steps": proximal.steps, "eta": proximal.eta, "inner_lr": proximal.inner_lr}
    lines = [f"  {word:<31} {text.format(**values)}" for word, text in _BESIDE_THE_LOSS]
    return "\n".join(["With any loss", *lines]) + "\n"


def loss_terms(settings: RegSettings) -> list[tuple[str, str]]:
    """Return each active term of a loss as (what it is, what it computes and where that stands)."""
    terms = [("class", _class_loss(settings))]
    for label, text in (
        ("alpha", _alpha(settings)),
        ("M", _mitigation(settings)),
        ("g", _spatial(settings)),
        ("p-hat", _uncertainty(settings)),
        ("lambda", _dynamic_coefficient(settings)),
        ("g (mask)", _mask_spatial(settings)),
        ("assign", _assign(settings)),
        ("pixels", _pixels(settings)),
        ("g (pix.)", _pixel_spatial(settings)),
    ):
        if text:
            terms.append((label, text))
    terms.append(("box", _box(settings.box)))
    if not settings.is_neutral:
        terms.append(("scale", _scale(settings)))
    if settings.proximal.enabled:
        terms.append(("prox", _proximal(settings)))
    return terms


def _box(box: BoxSettings) -> str:
    text = BOX_LOSSES[box.loss].format(
        gamma=box.gamma,
        beta=box.beta_or_default,
        gradient="" if box.weight_gradient else ", weight without gradient",
        bounds=", log clamped, weight without gradient" if box.form == "clamped" else ", as printed",
        small=box.small_gain,
        large=box.large_slope,
    )
    return text if box.gain is None else f"{box.gain:g} x {text}"


def _proximal(settings: RegSettings) -> str:
    proximal, spatial = settings.proximal, settings.spatial
    unit = {"center": "half diagonals from its centre", "edge": "strides from its border"}[spatial.distance]
    return (
        f"after each step of the optimizer {proximal.steps} gradient steps on norm^2 / (2 x {proximal.eta:g} x lr) + G,"
        f" each {proximal.inner_lr:g} of the way, on the last class convolutions; G = sum of p more than "
        f"{spatial.delta:g} {unit} of every object of the class, / S (REG §2.6.3)"
    )


def _scale(settings: RegSettings) -> str:
    if settings.scale == "auto":
        return "stock over ours on the first training batch"
    number = settings.class_scale
    origin = f", measured for gamma {settings.focal.gamma:g}" if settings.scale == "by_gamma" and number != 1 else ""
    return f"{number:g}{' (no factor)' if number == 1 else origin}"


def _class_loss(settings: RegSettings) -> str:
    gamma = settings.focal.gamma
    weights = ("" if settings.alpha.is_neutral else "alpha_c ") + ("lambda' " * settings.dynamic_coefficient.enabled)
    context = " M" * bool(settings.alpha.mitigation) + " g" * settings.spatial.enabled
    refined = settings.uncertainty.mode in ("logit_normal", "truncated_normal")
    p, z = ("p-hat", "logit(p-hat)") if refined else ("p", "z")
    if settings.focal.form == "printed":
        text = f"-{weights}(1 - {p})^{gamma:g} log({p}){context} over positives, / their number (REG A.10.2, §2.1)"
    else:
        focus = f"|y - {p}|^{gamma:g} " if gamma else ""
        source = "REG §2.1; GFL's quality focal loss" if gamma else "stock YOLOv8"
        if settings.focal.form == "equalized":
            focus = f"e_c/{gamma:g} |y - {p}|^e_c "
            source = (
                f"EFL eq. 3-4, e_c = {gamma:g} + {settings.focal.s:g} (1 - g_c), g_c = positive over negative gradient "
                "of the class so far, at most 1; where g_c = 1 it is the focal loss"
            )
        balance = settings.focal.balance
        if balance is not None and settings.focal.form == "sigmoid":
            focus = f"({balance:g} y + {1 - balance:g} (1 - y)) (1 - p_t)^{gamma:g} "
            source = "focal loss, Lin et al. 2017 eq. 5; p_t = y p + (1 - y)(1 - p)"
        elif balance is not None:
            focus = f"(y where y > 0, {balance:g} p^{gamma:g} elsewhere) "
            source = "varifocal loss, Zhang et al. 2021 eq. 2"
        text = f"sum of {weights}{focus}BCE({z}, y){context} / S ({source})"
    if settings.uncertainty.mode == "free_energy":
        weight = settings.uncertainty.prior.kl_weight
        return f"F(q) = E_q[{text}] + {weight:g} sum of KL(q, prior) over positives / S (REG §2.6.4)"
    return text


def _alpha(settings: RegSettings) -> str:
    alpha = settings.alpha
    if alpha.is_neutral:
        return ""
    where = "positives" if alpha.on == "positives" else "both signs"
    if alpha.weights is not None:
        return f"given: {', '.join(f'{weight:g}' for weight in alpha.weights)}, on {where}"
    if alpha.scheme == "dual":
        return (
            "learned on the simplex by exponentiated gradient on the mean loss of a class, within "
            f"{alpha.dual.limit:g} x of the balanced weights, on {where} (REG §2.6.2)"
        )
    if alpha.scheme == "inverse_frequency" and alpha.temper == 1:
        return f"N_total/N_c, on {where} (REG A.8 eq. 1)"
    tempered = f"(N_total/(C N_c))^{alpha.temper:g}" if alpha.temper != 1 else "N_total/(C N_c)"
    return f"{tempered} with a mean of 1 over the annotations, on {where} (REG A.10.2)"


def _mitigation(settings: RegSettings) -> str:
    exponent = settings.alpha.mitigation
    if not exponent:
        return ""
    return f"min(1, N_c'/N_c)^{exponent:g} on negatives of class c' at positives of class c (Seesaw eq. 4)"


def _spatial(settings: RegSettings) -> str:
    spatial = settings.spatial
    if not spatial.enabled:
        return ""
    units = {"center": "centre distance over half the diagonal", "edge": "border distance over the stride"}
    entries = "negatives, positives keep 1" if spatial.scope == "negatives" else "all entries"
    text = _sigmoid(spatial)
    if spatial.keep_hard:
        text = f"1 - (1 - {text}) (1 - p)^{spatial.keep_hard:g}"
    return f"{text} on {entries}; d = {units[spatial.distance]} (REG §2.3)"


def _mask_spatial(settings: RegSettings) -> str:
    spatial = settings.mask.spatial
    if not (spatial.enabled and settings.mask.enabled):
        return ""
    where = "pixels outside the object" if spatial.scope == "negatives" else "all pixels"
    return f"{_sigmoid(spatial)} on {where}; d = distance to the object's mask in mask pixels (REG §2.2, §2.3)"


def _pixels(settings: RegSettings) -> str:
    """Return the loss of task semantic, where it differs from the stock one."""
    if settings.is_stock_on_pixels or pixel_term_faults(settings):
        return ""
    alpha = "" if settings.alpha.is_neutral else "alpha_c "
    focus = f"(1 - p_c)^{settings.focal.gamma:g} " if settings.focal.gamma else ""
    context = " g" * settings.semantic.spatial.enabled
    dice = " + Dice" * settings.semantic.dice
    auxiliary = f" + {settings.semantic.auxiliary:g} x the same at P4" if settings.semantic.auxiliary else ""
    return (
        f"task semantic: mean of -{alpha}{focus}log(p_c){context}{dice}{auxiliary}, p the softmax with background, "
        "c the labelled class, alpha of pixel counts (REG §2.2; REG-blog 1-2)"
    )


def _pixel_spatial(settings: RegSettings) -> str:
    spatial = settings.semantic.spatial
    if not spatial.enabled or pixel_term_faults(settings):
        return ""
    where = "background pixels, objects keep 1" if spatial.scope == "negatives" else "all pixels"
    return (
        f"{_sigmoid(spatial)} on {where}; d = distance to the nearest object of the most probable object class in mask "
        "pixels (REG §2.2, §2.3)"
    )


def _sigmoid(spatial: SpatialSettings | MaskSpatialSettings | PixelSpatialSettings) -> str:
    sign, delta = ("-", spatial.delta) if spatial.delta >= 0 else ("+", -spatial.delta)
    text = f"sigmoid({spatial.beta:g} (d {sign} {delta:g}))"
    return f"max({text}, {spatial.floor:g})" if spatial.floor else text


def _uncertainty(settings: RegSettings) -> str:
    chosen = settings.uncertainty
    if chosen.mode == "none":
        return ""
    if chosen.mode == "printed":
        return "p itself: the mean of N(p, sigma^2) (REG §2.5)"
    if chosen.deviation == "dfl":
        deviation = f"s = {chosen.kappa:g} x the mean relative spread of the anchor's four box distributions"
    elif chosen.deviation == "learned":
        deviation = "s learned for each class"
    else:
        deviation = f"s = {chosen.deviation:g}"
    if chosen.mode == "free_energy":
        prior = chosen.prior
        mean = "the head's first bias" if prior.mean == "bias" else f"{prior.mean:g}"
        return f"q = N(z, s^2), prior N({mean}, {prior.deviation:g}^2), {deviation} (REG §2.6.4)"
    mean = "sigmoid(z / sqrt(1 + pi s^2/8))" if chosen.mode == "logit_normal" else "mean of N(p, s^2) cut to [0,1]"
    return f"{mean}, {deviation} (REG §2.5)"


def _dynamic_coefficient(settings: RegSettings) -> str:
    if not settings.dynamic_coefficient.enabled:
        return ""
    return (
        "1/(sigmoid(centre distance^2) + tanh|w/h - w_gt/h_gt|), rescaled to leave the sum over positives as it is, "
        f"distance in {settings.dynamic_coefficient.unit} units, no gradient (CLE eq. 2-4)"
    )


def _assign(settings: RegSettings) -> str:
    assign = settings.assign
    if assign.is_stock:
        return ""
    then = (
        "left out of the class loss"
        if assign.recall_target == "ignore"
        else "positive, all targets of its object at least their IoU"
    )
    band = "; IoU in (0.4, 0.5) left out" if assign.ignore_band else ""
    return (
        f"task-aligned, and a point inside an object that misses its top-k is {then} where IoU >= 0.5 and "
        f"{assign.alpha:g} p + {1 - assign.alpha:g} intersection/smaller area >= {assign.threshold:g}{band} "
        "(CLE eq. 5-7)"
    )
