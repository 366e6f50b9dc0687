import pytest
import reference
import torch

from reg_yolo.losses import keep_hard_entries, mitigation_weights


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 4.0])
def test_keep_hard_entries_matches_reference(strength):
    weight = torch.tensor([0.0, 0.1, 0.5, 1.0], dtype=torch.float64).view(4, 1)
    z = torch.linspace(-6, 6, 7, dtype=torch.float64).expand(4, 7)
    kept = keep_hard_entries(weight, z, strength)
    expected = [
        [reference.keep_hard_entries(g, x, strength) for x in row]
        for g, row in zip(weight.view(-1).tolist(), z.tolist(), strict=True)
    ]
    torch.testing.assert_close(kept, torch.tensor(expected, dtype=torch.float64))


def test_an_easy_entry_keeps_g_and_a_hard_one_keeps_one():
    kept = keep_hard_entries(torch.tensor([0.1, 0.1]), torch.tensor([-80.0, 80.0], requires_grad=True), 1.0)
    assert kept.tolist() == pytest.approx([0.1, 1.0]) and not kept.requires_grad
    assert keep_hard_entries(torch.tensor([0.1]), torch.tensor([2.0]), 0.0).item() == pytest.approx(0.1)
    assert keep_hard_entries(torch.ones(2), torch.zeros(2, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.8])
def test_mitigation_weights_match_reference(exponent):
    counts = [200, 0, 50, 1500]
    expected = reference.mitigation_weights(counts, exponent)
    torch.testing.assert_close(mitigation_weights(counts, exponent), torch.tensor(expected))


def test_a_rare_class_is_spared_at_frequent_objects_only():
    matrix = mitigation_weights([100, 400], 0.5)
    assert matrix.tolist() == [[1.0, 1.0], [0.5, 1.0]]
    # A class that nobody labelled is pushed down by all.
    assert mitigation_weights([100, 0], 0.5).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"strength must be >= 0, got -1"):
        keep_hard_entries(torch.ones(2), torch.zeros(2), -1)
    with pytest.raises(ValueError, match=r"weight must broadcast to \(2,\), got \(3,\)"):
        keep_hard_entries(torch.ones(3), torch.zeros(2))
    with pytest.raises(ValueError, match=r"exponent must be >= 0, got -1"):
        mitigation_weights([1, 2], -1)
    with pytest.raises(ValueError, match=r"counts must have shape \(C,\)"):
        mitigation_weights([[1.0]], 1)
