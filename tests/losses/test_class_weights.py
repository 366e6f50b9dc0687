import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.losses import balanced_weights, imbalance_ratio, inverse_frequency_weights

# REG A.7: pavilion, pedestrian bridge, information sign, single-arm pole, bus stop, warning sign, concrete guardrail
DETECTION = [200, 100, 700, 1500, 50, 800, 300]
SEGMENTATION = [100, 50, 500, 400, 150]

counts_lists = st.lists(st.integers(0, 10_000), min_size=1, max_size=12).filter(any)


def test_the_papers_figures():
    weights = inverse_frequency_weights(DETECTION)
    assert sum(DETECTION) == 3650
    assert weights[4].item() == 73.0
    assert weights[3].item() == pytest.approx(2.43, abs=0.005)
    assert sum(SEGMENTATION) == 1200
    assert imbalance_ratio(DETECTION) == 30.0
    assert imbalance_ratio(SEGMENTATION) == 10.0
    assert reference.imbalance_ratio(DETECTION) == 30.0


@settings(max_examples=40, deadline=None)
@given(counts_lists, st.floats(0.0, 1.0))
def test_matches_reference(counts, temper):
    for function in (inverse_frequency_weights, balanced_weights):
        expected = getattr(reference, function.__name__)(counts, temper)
        assert function(counts, temper).tolist() == pytest.approx(expected, rel=1e-5)
    assert imbalance_ratio(counts) == pytest.approx(reference.imbalance_ratio(counts))


@settings(max_examples=40, deadline=None)
@given(counts_lists, st.floats(0.0, 1.0))
def test_annotation_weighted_mean_is_one(counts, temper):
    values = torch.tensor(counts, dtype=torch.float64)
    assert (values * balanced_weights(values, temper)).sum().item() == pytest.approx(sum(counts), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=8, unique=True), st.floats(0.05, 1.0))
def test_rarer_classes_weigh_more_and_temper_flattens(counts, temper):
    values = torch.tensor(counts, dtype=torch.float64)
    for function in (inverse_frequency_weights, balanced_weights):
        assert function(values, temper).argsort().tolist() == values.argsort(descending=True).tolist()
    spread = balanced_weights(values, temper)
    assert (spread.max() / spread.min()).item() == pytest.approx(imbalance_ratio(values) ** temper, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(counts_lists, st.integers(2, 9))
def test_more_data_of_the_same_mix_changes_nothing(counts, factor):
    more = [factor * n for n in counts]
    assert inverse_frequency_weights(more).tolist() == pytest.approx(inverse_frequency_weights(counts).tolist())
    assert balanced_weights(more, 0.5).tolist() == pytest.approx(balanced_weights(counts, 0.5).tolist())


def test_temper_zero_and_equal_counts_are_neutral():
    assert balanced_weights(DETECTION, 0.0).tolist() == pytest.approx([1.0] * 7)
    assert inverse_frequency_weights(DETECTION, 0.0).tolist() == pytest.approx([1.0] * 7)
    assert balanced_weights([5, 5, 5]).tolist() == [1.0, 1.0, 1.0]


def test_absent_class_gets_the_mean_of_the_present_and_counts_nowhere():
    weights = balanced_weights([100, 0, 50])
    present = balanced_weights([100, 50])
    assert weights.tolist() == pytest.approx([present[0].item(), present.mean().item(), present[1].item()])
    assert imbalance_ratio([100, 0, 50]) == 2.0


def test_dtype_follows_a_floating_tensor():
    assert balanced_weights(torch.tensor([1.0, 2.0], dtype=torch.float64)).dtype == torch.float64
    assert balanced_weights(torch.tensor([1, 2])).dtype == torch.float32


@pytest.mark.parametrize("function", [inverse_frequency_weights, balanced_weights, imbalance_ratio])
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2]], r"shape \(C,\), got \(1, 2\)"),
        ([1, -2], "finite and >= 0"),
        ([1.0, float("nan")], "finite and >= 0"),
        ([0, 0], "at least one class above 0"),
    ],
)
def test_wrong_counts_are_refused(function, counts, message):
    with pytest.raises(ValueError, match=message):
        function(counts)


@pytest.mark.parametrize("function", [inverse_frequency_weights, balanced_weights])
@pytest.mark.parametrize("temper", [-0.1, 1.5, float("nan")])
def test_temper_out_of_range_is_refused(function, temper):
    with pytest.raises(ValueError, match=r"temper must be in \[0, 1\]"):
        function([1, 2], temper)
