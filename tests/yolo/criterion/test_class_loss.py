"""The class branch: which weights a configuration means, and what each switch does to positives and negatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.criterion.class_alpha import counted_weights
from reg_yolo.yolo.criterion.class_loss import head_class_bias
from tests.yolo.criterion.heads import BATCH, IMAGES, criterion, labels, loss_and_gradients, over_stock, predictions

pytestmark = pytest.mark.usefixtures("one_thread")

# REG's detection labels, single-arm poles the fourth, bus stops the fifth.
PAPER_COUNTS = [200, 100, 700, 1500, 50, 800, 300]


def weights(counts: list[int], **alpha: Any) -> list[float] | None:
    found = counted_weights(RegSettings.from_mapping(over_stock(alpha=alpha)).alpha, counts)
    return None if found is None else found.tolist()


def test_inverse_frequency_gives_the_papers_numbers() -> None:
    found = weights(PAPER_COUNTS, scheme="inverse_frequency")
    assert found[4] == pytest.approx(73.0) and found[3] == pytest.approx(2.43, abs=0.005)


def test_balanced_weights_have_a_mean_of_one_over_the_annotations() -> None:
    for temper in (1.0, 0.5):
        found = weights(PAPER_COUNTS, scheme="balanced", temper=temper)
        assert sum(w * n for w, n in zip(found, PAPER_COUNTS, strict=True)) == pytest.approx(sum(PAPER_COUNTS))


@pytest.mark.parametrize("alpha", [{}, {"scheme": "balanced", "temper": 0.0}, {"weights": [1.0] * 7}])
def test_weights_that_are_all_one_are_no_weights(alpha: dict[str, Any]) -> None:
    found = weights(PAPER_COUNTS, **alpha)
    assert found is None or found == [1.0] * 7
    assert RegSettings.from_mapping(over_stock(alpha=alpha)).is_neutral


def test_given_weights_must_fit_the_classes() -> None:
    assert weights([5, 6], weights=[2.0, 0.5]) == [2.0, 0.5]
    with pytest.raises(ConfigError, match="each of the 3 classes, got 2"):
        weights([5, 6, 7], weights=[2.0, 0.5])


def class_gradient(**switches: Any) -> torch.Tensor:
    return loss_and_gradients(criterion(over_stock(scale=1.0, **switches)), BATCH)[1]["scores"]


@pytest.fixture(scope="module")
def positive() -> torch.Tensor:
    """Tensor[B, C, A], the entries with a target above 0."""
    found, index = criterion("stock").get_assigned_targets_and_loss(predictions(BATCH, IMAGES), BATCH)[0][:2]
    labels = [[0, 1, 1], [2, 1], []]
    mask = torch.zeros(IMAGES, 3, found.shape[1], dtype=torch.bool)
    for image, anchor in found.nonzero().tolist():
        mask[image, labels[image][int(index[image, anchor])], anchor] = True
    return mask


def test_weights_on_positives_leave_the_negatives(positive: torch.Tensor) -> None:
    alpha = [0.5, 1.0, 3.0]
    plain, weighted = class_gradient(), class_gradient(alpha={"weights": alpha})
    torch.testing.assert_close(weighted[~positive], plain[~positive], rtol=1e-5, atol=1e-9)
    by_class = torch.tensor(alpha).view(1, 3, 1).expand_as(plain)
    torch.testing.assert_close(weighted[positive], (plain * by_class)[positive], rtol=1e-5, atol=1e-9)


def test_weights_on_both_signs_weigh_every_entry() -> None:
    alpha = [0.5, 1.0, 3.0]
    plain, weighted = class_gradient(), class_gradient(alpha={"weights": alpha, "on": "both"})
    torch.testing.assert_close(weighted, plain * torch.tensor(alpha).view(1, 3, 1), rtol=1e-5, atol=1e-9)


def test_context_on_negatives_leaves_the_positives(positive: torch.Tensor) -> None:
    plain, weighed = class_gradient(), class_gradient(spatial={"enabled": True, "beta": 3.0, "delta": 1.0})
    torch.testing.assert_close(weighed[positive], plain[positive], rtol=1e-5, atol=1e-9)
    share = weighed[~positive] / plain[~positive]
    assert share.min() < 0.1 and share.max() == pytest.approx(1.0)
    # The third image has no object: every class is infinitely far away.
    torch.testing.assert_close(weighed[2], plain[2], rtol=1e-5, atol=1e-9)


def test_falling_context_with_a_floor_still_pushes_down_absent_classes() -> None:
    plain = class_gradient()
    falling = class_gradient(spatial={"enabled": True, "beta": -3.0, "delta": 1.0})
    floored = class_gradient(spatial={"enabled": True, "beta": -3.0, "delta": 1.0, "floor": 0.2})
    assert falling[2].abs().sum() == 0.0
    torch.testing.assert_close(floored[2], 0.2 * plain[2], rtol=1e-5, atol=1e-9)


def test_focusing_turns_to_what_is_wrong(positive: torch.Tensor) -> None:
    plain, focused = class_gradient(), class_gradient(focal={"gamma": 2.0})
    # Easy negatives, most of the entries, lose nearly all of their gradient.
    easy = ~positive & (plain.abs() < plain[~positive].abs().quantile(0.5))
    assert focused[easy].abs().sum() < 0.05 * plain[easy].abs().sum()


def test_a_blurred_box_softens_the_score() -> None:
    plain = class_gradient()
    certain, blurred = (
        class_gradient(uncertainty={"mode": "logit_normal", "deviation": "dfl", "kappa": kappa})
        for kappa in (1e-3, 3.0)
    )
    torch.testing.assert_close(certain, plain, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(blurred, plain, rtol=0.05)


def test_a_learned_deviation_has_to_be_given() -> None:
    ours = criterion(over_stock(uncertainty={"mode": "logit_normal", "deviation": "learned"}))
    with pytest.raises(AssertionError, match="build_optimizer creates the learned deviation"):
        loss_and_gradients(ours, BATCH)


def test_the_prior_lies_at_the_bias_that_upstream_gives_a_new_head() -> None:
    head = DetectionModel("yolov8n.yaml", nc=7, verbose=False).model[-1]
    for layer, stride in zip(head.cv3, head.stride, strict=True):
        torch.testing.assert_close(layer[-1].bias.detach(), head_class_bias(stride, 7).expand(7))


FREE = {"mode": "free_energy", "deviation": 0.5}


def test_divergence_reaches_positives_alone_and_no_factor_touches_it(positive: torch.Tensor) -> None:
    def gradient(kl_weight: float, scale: float, **more: Any) -> torch.Tensor:
        uncertainty = {**FREE, "prior": {"kl_weight": kl_weight}}
        reg = over_stock(scale=scale, uncertainty=uncertainty, focal={"gamma": 1.5}, **more)
        return loss_and_gradients(criterion(reg), BATCH)[1]["scores"]

    pull = gradient(0.5, 1.0) - gradient(0.0, 1.0)
    assert bool((pull[positive] != 0).all()) and float(pull[~positive].abs().max()) == 0.0
    for more in ({}, {"alpha": {"weights": [5.0, 2.0, 9.0]}}, {"spatial": {"enabled": True, "scope": "all"}}):
        scaled = gradient(0.5, 8.0, **more) - gradient(0.0, 8.0, **more)
        torch.testing.assert_close(scaled, pull, rtol=1e-4, atol=1e-6)


def test_free_energy_does_not_lift_the_background() -> None:
    logits = torch.nn.Parameter(torch.full((1, 3, 84), -5.0))
    optimizer = torch.optim.Adam([logits], lr=0.1)
    ours = criterion(over_stock(uncertainty={"mode": "free_energy", "deviation": 0.5}, focal={"gamma": 1.5}, scale=8.0))
    for _ in range(300):
        optimizer.zero_grad()
        preds = {**predictions(labels([]), 1), "scores": logits}
        ours(preds, labels([]))[0].sum().backward()
        optimizer.step()
    # With the divergence on every entry the background settled at 0.008.
    assert float(logits.detach().sigmoid().max()) < 0.004


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        ({"alpha": {"scheme": "dual"}}, "alpha dual on positives"),
        ({"alpha": {"scheme": "inverse_frequency", "temper": 0.5, "on": "both"}}, "(temper 0.5) on both"),
        ({"alpha": {"weights": [1.0, 2.0, 3.0]}}, "alpha given on positives"),
        ({"uncertainty": {"mode": "printed"}}, "p-hat printed (p itself)"),
        ({"uncertainty": {"mode": "free_energy", "deviation": 0.5}}, "p-hat free_energy, deviation 0.5"),
        ({"focal": {"form": "printed"}}, "gamma 0 (printed)"),
        ({"dynamic_coefficient": {"enabled": True, "unit": "pixels"}}, "dynamic coefficient in pixels"),
    ],
)
def test_description_says_what_a_switch_does(switches: dict[str, Any], text: str) -> None:
    assert text in criterion(over_stock(**switches)).describe()
