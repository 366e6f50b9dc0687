import copy
import json
import pickle

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.losses import DualClassWeights, balanced_weights

COUNTS = [200, 100, 700, 1500, 50, 800, 300]


def test_the_start_is_the_balanced_weights():
    dual = DualClassWeights(COUNTS)
    assert dual.weights().tolist() == pytest.approx(balanced_weights(COUNTS).tolist(), rel=1e-5)
    assert dual.alpha().sum().item() == pytest.approx(1.0)


def test_matches_reference_over_batches_with_missing_classes():
    counts = [200, 100, 0, 1500]
    dual = DualClassWeights(counts, step_size=0.3, pull=0.05, momentum=0.8)
    expected = reference.DualClassWeights(counts, 0.3, 0.05, 0.8)
    generator = torch.Generator().manual_seed(0)
    for _ in range(25):
        losses = torch.rand(4, generator=generator) * 5
        scores = (torch.rand(4, generator=generator) * 3 - 1.5).clamp(min=0)
        dual.ascend(losses, scores)
        expected.ascend(losses.tolist(), scores.tolist())
        assert dual.alpha().tolist() == pytest.approx(expected.alpha, rel=1e-4)
        assert dual.weights().tolist() == pytest.approx(expected.weights(), rel=1e-4)


def test_the_class_with_the_higher_mean_loss_gains_weight():
    dual = DualClassWeights([100, 100], step_size=0.1)
    dual.ascend(torch.tensor([3.0, 8.0]), torch.tensor([1.0, 8.0]))
    first, second = dual.weights().tolist()
    assert first > 1.0 > second


def test_a_steady_loss_ends_at_the_stated_tilt():
    dual = DualClassWeights([200, 100, 400], step_size=0.02, pull=0.05)
    for _ in range(600):
        dual.ascend(torch.tensor([1.0, 2.0, 3.0]), torch.ones(3))
    tilted = balanced_weights([200, 100, 400]) * torch.exp(torch.tensor([1.0, 2.0, 3.0]) * 0.02 / 0.05)
    assert dual.alpha().tolist() == pytest.approx((tilted / tilted.sum()).tolist(), rel=1e-3)


def test_full_pull_forgets_everything_but_the_last_batch():
    dual = DualClassWeights([100, 300], pull=1.0, step_size=0.5)
    for losses in ([9.0, 1.0], [2.0, 2.0]):
        dual.ascend(torch.tensor(losses), torch.ones(2))
    assert dual.weights().tolist() == pytest.approx(balanced_weights([100, 300]).tolist())


def test_a_missing_class_goes_by_its_average_and_an_unseen_one_stays_neutral():
    dual = DualClassWeights([100, 100, 100], step_size=0.1, pull=0.0)
    dual.ascend(torch.tensor([4.0, 2.0, 0.0]), torch.tensor([1.0, 1.0, 0.0]))
    before = dual.alpha()
    assert before[2].item() == pytest.approx((before[0] * before[1]).sqrt().item(), rel=1e-4)
    dual.ascend(torch.tensor([0.0, 2.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    ratio = dual.alpha() / before
    assert (ratio[0] / ratio[1]).item() == pytest.approx(torch.tensor(0.2).exp().item(), rel=1e-4)


@pytest.mark.parametrize("limit", [1.0, 2.0, 4.0])
def test_no_class_takes_more_than_the_limit(limit):
    dual = DualClassWeights(COUNTS, step_size=0.5, limit=limit)
    expected = reference.DualClassWeights(COUNTS, 0.5, 0.01, 0.9, limit)
    hopeless = [1.0, 2.0, 3.0, 4.0, 50.0, 0.1, 1.0]
    for _ in range(40):
        dual.ascend(torch.tensor(hopeless), torch.ones(7))
        expected.ascend(hopeless, [1.0] * 7)
    relative = dual.weights() / balanced_weights(COUNTS)
    assert relative.max().item() == pytest.approx(limit, rel=1e-4)
    assert relative.min().item() >= 1.0 / limit - 1e-4
    assert dual.weights().tolist() == pytest.approx(expected.weights(), rel=1e-3)
    assert (torch.tensor(COUNTS) * dual.weights()).sum().item() == pytest.approx(sum(COUNTS), rel=1e-4)
    # Nothing has wound up beyond the limit: one turned batch moves the weights.
    before = dual.weights()
    dual.ascend(50.0 - torch.tensor(hopeless), torch.ones(7))
    assert limit == 1.0 or (dual.weights() / before)[4].item() < 0.9


def test_a_state_beyond_the_limit_is_brought_within():
    state = DualClassWeights([100, 300]).state_dict()
    state["log_alpha"] = [-0.001, -7.0]
    dual = DualClassWeights([100, 300])
    dual.load_state_dict(state)
    relative = dual.weights() / balanced_weights([100, 300])
    assert relative.max().item() <= 4.0 + 1e-4 and relative.min().item() >= 0.25 - 1e-4


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 5000), min_size=2, max_size=7),
    st.lists(st.floats(0, 50), min_size=7, max_size=7),
    st.integers(1, 5),
)
def test_alpha_stays_on_the_simplex_and_the_scale_stays_put(counts, losses, steps):
    dual = DualClassWeights(counts, step_size=0.5)
    for _ in range(steps):
        dual.ascend(torch.tensor(losses[: len(counts)]), torch.ones(len(counts)))
    assert (dual.alpha() >= 0).all()
    assert dual.alpha().sum().item() == pytest.approx(1.0, rel=1e-4)
    assert (torch.tensor(counts) * dual.weights()).sum().item() == pytest.approx(sum(counts), rel=1e-3)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_overflown_batch_leaves_the_weights_finite(bad):
    dual = DualClassWeights([100, 50])
    dual.ascend(torch.tensor([1.0, 2.0]), torch.ones(2))
    dual.ascend(torch.tensor([bad, 2.0]), torch.ones(2))
    dual.ascend(torch.tensor([1.0, 2.0]), torch.tensor([torch.nan, 1.0]))
    assert torch.isfinite(dual.weights()).all()


