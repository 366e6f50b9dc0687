import pytest
import reference
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from reg_yolo.losses import entry_weight, quality_focal_loss, refined_generalized_focal_loss

GAMMAS = [0.0, 0.5, 1.0, 1.5, 2.0]


def dense_head(dtype=torch.float64, seed=0, batch=2, points=5, classes=3):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, points, classes)
    logits = torch.randn(shape, generator=generator, dtype=dtype) * 2 - 1
    targets = (torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1).clamp(0, 1)
    alpha = torch.rand(classes, generator=generator, dtype=dtype) * 3 + 0.2
    g = torch.rand(shape, generator=generator, dtype=dtype)
    deviation = torch.rand((batch, points, 1), generator=generator, dtype=dtype) + 0.1
    return logits, targets, alpha, g, deviation


@pytest.mark.parametrize("form", ["soft", "printed"])
@pytest.mark.parametrize("mode", ["printed", "logit_normal", "truncated_normal"])
@pytest.mark.parametrize(
    ("alpha_on", "scope"), [("positives", "negatives"), ("all", "negatives"), ("positives", "all"), ("all", "all")]
)
def test_matches_reference(alpha_on, scope, mode, form):
    z, y, alpha, g, s = dense_head(batch=1, points=3)
    loss = refined_generalized_focal_loss(
        z, y, class_weights=alpha, class_weights_on=alpha_on, gamma=1.5, spatial_weight=g, spatial_scope=scope,
        deviation=s, uncertainty=mode, form=form,
    )  # fmt: skip
    for index in torch.cartesian_prod(torch.arange(1), torch.arange(3), torch.arange(3)).tolist():
        b, a, c = index
        expected = reference.refined_generalized_focal_loss(
            z[b, a, c].item(), y[b, a, c].item(), alpha[c].item(), alpha_on, 1.5, g[b, a, c].item(), scope,
            s[b, a, 0].item(), mode, form,
        )  # fmt: skip
        assert loss[b, a, c].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("form", ["soft", "printed"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradient_to_logits_and_deviation(gamma, form):
    z, y, alpha, g, s = dense_head()
    for mode in ("logit_normal", "truncated_normal"):
        assert gradcheck(
            lambda x, d, mode=mode: refined_generalized_focal_loss(
                x, y, class_weights=alpha, gamma=gamma, spatial_weight=g, deviation=d, uncertainty=mode, form=form
            ),
            (z.detach().requires_grad_(), s.detach().requires_grad_()),
        )


def test_neutral_arguments_are_binary_cross_entropy_bit_for_bit():
    z, y, *_ = dense_head(torch.float32, points=900)
    z.requires_grad_()
    ours = refined_generalized_focal_loss(z, y, gamma=0.0)
    stock = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    assert torch.equal(ours, stock)
    assert torch.equal(*(torch.autograd.grad(loss.sum(), z)[0] for loss in (ours, stock)))
    mean = refined_generalized_focal_loss(z, y, gamma=0.0, reduction="mean")
    assert torch.equal(mean, stock.sum() / y.sum().clamp(min=1))


def test_weights_of_one_and_no_deviation_are_the_quality_focal_loss():
    z, y, alpha, g, _ = dense_head()
    loss = refined_generalized_focal_loss(
        z, y, gamma=1.5, class_weights=torch.ones_like(alpha), spatial_weight=torch.ones_like(g), deviation=0.0
    )
    torch.testing.assert_close(loss, quality_focal_loss(z, y, 1.5))


def test_the_mean_divides_by_the_target_scores_or_the_positives():
    z, y, alpha, *_ = dense_head(points=40)
    total = refined_generalized_focal_loss(z, y, class_weights=alpha, reduction="sum")
    mean = refined_generalized_focal_loss(z, y, class_weights=alpha, reduction="mean")
    assert y.sum() > 1
    torch.testing.assert_close(mean, total / y.sum())
    few = y * 0.001
    total = refined_generalized_focal_loss(z, few, reduction="sum")
    assert few.sum() < 1
    torch.testing.assert_close(refined_generalized_focal_loss(z, few, reduction="mean"), total)
    total = refined_generalized_focal_loss(z, y, form="printed", reduction="sum")
    mean = refined_generalized_focal_loss(z, y, form="printed", reduction="mean")
    torch.testing.assert_close(mean, total / (y > 0).sum())


@pytest.mark.parametrize("form", ["soft", "printed"])
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_empty_input_has_a_backward(shape, form):
    z = torch.empty(shape, requires_grad=True)
    loss = refined_generalized_focal_loss(
        z, torch.empty(shape), class_weights=torch.ones(3), spatial_weight=torch.empty(shape), form=form,
        reduction="mean",
    )  # fmt: skip
    loss.backward()
    assert loss.item() == 0.0
    assert z.grad.shape == shape


def test_printed_form_without_positives_is_a_differentiable_zero():
    z, y, *_ = dense_head()
    z.requires_grad_()
    loss = refined_generalized_focal_loss(z, torch.zeros_like(y), form="printed", reduction="mean")
    loss.backward()
    assert loss.item() == 0.0
    assert z.grad.abs().sum() == 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("form", ["soft", "printed"])
@pytest.mark.parametrize("mode", ["printed", "logit_normal", "truncated_normal"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_extreme_logits_stay_finite(gamma, mode, form, dtype):
    z = torch.tensor([[-80.0, 80.0], [-80.0, 80.0], [-80.0, 80.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]], dtype=dtype)
    for deviation in (0.0, 1e-7, 0.3, 50.0):
        s = torch.full((3, 1), deviation, dtype=torch.float32, requires_grad=True)
        loss = refined_generalized_focal_loss(
            z, y, gamma=gamma, class_weights=torch.tensor([73.0, 2.43]), spatial_weight=torch.ones(2, dtype=dtype),
            deviation=s, uncertainty=mode, form=form,
        )  # fmt: skip
        gradients = torch.autograd.grad(loss.sum(), (z, s), allow_unused=True)
        assert torch.isfinite(loss).all()
        assert all(g is None or torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("alpha_on", ["positives", "all"])
@pytest.mark.parametrize("scope", ["negatives", "all"])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("has_g", [False, True])
def test_entry_weight_falls_on_the_right_signs(has_g, has_alpha, scope, alpha_on):
    _, y, alpha, g, _ = dense_head()
    weight = entry_weight(y, alpha if has_alpha else None, alpha_on, g if has_g else None, scope)
    if not has_g and not has_alpha:
        assert weight is None
        return
    weight = weight.expand_as(y)
    for b, a, c in (y >= 0).nonzero().tolist():
        expected = reference.entry_weight(
            y[b, a, c].item(), alpha[c].item() if has_alpha else None, alpha_on,
            g[b, a, c].item() if has_g else None, scope,
        )  # fmt: skip
        assert weight[b, a, c].item() == pytest.approx(expected)


def test_weights_carry_no_gradient():
    z, y, alpha, g, _ = dense_head()
    loss = refined_generalized_focal_loss(
        z, y, class_weights=alpha.requires_grad_(), spatial_weight=g.requires_grad_(), spatial_scope="all"
    )
    assert not loss.requires_grad


def test_wrong_arguments_are_named():
    z, y, *_ = dense_head()
    with pytest.raises(ValueError, match=r"class_weights must have shape \(3,\), got \(5,\)"):
        refined_generalized_focal_loss(z, y, class_weights=torch.ones(5))
    with pytest.raises(ValueError, match=r"spatial_weight must broadcast to \(2, 5, 3\), got \(2, 4, 3\)"):
        refined_generalized_focal_loss(z, y, spatial_weight=torch.ones(2, 4, 3))
    with pytest.raises(ValueError, match=r"target_scores must have the shape of pred_logits"):
        refined_generalized_focal_loss(z, y[:1])
    for key, value in (
        ("form", "hard"), ("class_weights_on", "both"), ("spatial_scope", "positives"), ("uncertainty", "beta"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="must be one of"):
            refined_generalized_focal_loss(z, y, deviation=1.0, **{key: value})
