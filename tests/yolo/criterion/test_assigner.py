"""The sparse assigner against Ultralytics' dense one: the same result to the last bit, whatever the head predicts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from reg_yolo.yolo.criterion.candidates import pairs_on_grids
from reg_yolo.yolo.criterion.targets import GroundTruth, Positives

from ultralytics.utils.tal import TaskAlignedAssigner  # isort: skip

pytestmark = pytest.mark.usefixtures("one_thread")

STRIDES = (8, 16, 32)
OUTPUTS = ("labels", "boxes", "scores", "has_object", "object_index")


def grids(image_size):
    """Anchor points in pixels and the shape of each level."""
    points, shapes = [], []
    for stride in STRIDES:
        side = image_size // stride
        cells = (torch.arange(side) + 0.5) * stride
        rows, columns = torch.meshgrid(cells, cells, indexing="ij")
        points.append(torch.stack((columns, rows), -1).view(-1, 2))
        shapes.append((side, side))
    return torch.cat(points), shapes


def scene(seed, images, objects, image_size, classes, kind):
    """Scores, predicted boxes, points, level shapes and ground truth of one of several kinds of difficulty."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    points, shapes = grids(image_size)
    smallest, largest = {"tiny": (1.0, 14.0), "huge": (0.5 * image_size, image_size)}.get(kind, (4.0, 0.6 * image_size))
    size = smallest + (largest - smallest) * uniform(images, objects, 2)
    low = uniform(images, objects, 2) * (image_size - size).clamp(min=0.0)
    if kind == "aligned":
        # Borders that run through anchor points.
        low, size = (low / 4).round() * 4, (size / 8).round().clamp(min=1) * 8
    if kind == "stacked":
        low, size = low[:, :1].expand_as(low), size[:, :1].expand_as(size)
    boxes = torch.cat((low, low + size), -1)
    labels = torch.randint(0, classes, (images, objects, 1), generator=generator).float()
    present = torch.randint(0, objects + 1, (images,), generator=generator)
    padding = torch.arange(objects) >= present[:, None]
    boxes[padding], labels[padding] = 0.0, 0.0
    truth = GroundTruth(labels, boxes, boxes.sum(2, keepdim=True).gt_(0.0))

    scores = uniform(images, len(points), classes)
    reach = uniform(images, len(points), 4) * (0.2 if kind == "poor" else 0.5) * image_size
    predicted = torch.cat((points - reach[..., :2], points + reach[..., 2:]), -1)
    if objects and kind != "poor":
        nearest = uniform(images, len(points)).mul(objects).long().clamp(max=objects - 1)
        near = torch.gather(boxes, 1, nearest.unsqueeze(-1).expand(-1, -1, 4)) + 6.0 * (uniform(*predicted.shape) - 0.5)
        predicted = torch.where(uniform(images, len(points), 1) < 0.6, near, predicted)
    if kind == "ties":
        scores, predicted = (scores * 2).round() / 2, (predicted / 16).round() * 16
    if kind == "silent":
        scores = torch.zeros_like(scores)
    return scores, predicted, points, shapes, truth


def both(arguments, topk=10, with_levels=True):
    """Upstream's five outputs and ours."""
    scores, predicted, points, shapes, truth = arguments
    settings_ = {"topk": topk, "num_classes": scores.shape[-1], "alpha": 0.5, "beta": 6.0, "stride": [8.0, 16.0, 32.0]}
    stock = TaskAlignedAssigner(**settings_)
    expected = stock(scores, predicted, points, truth.labels, truth.boxes, truth.valid)
    ours = SparseTaskAlignedAssigner.like(stock)
    levels = shapes if with_levels else None
    positives = ours.assign(scores, lambda image, anchor: predicted[image, anchor], points, truth, levels)
    if positives is None:
        positives = ours.assign_densely(scores, predicted, points, truth)
    has_object, object_index = positives.dense_assignment(*scores.shape[:2])
    return expected, (None, None, positives.dense_scores(scores.shape), has_object, object_index)


def assert_same(expected, actual):
    for name, left, right in zip(OUTPUTS, expected, actual, strict=True):
        if right is not None:
            # For a batch without any object upstream returns indices as floating point numbers.
            torch.testing.assert_close(right, left.to(right.dtype), rtol=0.0, atol=0.0, equal_nan=True, msg=name)


KINDS = ("plain", "tiny", "huge", "aligned", "stacked", "poor", "ties", "silent")


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 3),
    objects=st.integers(1, 40),
    image_size=st.sampled_from([32, 64, 96, 160]),
    classes=st.sampled_from([1, 3, 7]),
    kind=st.sampled_from(KINDS),
    topk=st.sampled_from([1, 3, 10, 13]),
)
def test_the_sparse_assignment_is_upstreams(seed, images, objects, image_size, classes, kind, topk):
    arguments = scene(seed, images, objects, image_size, classes, kind)
    assert_same(*both(arguments, topk))


