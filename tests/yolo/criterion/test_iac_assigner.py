"""The IoU-classification-aware assigner: what it recalls, sparse and dense alike, and that it takes nothing away."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics.utils.tal import TaskAlignedAssigner

from reg_yolo.config.assign import AssignSettings
from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from reg_yolo.yolo.criterion.iac_assigner import assigner_for
from reg_yolo.yolo.criterion.targets import GroundTruth, ignored_entries
from tests.yolo.criterion.heads import BATCH, IMAGES, criterion, loss_and_gradients, over_stock
from tests.yolo.criterion.test_assigner import KINDS, grids, scene

pytestmark = pytest.mark.usefixtures("one_thread")


def sparse_and_dense(arguments, topk=10, **assign):
    scores, predicted, points, shapes, truth = arguments
    stock = TaskAlignedAssigner(topk=topk, num_classes=scores.shape[-1], alpha=0.5, beta=6.0, stride=[8.0, 16.0, 32.0])
    ours = assigner_for(stock, AssignSettings(kind="iac", **assign))
    sparse = ours.assign(scores, lambda image, anchor: predicted[image, anchor], points, truth, shapes)
    return sparse, ours.assign_densely(scores, predicted, points, truth)


def assert_same(left, right):
    for name in ("image", "anchor", "object", "label", "score", "ignored"):
        assert torch.equal(getattr(left, name), getattr(right, name)), name


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 3),
    objects=st.sampled_from([1, 2, 4, 20]),
    kind=st.sampled_from(KINDS),
    topk=st.sampled_from([1, 3, 10]),
    recall_target=st.sampled_from(["ignore", "iou"]),
    ignore_band=st.booleans(),
    threshold=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_sparse_equals_dense(seed, images, objects, kind, topk, recall_target, ignore_band, threshold):
    arguments = scene(seed, images, objects, 96, 3, kind)
    assign = {"recall_target": recall_target, "ignore_band": ignore_band, "threshold": threshold}
    assert_same(*sparse_and_dense(arguments, topk, **assign))


def test_the_scenes_recall_something():
    # Guards the comparison above: it would hold for scenes without any recall.
    for kind in ("plain", "huge", "stacked", "aligned"):
        found = [sparse_and_dense(scene(seed, 2, 4, 96, 3, kind), 3)[0].ignored.sum() for seed in range(6)]
        assert sum(found) > 2, kind


def test_memory_that_runs_out_changes_nothing(monkeypatch):
    arguments = scene(2, 3, 8, 96, 3, "plain")
    _, expected = sparse_and_dense(arguments, recall_target="iou", ignore_band=True)
    whole = TaskAlignedAssigner._forward

    def only_one_image(self, scores, *rest, **extra):
        if len(scores) > 1:
            raise RuntimeError("CUDA out of memory")
        return whole(self, scores, *rest, **extra)

    monkeypatch.setattr(TaskAlignedAssigner, "_forward", only_one_image)
    found = sparse_and_dense(arguments, recall_target="iou", ignore_band=True)[1]
    # A power of a smaller tensor may round differently, by the processor's vectors.
    torch.testing.assert_close(found.score, expected.score, rtol=1e-5, atol=0.0)
    assert_same(expected, replace(found, score=expected.score))


# One object over (0, 0, 64, 64) of class 0 in an image of 64 pixels. The top-1 is point 0; the others as drawn.
POINTS, SHAPES = grids(64)
OBJECT = [0.0, 0.0, 64.0, 64.0]


def drawn(points, topk=1, **assign):
    """Assign where the points named predict (score, box) for class 0, all others a box far away with score 0."""
    scores = torch.zeros(1, len(POINTS), 2)
    predicted = torch.tensor([1000.0, 1000, 1010, 1010]).expand(1, len(POINTS), 4).clone()
    for number, (score, box) in points.items():
        scores[0, number, 0], predicted[0, number] = score, torch.tensor(box)
    truth = GroundTruth(torch.zeros(1, 1, 1), torch.tensor([[OBJECT]]), torch.ones(1, 1, 1))
    sparse, dense = sparse_and_dense((scores, predicted, POINTS, SHAPES, truth), topk, **assign)
    assert_same(sparse, dense)
    return sparse


BEST = (0.9, OBJECT)


@pytest.mark.parametrize(
    ("point", "recalled"),
    [
        ((0.5, [0, 0, 64, 40]), True),  # IoU 0.625, s = 0.375 + 0.25
        ((0.3, [0, 0, 64, 40]), False),  # s = 0.225 + 0.25
        ((0.34, [0, 0, 64, 40]), True),  # s = 0.255 + 0.25: without the second term it would not be
        ((0.9, [0, 0, 64, 30]), False),  # s = 0.925, but the IoU is 0.47
        ((0.9, [20, 20, 24, 24]), False),  # a tiny box inside has intersection / min = 1
        ((0.5, [0, 0, 64, 32]), True),  # IoU 0.5 exactly
    ],
)
def test_recall_by_hand(point, recalled):
    found = drawn({0: BEST, 5: point})
    assert found.anchor.tolist() == [0]
    assert found.ignored.nonzero().tolist() == ([[0, 5]] if recalled else [])


def test_threshold_and_alpha_decide():
    point = (0.5, [0.0, 0, 64, 40])
    assert not drawn({0: BEST, 5: point}, threshold=0.7).ignored.any()
    assert not drawn({0: BEST, 5: point}, alpha=1.0, threshold=0.6).ignored.any()
    assert drawn({0: BEST, 5: point}, alpha=0.0, threshold=0.9).ignored.sum() == 1


def test_the_floor_holds_for_all_positives_of_the_object():
    # The second of the top-2 has a task-aligned target far below its IoU, the recalled one below the second's.
    points = {0: (0.9, [0.0, 0, 64, 60]), 5: (0.7, [0.0, 0, 64, 44]), 9: (0.5, [0.0, 0, 64, 40])}
    stock = drawn({n: p for n, p in points.items() if n != 9}, topk=2, recall_target="iou")
    assert stock.score[1] < 44 / 64 - 0.1
    found = drawn(points, topk=2, recall_target="iou")
    assert found.anchor.tolist() == [0, 5, 9] and not found.ignored.any()
    assert found.score[0] >= stock.score[0]
    assert found.score.tolist()[1:] == pytest.approx([44 / 64, 40 / 64])


def test_the_band_is_left_out_unless_positive():
    points = {0: BEST, 3: (0.0, [0.0, 0, 64, 28.8]), 5: (0.0, [0.0, 0, 64, 25.0]), 7: (0.0, [0.0, 0, 64, 33.0])}
    assert drawn(points, ignore_band=True).ignored.nonzero().tolist() == [[0, 3]]
    assert not drawn(points).ignored.any()
    alone = drawn({3: (0.9, [0.0, 0, 64, 28.8])}, ignore_band=True)
    assert alone.anchor.tolist() == [3] and not alone.ignored.any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS))
def test_nothing_is_taken_from_the_task_aligned_assignment(seed, kind):
    scores, predicted, points, shapes, truth = arguments = scene(seed, 2, 12, 96, 3, kind)
    stock = SparseTaskAlignedAssigner(topk=10, num_classes=3, alpha=0.5, beta=6.0, stride=[8.0, 16.0, 32.0])
    expected = stock.assign(scores, lambda image, anchor: predicted[image, anchor], points, truth, shapes)
    ignoring, _ = sparse_and_dense(arguments, recall_target="ignore")
    for name in ("image", "anchor", "object", "label", "score"):
        assert torch.equal(getattr(expected, name), getattr(ignoring, name))
    raising, _ = sparse_and_dense(arguments, recall_target="iou")
    cells = {
        (i, a): o
        for i, a, o in zip(*(getattr(raising, n).tolist() for n in ("image", "anchor", "object")), strict=True)
    }
    for i, a, o in zip(*(getattr(expected, n).tolist() for n in ("image", "anchor", "object")), strict=True):
        assert cells[i, a] == o
    assert len(raising.anchor) == len(expected.anchor) + int(ignoring.ignored.sum())
    assert (raising.score <= 1.0).all()


def test_off_is_the_stock_assigner():
    assert type(criterion("stock").assigner) is SparseTaskAlignedAssigner
    assert type(criterion(over_stock(assign="task_aligned")).assigner) is SparseTaskAlignedAssigner


def test_the_class_loss_leaves_out_what_is_ignored():
    _, stock = loss_and_gradients(criterion("stock"), BATCH)
    ours = criterion(over_stock(assign={"kind": "iac", "threshold": 0.3, "ignore_band": True}))
    _, found = loss_and_gradients(ours, BATCH)
    changed = (stock["scores"] != found["scores"]).any(1)
    assert 0 < changed.sum() < changed.numel() / 2
    assert (found["scores"].permute(0, 2, 1)[changed] == 0.0).all()
    assert torch.equal(stock["boxes"], found["boxes"])
    assert len(changed) == IMAGES


def test_recalled_points_learn_under_iou():
    _, stock = loss_and_gradients(criterion("stock"), BATCH)
    _, found = loss_and_gradients(
        criterion(over_stock(assign={"kind": "iac", "threshold": 0.3, "recall_target": "iou"})), BATCH
    )
    # More points learn a box, and a lower gradient on their class means a higher score.
    moved = (found["boxes"] != 0).any(1) & (stock["boxes"] == 0).all(1)
    assert moved.sum() > 0
    assert found["scores"].sum() < stock["scores"].sum()


def test_masks_of_classes_and_points_join():
    annotated, points = torch.tensor([[True, False]]), torch.tensor([[False, True, False]])
    assert ignored_entries(None, None) is None
    assert ignored_entries(annotated, points)[0].tolist() == [[False, True], [True, True], [False, True]]
    assert ignored_entries(annotated, None).expand(1, 3, 2).sum() == 3 and ignored_entries(None, points).sum() == 1
