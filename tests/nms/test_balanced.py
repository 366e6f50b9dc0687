"""Balanced NMS against loops, by hand-drawn cases, and next to torchvision's greedy NMS."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import batched_nms

from reg_yolo.nms import balanced as module
from reg_yolo.nms import balanced_nms, greedy, survivors
from tests.nms import reference
from tests.nms.scenes import random_scene

MODES = ("closeness", "printed")
WAYS = ("few", "many", "many in chunks")


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the work is done: all at once for few boxes, sorted by place for many, chunk by chunk for very many."""
    force(request.param, monkeypatch)
    return request.param


def force(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "few":
        monkeypatch.setattr(survivors, "FEW_BOXES", 0)
        monkeypatch.setattr(module, "FEW_PAIRS", 0)
    if way == "many in chunks":
        monkeypatch.setattr("reg_yolo.nms.pairs.CHUNK", 50)
        monkeypatch.setattr("reg_yolo.nms.pairs.CROWDED", 0)


def kept(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, mode: str = "closeness") -> list[int]:
    return balanced_nms(boxes, scores, labels, threshold, mode).indices.tolist()


def by_loops(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float, mode: str = "closeness") -> list[int]:
    lists = (boxes.double().tolist(), scores.double().tolist(), labels.long().tolist())
    return reference.balanced_nms(*lists, threshold, mode)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 200),
    classes=st.sampled_from([1, 3]),
    grid=st.sampled_from([0.0, 1.0, 4.0]),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    mode=st.sampled_from(MODES),
)
def test_against_loops(way, seed, count, classes, grid, threshold, mode):
    scene = random_scene(seed, count, classes, grid)
    with pytest.MonkeyPatch.context() as patch:
        force(way, patch)
        assert kept(*scene, threshold, mode) == by_loops(*scene, threshold, mode)


# One object at (0, 0, 40, 40): four boxes close to it, and a better scored one that is off.
DRAWN = torch.tensor([[x, 0.0, x + 40, 40] for x in (9.0, 0, -2, -3, -1)])
DRAWN_SCORES = torch.tensor([0.85, 0.80, 0.79, 0.79, 0.79])


def test_the_better_placed_box_survives_where_greedy_nms_keeps_the_higher_score():
    labels = torch.zeros(5)
    assert batched_nms(DRAWN, DRAWN_SCORES, labels, 0.5).tolist() == [0]
    assert kept(DRAWN, DRAWN_SCORES, labels, 0.5) == [1]
    # As printed the worst placed of all wins.
    assert kept(DRAWN, DRAWN_SCORES, labels, 0.5, "printed") == [0]


def test_a_clear_score_wins_over_a_better_place():
    scores = torch.tensor([0.99, 0.3, 0.3, 0.3, 0.3])
    assert kept(DRAWN, scores, torch.zeros(5), 0.5) == [0]


def test_boxes_of_another_class_pull_no_centre():
    # With only one of the close boxes the centre lies between the two, and the higher score wins.
    assert kept(DRAWN, DRAWN_SCORES, torch.tensor([0, 0, 1, 1, 1]), 0.5) == [2, 0]


def test_the_centre_weighs_boxes_by_their_score():
    # The plain mean of the centres is the reference's, 0; the weighted one lies at 2.1, closer to those at 4.
    boxes = torch.tensor([[x, 0.0, x + 40, 40] for x in (0.0, *[4.0] * 20, *[-20.0] * 4)])
    scores = torch.tensor([0.9, *[0.8999] * 20, *[0.0] * 4])
    assert kept(boxes, scores, torch.zeros(25), 0.3) == [1]
    assert kept(boxes, torch.tensor([0.9, *[0.8999] * 24]), torch.zeros(25), 0.3) == [0]


def test_the_distance_is_measured_in_the_references_diagonal():
    # The same drawing ten times as large gives the same winner; in pixels the distance would outweigh any score.
    for scale in (0.1, 1.0, 10.0):
        scores = torch.tensor([0.99, 0.8, 0.79, 0.79, 0.79])
        assert kept(DRAWN * scale, scores, torch.zeros(5), 0.5) == [0]
        assert kept(DRAWN * scale, DRAWN_SCORES, torch.zeros(5), 0.5) == [1]


def test_winners_that_overlap_are_suppressed_in_the_order_of_their_rank():
    # Two references overlap by less than the threshold, their winners by more: the better ranked one stays.
    for seed in range(400):
        boxes, scores, labels = random_scene(seed, 60, 1, 0.0)
        found = kept(boxes, scores, labels, 0.3)
        overlap = torch.tensor([[reference.iou(a, b) for a in boxes[found].tolist()] for b in boxes[found].tolist()])
        assert (overlap.fill_diagonal_(0.0) <= 0.3).all()


