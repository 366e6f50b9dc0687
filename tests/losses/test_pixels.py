"""The loss of pixels against scalar references, and each of its terms by what changes without it."""

import pytest
import reference
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from reg_yolo.losses import pixel_context_weight, pixel_counts, predicted_object_class, refined_pixel_loss

LABELS = torch.tensor([[[0, 1, 2], [3, 255, 2]], [[3, 3, 0], [1, 2, 255]]])
BACKGROUND = 3


def logits_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, 4, 2, 3), generator=generator, dtype=torch.float64) * 2


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0, 2.7])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 0.2]])
@pytest.mark.parametrize("with_g", [False, True])
def test_every_pixel_matches_the_reference(gamma, weights, with_g):
    z = logits_of()
    g = torch.linspace(0.1, 1.0, 12, dtype=torch.float64).view(2, 2, 3) if with_g else None
    alpha = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = refined_pixel_loss(z, LABELS, class_weights=alpha, gamma=gamma, spatial_weight=g)
    for b, r, c in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
        own = 1.0 if g is None else float(g[b, r, c])
        expected = reference.refined_pixel_loss(z[b, :, r, c].tolist(), int(LABELS[b, r, c]), weights, gamma, own)
        assert float(loss[b, r, c]) == pytest.approx(expected, abs=1e-12)


def test_each_term_changes_the_loss_where_it_should_and_nowhere_else():
    z = logits_of()
    plain = refined_pixel_loss(z, LABELS, gamma=0.0)
    counted = LABELS != 255
    alpha = torch.tensor([1.0, 3.0, 1.0, 1.0], dtype=torch.float64)
    weighted = refined_pixel_loss(z, LABELS, class_weights=alpha, gamma=0.0)
    torch.testing.assert_close(weighted[LABELS == 1], 3.0 * plain[LABELS == 1])
    assert torch.equal(weighted[LABELS != 1], plain[LABELS != 1])
    focused = refined_pixel_loss(z, LABELS, gamma=2.0)
    p = (-plain).exp()
    torch.testing.assert_close(focused[counted], (plain * (1 - p) ** 2)[counted])
    g = torch.where(LABELS == BACKGROUND, 0.25, 1.0).double()
    placed = refined_pixel_loss(z, LABELS, gamma=0.0, spatial_weight=g)
    torch.testing.assert_close(placed[LABELS == BACKGROUND], 0.25 * plain[LABELS == BACKGROUND])
    assert torch.equal(placed[LABELS != BACKGROUND], plain[LABELS != BACKGROUND])


def test_without_any_term_it_is_cross_entropy():
    z = logits_of().float()
    ours = refined_pixel_loss(z, LABELS, gamma=0.0)
    assert torch.equal(ours, F.cross_entropy(z, LABELS, reduction="none", ignore_index=255))
    mean = refined_pixel_loss(z, LABELS, gamma=0.0, reduction="mean")
    torch.testing.assert_close(mean, F.cross_entropy(z, LABELS, ignore_index=255))


def test_ignored_pixels_have_no_loss_and_no_gradient():
    z = logits_of().requires_grad_()
    loss = refined_pixel_loss(z, LABELS)
    loss.sum().backward()
    assert (loss[LABELS == 255] == 0).all()
    assert (z.grad.permute(0, 2, 3, 1)[LABELS == 255] == 0).all()
    assert (z.grad.permute(0, 2, 3, 1)[LABELS != 255] != 0).all()


def test_only_ignored_pixels_give_a_differentiable_zero():
    z = logits_of().requires_grad_()
    loss = refined_pixel_loss(z, torch.full_like(LABELS, 255), reduction="mean")
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.isfinite(z.grad).all()


def test_extreme_logits_stay_finite_in_value_and_gradient():
    z = torch.tensor([[80.0, -80.0], [-80.0, 80.0]]).view(2, 2, 1, 1).requires_grad_()
    loss = refined_pixel_loss(z, torch.tensor([[[0]], [[0]]]), gamma=0.5)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z.grad).all()


