"""The papers' equations in plain Python floats: no torch, no arrays, one function an equation.

Each function has the name of the public one that it checks and takes scalars (boxes as four numbers xyxy).
"""

from __future__ import annotations

import math


def sigmoid(z):
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def binary_cross_entropy(z, y):
    """-y log p - (1 - y) log(1 - p), from the logit."""
    return y * softplus(-z) + (1.0 - y) * softplus(z)


def integrate(function, low, high, steps=4000):
    """Trapezoid rule."""
    width = (high - low) / steps
    return width * (0.5 * (function(low) + function(high)) + sum(function(low + k * width) for k in range(1, steps)))


def normal_density(x, mean, deviation):
    return math.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * math.sqrt(2.0 * math.pi))


# Reduction


def reduce_loss(values, reduction, normalizer=None):
    if reduction == "sum":
        return sum(values)
    normalizer = len(values) if normalizer is None else normalizer
    return sum(values) / normalizer if normalizer > 0 else 0.0


# Class weights (REG A.8, A.10.2, A.10.4)


def fill_absent(weights):
    present = [w for w in weights if w is not None]
    return [sum(present) / len(present) if w is None else w for w in weights]


def inverse_frequency_weights(counts, temper=1.0):
    if temper < 1.0:
        return balanced_weights(counts, temper)
    total = sum(counts)
    return fill_absent([total / n if n else None for n in counts])


def balanced_weights(counts, temper=1.0):
    total = sum(counts)
    raw = [(total / n) ** temper if n else None for n in counts]
    scale = total / sum(n * a for n, a in zip(counts, raw, strict=True) if a is not None)
    return fill_absent([None if a is None else a * scale for a in raw])


def imbalance_ratio(counts):
    present = [n for n in counts if n]
    return max(present) / min(present)


class DualClassWeights:
    """REG §2.6.2: exponentiated gradient on the simplex, pulled to the balanced weights."""

    def __init__(self, counts, step_size, pull, momentum, limit=4.0):
        self.counts, self.step_size, self.pull, self.momentum = counts, step_size, pull, momentum
        balanced = balanced_weights(counts)
        self.balanced, self.limit = balanced, limit
        self.prior = [w / sum(balanced) for w in balanced]
        self.alpha = list(self.prior)
        self.mean_loss = [None] * len(counts)

    def ascend(self, class_losses, class_scores):
        gains = []
        for c, (loss, score) in enumerate(zip(class_losses, class_scores, strict=True)):
            if score > 0:
                mean = loss / score
                gains.append(mean)
                old = self.mean_loss[c]
                self.mean_loss[c] = mean if old is None else self.momentum * old + (1.0 - self.momentum) * mean
            else:
                gains.append(self.mean_loss[c])
        known = [g for g in gains if g is not None]
        gains = [sum(known) / len(known) if g is None else g for g in gains]
        raw = [
            a ** (1.0 - self.pull) * p**self.pull * math.exp(self.step_size * g)
            for a, p, g in zip(self.alpha, self.prior, gains, strict=True)
        ]
        limited = self.limited(raw)
        self.alpha = [a / sum(limited) for a in limited]

    def limited(self, raw):
        """Weights balanced_c clamp(m r_c, 1/limit, limit), m by bisection so that sum N_c w_c = N_total."""
        ratio = [a / p for a, p in zip(raw, self.prior, strict=True)]
        low, high = 1e-150, 1e150
        for _ in range(200):
            m = math.sqrt(low * high)
            weights = [
                b * min(max(m * r, 1.0 / self.limit), self.limit) for b, r in zip(self.balanced, ratio, strict=True)
            ]
            if sum(n * w for n, w in zip(self.counts, weights, strict=True)) > sum(self.counts):
                high = m
            else:
                low = m
        return weights

    def weights(self):
        scale = sum(self.counts) / sum(n * a for n, a in zip(self.counts, self.alpha, strict=True))
        return [a * scale for a in self.alpha]


# Classification


def sigmoid_focal_loss(z, y, alpha, gamma):
    p = sigmoid(z)
    p_t = y * p + (1.0 - y) * (1.0 - p)
    alpha_t = 1.0 if alpha is None else y * alpha + (1.0 - y) * (1.0 - alpha)
    return alpha_t * (1.0 - p_t) ** gamma * binary_cross_entropy(z, y)


def quality_focal_loss(z, y, gamma):
    """GFL eq. 2."""
    return abs(y - sigmoid(z)) ** gamma * binary_cross_entropy(z, y)