def test_the_state_is_plain_data_and_continues_exactly():
    dual = DualClassWeights([200, 100, 0], step_size=0.2)
    dual.ascend(torch.tensor([1.0, 2.0, 0.0]), torch.tensor([1.0, 1.0, 0.0]))
    state = json.loads(json.dumps(dual.state_dict()))
    assert state["mean_loss"] == [1.0, 2.0, None]
    restored = DualClassWeights([1, 1, 1], step_size=0.2)
    restored.load_state_dict(state)
    for copied in (restored, copy.deepcopy(dual), pickle.loads(pickle.dumps(dual))):
        reference_run = copy.deepcopy(dual)
        for run in (copied, reference_run):
            run.ascend(torch.tensor([3.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 0.0]))
        assert torch.equal(copied.weights(), reference_run.weights())


def test_it_is_a_plain_object_that_upstream_does_not_call():
    dual = DualClassWeights(COUNTS)
    assert not isinstance(dual, torch.nn.Module)
    assert not hasattr(dual, "update")
    losses = torch.ones(7, requires_grad=True)
    dual.ascend(losses * 2, torch.ones(7))
    assert not dual.weights().requires_grad


def test_a_step_in_inference_mode_can_be_continued_outside():
    dual = DualClassWeights([1, 2])
    with torch.inference_mode():
        dual.ascend(torch.ones(2), torch.ones(2))
    (dual.weights() * torch.ones(2, requires_grad=True)).sum().backward()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"class_losses must have shape \(2,\), got \(3,\)"):
        DualClassWeights([1, 2]).ascend(torch.ones(3), torch.ones(2))
    with pytest.raises(ValueError, match=r"class_scores must have shape \(2,\), got \(1,\)"):
        DualClassWeights([1, 2]).ascend(torch.ones(2), torch.ones(1))
    with pytest.raises(ValueError, match=r"step_size must be >="):
        DualClassWeights([1, 2], step_size=0.0)
    with pytest.raises(ValueError, match=r"pull must be in \[0, 1\], got 2"):
        DualClassWeights([1, 2], pull=2.0)
    with pytest.raises(ValueError, match=r"limit must be >= 1, got 0.5"):
        DualClassWeights([1, 2], limit=0.5)
    with pytest.raises(ValueError, match=r"momentum must be in"):
        DualClassWeights([1, 2], momentum=1.0)
    state = DualClassWeights([1, 2, 3]).state_dict()
    with pytest.raises(ValueError, match=r"state\['counts'\] must have 2 entries, one a class, got 3"):
        DualClassWeights([1, 2]).load_state_dict(state)
    with pytest.raises(ValueError, match=r"state\['log_alpha'\] must have 3 entries.*got nothing"):
        DualClassWeights([1, 2, 3]).load_state_dict({"counts": [1, 2, 3]})