def test_gradients_by_finite_differences():
    g = torch.linspace(0.2, 1.0, 12, dtype=torch.float64).view(2, 2, 3)
    alpha = torch.tensor([0.5, 2.0, 1.0, 0.2], dtype=torch.float64)

    def loss(z):
        return refined_pixel_loss(z, LABELS, class_weights=alpha, gamma=1.5, spatial_weight=g, reduction="mean")

    assert gradcheck(loss, (logits_of().requires_grad_(),))


def test_weights_carry_no_gradient():
    alpha, g = torch.ones(4, requires_grad=True), torch.ones(2, 2, 3, requires_grad=True)
    z = logits_of().float().requires_grad_()
    refined_pixel_loss(z, LABELS, class_weights=alpha, spatial_weight=g).sum().backward()
    assert alpha.grad is None
    assert g.grad is None


@pytest.mark.parametrize("background", [0, 1, 3])
def test_the_predicted_object_class_is_the_best_one_but_the_background(background):
    z = logits_of(3)
    found = predicted_object_class(z, background)
    for b, r, c in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
        assert int(found[b, r, c]) == reference.predicted_object_class(z[b, :, r, c].tolist(), background)


def test_of_equal_logits_the_lower_class_is_predicted():
    assert predicted_object_class(torch.zeros(1, 3, 1, 1), background=0).item() == 1
    assert predicted_object_class(torch.zeros(1, 3, 1, 1), background=1).item() == 0


@pytest.mark.parametrize("scope", ["negatives", "all"])
@pytest.mark.parametrize(
    ("beta", "delta", "floor"), [(0.5, 2.0, 0.1), (-0.5, 4.0, 0.1), (3.0, 1.0, 0.0), (0.0, 1.0, 0.0)]
)
def test_context_weight_matches_the_reference(scope, beta, delta, floor):
    labels = LABELS[0]
    wanted = torch.tensor([[1, 0, 0], [2, 0, 2]])
    distance = torch.tensor(
        [[reference.pixel_distance(labels.tolist(), r, c, int(wanted[r, c])) for c in range(3)] for r in range(2)],
        dtype=torch.float64,
    )
    distance[0, 1] = torch.inf
    found = pixel_context_weight(distance, labels, BACKGROUND, beta=beta, delta=delta, floor=floor, scope=scope)
    for r in range(2):
        for c in range(3):
            expected = reference.pixel_context_weight(
                float(distance[r, c]), int(labels[r, c]), BACKGROUND, beta, delta, floor, scope
            )
            assert float(found[r, c]) == pytest.approx(expected, abs=1e-12)


def test_counts_match_the_reference_and_leave_out_ignored_pixels():
    counts = pixel_counts(LABELS, 5)
    assert counts.tolist() == reference.pixel_counts(LABELS.reshape(-1).tolist(), 5) == [2, 2, 3, 3, 0]
    assert counts.dtype == torch.int64


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(ValueError, match=r"labels must be in \[0, 4\) or 255"):
        pixel_counts(torch.tensor([0, label]), 4)


def test_shapes_and_choices_are_checked():
    z = logits_of()
    with pytest.raises(ValueError, match=r"spatial_weight must have shape \(2, 2, 3\), got \(1,\)"):
        refined_pixel_loss(z, LABELS, spatial_weight=torch.ones(1))
    with pytest.raises(ValueError, match="number of classes must be >= 2"):
        predicted_object_class(z[:, :1], 0)
    with pytest.raises(ValueError, match=r"background must be in \[0, 3\], got 4"):
        predicted_object_class(z, 4)
    with pytest.raises(ValueError, match="scope must be one of negatives, all"):
        pixel_context_weight(torch.zeros(2, 2, 3), LABELS, 3, beta=1.0, delta=1.0, scope="none")
    with pytest.raises(ValueError, match="distance must have shape"):
        pixel_context_weight(torch.zeros(3), LABELS, 3, beta=1.0, delta=1.0)