def varifocal_loss(z, y, alpha, gamma):
    if y > 0:
        return y * binary_cross_entropy(z, y)
    return alpha * sigmoid(z) ** gamma * softplus(z)


def softmax_focal_loss(logits, label, class_weights, gamma):
    log_p = logits[label] - max(logits) - math.log(sum(math.exp(z - max(logits)) for z in logits))
    alpha = 1.0 if class_weights is None else class_weights[label]
    return -alpha * (1.0 - math.exp(log_p)) ** gamma * log_p


def equalized_focal_loss(z, y, ratio, gamma, s, weight=1.0):
    """Li et al. 2022, eq. 3-4, with a soft target."""
    exponent = gamma + s * (1.0 - ratio)
    return weight * exponent / gamma * abs(y - sigmoid(z)) ** exponent * binary_cross_entropy(z, y)


def equalized_focal_slope(z, y, ratio, gamma, s, weight=1.0, step=1e-5):
    """A central difference."""
    high, low = (equalized_focal_loss(z + d, y, ratio, gamma, s, weight) for d in (step, -step))
    return (high - low) / (2.0 * step)


class GradientRatio:
    """Li et al. 2022, section 3.2."""

    def __init__(self, num_classes):
        self.positive, self.negative = [0.0] * num_classes, [0.0] * num_classes

    def accumulate(self, positive, negative):
        self.positive = [a + b for a, b in zip(self.positive, positive, strict=True)]
        self.negative = [a + b for a, b in zip(self.negative, negative, strict=True)]

    def ratio(self):
        return [min(p / n, 1.0) if n else 1.0 for p, n in zip(self.positive, self.negative, strict=True)]


def keep_hard_entries(g, z, strength):
    return 1.0 - (1.0 - g) * (1.0 - sigmoid(z)) ** strength


def far_probability(z, is_far, normalizer):
    return sum(sigmoid(each) for each, far in zip(z, is_far, strict=True) if far) / normalizer


def mitigation_weights(counts, exponent):
    """Seesaw eq. 4: row c, column c'."""
    return [[1.0 if not other or not own else min(1.0, other / own) ** exponent for other in counts] for own in counts]


def entry_weight(y, alpha, alpha_on, g, scope):
    """alpha_c g of one entry, each on the signs that it applies to."""
    weight = 1.0
    if alpha is not None and (alpha_on == "all" or y > 0):
        weight *= alpha
    if g is not None and (scope == "all" or not y > 0):
        weight *= g
    return weight


def refined_generalized_focal_loss(z, y, alpha, alpha_on, gamma, g, scope, deviation, mode, form):
    """REG §2.1-2.5 for one entry."""
    weight = entry_weight(y, alpha, alpha_on, g, scope)
    p = sigmoid(z) if deviation is None else expected_probability(z, deviation, mode)
    logit = z if deviation is None else math.log(p) - math.log1p(-p)
    if form == "printed":
        return weight * (1.0 - p) ** gamma * softplus(-logit) if y > 0 else 0.0
    return weight * abs(y - p) ** gamma * binary_cross_entropy(logit, y)


# Context (REG §2.3)


def spatial_context_weight(distance, beta, delta, floor=0.0):
    if beta == 0.0:
        g = 0.5
    elif math.isinf(distance):
        g = 1.0 if beta > 0 else 0.0
    else:
        g = sigmoid(beta * (distance - delta))
    return max(g, floor)


def center_distance(point, boxes, labels, valid, label):
    nearest = math.inf
    for (x1, y1, x2, y2), c, v in zip(boxes, labels, valid, strict=True):
        if v and c == label:
            half_diagonal = max(math.hypot(x2 - x1, y2 - y1), 1.0) / 2.0
            offset = math.hypot(point[0] - (x1 + x2) / 2.0, point[1] - (y1 + y2) / 2.0)
            nearest = min(nearest, offset / half_diagonal)
    return nearest


def edge_distance(point, boxes, labels, valid, label, stride):
    nearest = math.inf
    for (x1, y1, x2, y2), c, v in zip(boxes, labels, valid, strict=True):
        if v and c == label:
            dx = max(x1 - point[0], 0.0, point[0] - x2)
            dy = max(y1 - point[1], 0.0, point[1] - y2)
            nearest = min(nearest, math.hypot(dx, dy) / stride)
    return nearest