@pytest.mark.parametrize("kind", KINDS)
def test_points_that_are_no_known_grids(kind):
    for seed in range(4):
        assert_same(*both(scene(seed, 3, 12, 96, 3, kind), with_levels=False))


@pytest.mark.parametrize("spare", [0, 1, 2, 5])
def test_equal_candidates_are_chosen_as_upstream_chooses(spare):
    points, shapes = grids(96)
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        low = 60 * torch.rand(2, generator=generator)
        boxes = torch.cat((low, low + 10 + 25 * torch.rand(2, generator=generator))).view(1, 1, 4)
        truth = GroundTruth(torch.zeros(1, 1, 1), boxes, torch.ones(1, 1, 1))
        candidates = int(pairs_on_grids(boxes[0], points, shapes).counts)
        # Every point predicts the very box, so that all candidates tie.
        arguments = (torch.full((1, len(points), 1), 0.3), boxes.expand(1, len(points), 4), points, shapes, truth)
        if candidates > spare:
            assert_same(*both(arguments, topk=candidates - spare))


def test_more_objects_than_anchor_points():
    arguments = scene(3, 2, 60, 32, 3, "plain")
    assert len(arguments[2]) == 21
    assert_same(*both(arguments))


@pytest.mark.parametrize("objects", [0, 5])
def test_no_object_at_all(objects):
    scores, predicted, points, shapes, truth = scene(0, 2, max(objects, 1), 64, 3, "plain")
    empty = GroundTruth(*(torch.zeros_like(t[:, :objects]) for t in (truth.labels, truth.boxes, truth.valid)))
    expected, actual = both((scores, predicted, points, shapes, empty), with_levels=False)
    assert_same(expected, actual)
    assert not actual[3].any()
    positives = SparseTaskAlignedAssigner(num_classes=3).assign(
        scores, lambda image, anchor: predicted[image, anchor], points, empty, shapes
    )
    assert len(positives.image) == 0


def test_nan_predictions_are_left_to_upstream():
    scores, predicted, points, shapes, truth = scene(5, 2, 6, 64, 3, "plain")
    predicted[0] = torch.nan
    stock = TaskAlignedAssigner(topk=10, num_classes=3, alpha=0.5)
    labels, _, *expected = stock(scores, predicted, points, truth.labels, truth.boxes, truth.valid)
    ours = SparseTaskAlignedAssigner.like(stock)
    assert ours.assign(scores, lambda image, anchor: predicted[image, anchor], points, truth, shapes) is None
    positives = ours.assign_densely(scores, predicted, points, truth)
    wanted = Positives.of_dense(labels, *expected)
    assert wanted.score.isnan().any() and len(wanted.score) == len(positives.score)
    torch.testing.assert_close(positives.score, wanted.score, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(positives.object, wanted.object) and torch.equal(positives.anchor, wanted.anchor)


def test_a_second_limit_on_candidates_is_left_to_upstream():
    scores, predicted, points, shapes, truth = scene(6, 2, 6, 64, 3, "plain")
    stock = TaskAlignedAssigner(topk=10, num_classes=3, topk2=4)
    ours = SparseTaskAlignedAssigner.like(stock)
    assert ours.assign(scores, lambda image, anchor: predicted[image, anchor], points, truth, shapes) is None
    arguments = (scores, predicted, points, truth.labels, truth.boxes, truth.valid)
    assert_same(stock(*arguments), ours(*arguments))


def test_boxes_are_decoded_only_inside_objects_and_once():
    scores, predicted, points, shapes, truth = scene(7, 2, 8, 96, 3, "stacked")
    asked = []

    def boxes_at(image, anchor):
        asked.append(torch.stack((image, anchor), 1))
        return predicted[image, anchor]

    SparseTaskAlignedAssigner(topk=10, num_classes=3).assign(scores, boxes_at, points, truth, shapes)
    (cells,) = asked
    assert len(cells.unique(dim=0)) == len(cells) < scores.shape[0] * scores.shape[1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["plain", "tiny", "huge", "aligned"]))
def test_candidates_are_the_points_inside(seed, kind):
    _, _, points, shapes, truth = scene(seed, 1, 9, 96, 3, kind)
    boxes = truth.boxes[0]
    pairs = pairs_on_grids(boxes, points, shapes)
    expected = [
        (row, anchor)
        for row, (x1, y1, x2, y2) in enumerate(boxes.tolist())
        for anchor, (x, y) in enumerate(points.tolist())
        if x1 < x < x2 and y1 < y < y2
    ]
    assert list(zip(pairs.rows.tolist(), pairs.anchors.tolist(), strict=True)) == expected
    assert pairs.counts.tolist() == [sum(row == r for r, _ in expected) for row in range(len(boxes))]
