import pytest
import reference
import torch
from box_pairs import make_pairs

from reg_yolo.losses import localization_score, match_anchors


def test_matches_reference():
    pred, target = make_pairs()
    scores = torch.linspace(0, 1, len(pred), dtype=torch.float64)
    for alpha in (0.0, 0.3, 0.75, 1.0):
        s, iou = localization_score(scores, pred, target, alpha)
        expected = [
            reference.localization_score(*values, alpha)
            for values in zip(scores.tolist(), pred.tolist(), target.tolist(), strict=True)
        ]
        assert list(zip(s.tolist(), iou.tolist(), strict=True)) == [pytest.approx(pair) for pair in expected]


def test_a_tiny_box_inside_an_object_scores_one_on_place():
    score, iou = localization_score(
        torch.tensor([0.0]), torch.tensor([[5.0, 5, 6, 6]]), torch.tensor([[0.0, 0, 1000, 1000]]), 0.75
    )
    assert score.item() == pytest.approx(0.25) and iou.item() == pytest.approx(1e-6)


def test_boxes_without_area_and_disjoint_ones_overlap_by_nothing():
    boxes = torch.tensor([[5.0, 5, 5, 5], [0.0, 0, 10, 10]])
    score, iou = localization_score(torch.tensor([0.4, 0.4]), boxes, torch.tensor([[5.0, 5, 5, 5], [20.0, 0, 30, 10]]))
    assert score.tolist() == pytest.approx([0.3, 0.3]) and iou.tolist() == [0.0, 0.0]


# One ground truth over (0, 0, 10, 10) of class 1; an anchor (0, 0, 10, h) has IoU h / 10 and lies inside.
@pytest.mark.parametrize(
    ("height", "p", "expected"),
    [
        (5.0, 0.0, 0),  # eq. 5: IoU 0.5
        (4.9, 0.3, -2),  # s = 0.225 + 0.25
        (4.9, 0.34, 0),  # s = 0.505, which needs both of its terms
        (3.0, 0.34, 0),  # positive wins over background
        (4.0, 0.0, -1),  # eq. 7: IoU 0.4
        (4.1, 0.0, -2),
    ],
)
def test_drawn_anchors(height, p, expected):
    scores = torch.tensor([[0.99, p]])
    found = match_anchors(
        torch.tensor([[0.0, 0, 10, height]]), scores, torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1])
    )
    assert found.tolist() == [expected]


def test_of_several_objects_the_one_with_the_highest_iou():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 12], [0.0, 0, 10, 12]])
    found = match_anchors(
        torch.tensor([[0.0, 0, 10, 11.5]]), torch.zeros(1, 1), boxes, torch.zeros(3, dtype=torch.long)
    )
    assert found.tolist() == [1]


def test_matching_is_the_references():
    generator = torch.Generator().manual_seed(0)
    low = 40 * torch.rand(300, 2, generator=generator, dtype=torch.float64)
    anchors = torch.cat((low, low + 5 + 20 * torch.rand(300, 2, generator=generator)), 1)
    scores = torch.rand(300, 3, generator=generator, dtype=torch.float64)
    boxes, labels = anchors[:6] + 1.0, torch.tensor([0, 1, 2, 2, 1, 0])
    for alpha, threshold in ((0.75, 0.5), (0.5, 0.8)):
        found = match_anchors(anchors, scores, boxes, labels, alpha, threshold).tolist()
        lists = (anchors.tolist(), scores.tolist(), boxes.tolist(), labels.tolist())
        assert found == reference.match_anchors(*lists, alpha, threshold)
        assert {-2, -1} < set(found)


def test_without_objects_all_is_background():
    found = match_anchors(torch.rand(4, 4), torch.rand(4, 2), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    assert found.tolist() == [-1] * 4


def test_errors():
    boxes = torch.rand(2, 4)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1.5"):
        localization_score(torch.rand(2), boxes, boxes, 1.5)
    with pytest.raises(ValueError, match="must have the shape of class_scores"):
        localization_score(torch.rand(3), boxes, boxes)