# Uncertainty (REG §2.5, §2.6.4)


def expected_probability(z, deviation, mode):
    p = sigmoid(z)
    if mode == "printed" or deviation == 0:
        return p
    if mode == "logit_normal":
        return sigmoid(z / math.sqrt(1.0 + math.pi * deviation**2 / 8.0))
    low, high = max(0.0, p - 12.0 * deviation), min(1.0, p + 12.0 * deviation)
    mass = integrate(lambda x: normal_density(x, p, deviation), low, high)
    return integrate(lambda x: x * normal_density(x, p, deviation), low, high) / mass


def expected_logits(z, deviation, mode):
    p = expected_probability(z, deviation, mode)
    return math.log(p) - math.log1p(-p)


def distribution_moments(logits):
    """Mean and deviation, in bins, of one side's distribution."""
    weights = [math.exp(z - max(logits)) for z in logits]
    probabilities = [w / sum(weights) for w in weights]
    mean = sum(k * p for k, p in enumerate(probabilities))
    return mean, math.sqrt(sum(p * (k - mean) ** 2 for k, p in enumerate(probabilities)))


def distribution_spread(sides):
    moments = [distribution_moments(side) for side in sides]
    return sum(deviation / (mean + 1.0) for mean, deviation in moments) / 4.0


def gaussian_kl(mean, deviation, prior_mean, prior_deviation):
    """The integral of q log(q / prior), not its closed form."""

    def integrand(x):
        log_q = -0.5 * ((x - mean) / deviation) ** 2 - math.log(deviation)
        log_prior = -0.5 * ((x - prior_mean) / prior_deviation) ** 2 - math.log(prior_deviation)
        return normal_density(x, mean, deviation) * (log_q - log_prior)

    return integrate(integrand, mean - 12.0 * deviation, mean + 12.0 * deviation)


def expected_quality_focal_loss(z, deviation, y, gamma):
    return integrate(
        lambda x: normal_density(x, z, deviation) * quality_focal_loss(x, y, gamma),
        z - 12.0 * deviation,
        z + 12.0 * deviation,
    )


def variational_free_energy(z, deviation, y, gamma, prior_mean, prior_deviation, kl_weight):
    return expected_quality_focal_loss(z, deviation, y, gamma) + kl_weight * gaussian_kl(
        z, deviation, prior_mean, prior_deviation
    )


# Boxes (EIOU)


def intersection_over_union(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return (width * height / union if union > 0 else 0.0), union


def enclosing_size(a, b):
    return max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])


def center_offset_squared(a, b):
    return ((a[0] + a[2] - b[0] - b[2]) / 2.0) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2.0) ** 2


def iou_loss(a, b):
    return 1.0 - intersection_over_union(a, b)[0]


def giou_loss(a, b):
    iou, union = intersection_over_union(a, b)
    width, height = enclosing_size(a, b)
    return 1.0 - iou + (width * height - union) / (width * height)


def diou_loss(a, b):
    width, height = enclosing_size(a, b)
    return iou_loss(a, b) + center_offset_squared(a, b) / (width**2 + height**2)


def aspect_ratio_term(a, b):
    """EIOU eq. 1-5."""
    angle_b = math.atan((b[2] - b[0]) / (b[3] - b[1]))
    angle_a = math.atan((a[2] - a[0]) / (a[3] - a[1]))
    return 4.0 / math.pi**2 * (angle_b - angle_a) ** 2


def ciou_loss(a, b):
    v = aspect_ratio_term(a, b)
    return diou_loss(a, b) + (v * v / (iou_loss(a, b) + v) if v > 0 else 0.0)


def eiou_loss(a, b):
    """EIOU eq. 7."""
    width, height = enclosing_size(a, b)
    width_error = (a[2] - a[0]) - (b[2] - b[0])
    height_error = (a[3] - a[1]) - (b[3] - b[1])
    return diou_loss(a, b) + width_error**2 / width**2 + height_error**2 / height**2


def focal_eiou_loss(a, b, gamma, score=1.0):
    """EIOU eq. 10, one pair."""
    return score * intersection_over_union(a, b)[0] ** gamma * eiou_loss(a, b)


def focal_eiou_v1_loss(a, b, beta):
    return focal_l1_loss(eiou_loss(a, b), 0.0, beta)