@pytest.mark.parametrize("count", [1, 5, 120, 1500])
def test_equals_greedy_nms_where_all_centres_coincide(count):
    generator = torch.Generator().manual_seed(count)
    place = torch.randint(0, 4, (count, 2), generator=generator) * 300.0
    half = 20 + 80 * torch.rand(count, 2, generator=generator)
    half = (half * 4).round() / 4
    boxes, labels = torch.cat((place - half, place + half), 1), torch.randint(0, 3, (count,), generator=generator)
    scores = torch.rand(count, generator=generator)
    for threshold in (0.3, 0.5, 0.7):
        expected = batched_nms(boxes.double() + 200, scores.double(), labels, threshold).tolist()
        assert len(expected) < count or count < 6
        for mode in MODES:
            assert kept(boxes, scores, labels, threshold, mode) == expected


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_ties_go_to_the_lower_index(way):
    boxes = DRAWN[1:2].repeat(6, 1)
    boxes[3:] += 500
    assert kept(boxes, torch.full((6,), 0.5), torch.zeros(6), 0.5) == [0, 3]
    # Mirrored around the centre: sums that differ in the last digit are ties all the same.
    mirrored = torch.tensor([[-3.3, 0, 36.7, 40], [3.3, 0, 43.3, 40]])
    for order in ([0, 1], [1, 0]):
        assert kept(mirrored[order], torch.full((2,), 0.5), torch.zeros(2), 0.5) == [0]
    assert way in WAYS


def test_scores_stay_and_keep_their_type():
    for dtype in (torch.float16, torch.float32, torch.float64):
        result = balanced_nms(DRAWN.to(dtype), DRAWN_SCORES.to(dtype), torch.zeros(5), 0.5)
        assert result.scores.dtype == dtype and result.scores.tolist() == DRAWN_SCORES.to(dtype)[[1]].tolist()


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_unsound_boxes_are_dropped_and_counted(way):
    nan, inf = float("nan"), float("inf")
    bad = torch.tensor([[nan, 0, 40, 40], [0, 0, inf, 40], [40, 0, 0, 40], [0, 40, 40, 0], [0, 0, 40, 40]])
    boxes = torch.cat((bad[:2], DRAWN, bad[2:]))
    scores = torch.cat((torch.tensor([0.9, 0.9]), DRAWN_SCORES, torch.tensor([0.9, 0.9, nan])))
    result = balanced_nms(boxes, scores, torch.zeros(10), 0.5)
    assert result.indices.tolist() == [3] and result.dropped == 5
    nothing = balanced_nms(bad[:4], torch.ones(4), torch.zeros(4), 0.5)
    assert len(nothing.indices) == 0 and nothing.dropped == 4
    assert way in WAYS


def test_none_one_and_boxes_without_area():
    empty = balanced_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), 0.5)
    assert empty.indices.shape == empty.scores.shape == (0,) and empty.indices.dtype == torch.int64
    assert kept(DRAWN[:1], DRAWN_SCORES[:1], torch.zeros(1), 0.5) == [0]
    points = torch.tensor([[5.0, 5, 5, 5]]).repeat(3, 1)
    assert kept(points, torch.tensor([0.5, 0.7, 0.6]), torch.zeros(3), 0.5) == [1, 2, 0]


def test_thirty_thousand_boxes_by_chunks_of_classes_agree_with_loops_over_classes(monkeypatch):
    boxes, scores, labels = random_scene(1, 30_000, 5, 0.0, size=6000.0)
    found = kept(boxes, scores, labels, 0.5)
    parts = []
    for label in range(5):
        rows = (labels == label).nonzero().squeeze(1)
        parts += rows[balanced_nms(boxes[rows], scores[rows], labels[rows], 0.5).indices].tolist()
    assert sorted(parts) == sorted(found) and 1000 < len(found) < 29_000
    monkeypatch.setattr("reg_yolo.nms.pairs.CHUNK", 20_000)
    assert kept(boxes, scores, labels, 0.5) == found


def test_labels_may_be_any_whole_numbers():
    boxes, scores, labels = random_scene(3, 150, 3, 0.0)
    expected = kept(boxes, scores, labels, 0.5)
    for other in (labels * 10**12 - 5, -labels, labels.float(), labels + 77):
        assert kept(boxes, scores, other, 0.5) == expected


def test_boxes_far_apart_stay_exact():
    boxes, scores, labels = random_scene(4, 100, 3, 1.0)
    boxes = torch.cat((boxes, torch.tensor([[1e9, 1e9, 1e9 + 1e6, 1e9 + 1e6]])))
    scores, labels = torch.cat((scores, scores[:1])), torch.cat((labels, labels[:1]))
    assert kept(boxes, scores, labels, 0.5) == by_loops(boxes, scores, labels, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (torch.zeros(2, 5), torch.zeros(2), torch.zeros(2), 0.5),
            r"boxes_xyxy must have shape \(N, 4\), got \(2, 5\)",
        ),
        ((torch.zeros(2, 4), torch.zeros(3), torch.zeros(2), 0.5), r"scores must have shape \(2,\), got \(3,\)"),
        ((torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, 1), 0.5), r"labels must have shape \(2,\), got \(2, 1\)"),
        ((torch.zeros(2, 4), torch.zeros(2), torch.zeros(2), 1.5), r"iou_threshold must be in \[0, 1\], got 1.5"),
        ((torch.zeros(2, 4), torch.zeros(2), torch.zeros(2), 0.5, "closer"), "one of closeness, printed, got 'closer'"),
    ],
)
def test_errors_name_what_was_given(arguments, message):
    with pytest.raises(ValueError, match=message):
        balanced_nms(*arguments)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 80), grid=st.sampled_from([0.0, 2.0]))
def test_greedy_part_is_torchvisions(seed, count, grid):
    boxes, scores, labels = (t.double() for t in random_scene(seed, count, 3, grid))
    boxes -= boxes.min()
    found = greedy.greedy_nms(boxes, scores, labels.long(), 3, 0.5)
    assert found.tolist() == batched_nms(boxes, scores, labels.long(), 0.5).tolist()