def focal_eiou_star_loss(a, b, gamma, form):
    log_ratio = math.log(intersection_over_union(a, b)[0] / eiou_loss(a, b))
    if form == "clamped":
        log_ratio = min(max(log_ratio, -10.0), 10.0)
    return -((1.0 - intersection_over_union(a, b)[0]) ** gamma) * log_ratio


# Coordinates (EIOU eq. 8-9, §5.4.3)


def smooth_l1_loss(a, b, beta):
    x = abs(a - b)
    return x * x / (2.0 * beta) if x < beta else x - beta / 2.0


def focal_l1_loss(a, b, beta):
    x = abs(a - b)
    alpha = math.e * beta
    if x == 0:
        return 0.0
    if x <= 1:
        return -alpha * x * x * (2.0 * math.log(beta * x) - 1.0) / 4.0
    return -alpha * math.log(beta) * x + (2.0 * alpha * math.log(beta) + alpha) / 4.0


def balanced_l1_loss(a, b, alpha, gamma, beta):
    """The integral of Libra's gradient alpha ln(b x / beta + 1), capped at gamma, not its closed form."""
    x = abs(a - b)
    growth = math.exp(gamma / alpha) - 1.0
    inner = integrate(lambda t: alpha * math.log(growth * t / beta + 1.0), 0.0, min(x, beta))
    return inner + gamma * max(x - beta, 0.0)


# Classification and localisation in step (CLE eq. 2-4)


def dynamic_coefficient(a, b, unit, stride, eps):
    scale = {
        "stride": stride,
        "diagonal": math.hypot(b[2] - b[0], b[3] - b[1]),
        "pixels": 1.0,
    }[unit]
    ratio_error = (a[2] - a[0]) / (a[3] - a[1]) - (b[2] - b[0]) / (b[3] - b[1])
    return 1.0 / (sigmoid(center_offset_squared(a, b) / scale**2) + math.tanh(abs(ratio_error)) + eps)


def equilibrated_loss(losses, coefficients):
    ratio = sum(losses) / sum(c * loss for c, loss in zip(coefficients, losses, strict=True))
    return [c * ratio * loss for c, loss in zip(coefficients, losses, strict=True)]


def localization_score(p, a, b, alpha):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    area, target_area = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    shared = width * height
    return alpha * p + (1 - alpha) * shared / min(area, target_area), shared / (area + target_area - shared)


def match_anchors(anchors, class_scores, boxes, labels, alpha, threshold):
    found = []
    for anchor, scores in zip(anchors, class_scores, strict=True):
        best, best_iou, highest = None, -1.0, 0.0
        for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            s, iou = localization_score(scores[label], anchor, box, alpha)
            highest = max(highest, iou)
            if (iou >= 0.5 or s >= threshold) and iou > best_iou:
                best, best_iou = number, iou
        found.append(best if best is not None else -1 if highest <= 0.4 else -2)
    return found


# Pixels (REG §2.2, §2.3; REG-blog 1-2). A pixel is a list of logits.


def refined_pixel_loss(logits, label, class_weights=None, gamma=1.5, spatial_weight=1.0, ignore_index=255):
    """-alpha_c (1 - p_c)^gamma log(p_c) g of one pixel."""
    if label == ignore_index:
        return 0.0
    highest = max(logits)
    total = sum(math.exp(z - highest) for z in logits)
    p = math.exp(logits[label] - highest) / total
    alpha = 1.0 if class_weights is None else class_weights[label]
    return -alpha * (1.0 - p) ** gamma * math.log(p) * spatial_weight


def predicted_object_class(logits, background):
    """The class with the highest logit but for the background."""
    return max((c for c in range(len(logits)) if c != background), key=lambda c: (logits[c], -c))


def pixel_distance(labels, row, column, wanted):
    """Distance in pixels from (row, column) to the nearest pixel of class `wanted`; infinity without one."""
    places = [(r, c) for r, line in enumerate(labels) for c, value in enumerate(line) if value == wanted]
    return min((math.hypot(r - row, c - column) for r, c in places), default=math.inf)


def pixel_context_weight(distance, label, background, beta, delta, floor=0.0, scope="negatives"):
    """g of one pixel: 1 on objects under scope negatives, else sigmoid(beta (d - delta)), at least floor."""
    if scope == "negatives" and label != background:
        return 1.0
    return spatial_context_weight(distance, beta, delta, floor)


def pixel_counts(labels, num_classes, ignore_index=255):
    """How many of a list of labels are of each class."""
    return [sum(label == c for label in labels if label != ignore_index) for c in range(num_classes)]
