import math

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import center_distance, edge_distance, spatial_context_weight

LEVELS = [(6, 8), (3, 4), (2, 2)]
STRIDES = [8.0, 16.0, 32.0]


def anchor_grid():
    points, strides = [], []
    for (rows, columns), stride in zip(LEVELS, STRIDES, strict=True):
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        points.append(torch.stack([x, y], -1).view(-1, 2) * stride)
        strides.append(torch.full((rows * columns,), stride))
    return torch.cat(points), torch.cat(strides)


def ground_truth(batch=3, count=7, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(batch, count, 4, generator=generator) * 40
    boxes[..., 2:] = boxes[..., :2] + torch.rand(batch, count, 2, generator=generator) * torch.tensor([30.0, 9.0]) + 2
    labels = torch.randint(0, classes - 1, (batch, count), generator=generator)
    valid = torch.rand(batch, count, generator=generator) > 0.3
    return boxes, labels, valid


@pytest.mark.parametrize("levels", [None, LEVELS])
@pytest.mark.parametrize("kind", ["center", "edge"])
def test_distances_match_reference(kind, levels):
    points, strides = anchor_grid()
    boxes, labels, valid = ground_truth()
    if kind == "center":
        distance = center_distance(points, boxes, labels, valid, 4, level_shapes=levels)
    else:
        distance = edge_distance(points, boxes, labels, valid, 4, strides, level_shapes=levels)
    assert distance.shape == (3, len(points), 4)
    assert torch.isinf(distance[..., 3]).all()
    assert (distance == 0).any() == (kind == "edge")
    for b in range(3):
        arguments = boxes[b].tolist(), labels[b].tolist(), valid[b].tolist()
        for a in range(len(points)):
            for c in range(4):
                point = points[a].tolist()
                if kind == "center":
                    expected = reference.center_distance(point, *arguments, c)
                else:
                    expected = reference.edge_distance(point, *arguments, c, strides[a].item())
                assert distance[b, a, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_grid_and_scattered_points_agree_bit_for_bit():
    points, strides = anchor_grid()
    boxes, labels, valid = ground_truth(seed=3)
    for function, extra in ((center_distance, ()), (edge_distance, (strides,))):
        grid = function(points, boxes, labels, valid, 4, *extra, level_shapes=LEVELS)
        assert torch.equal(grid, function(points, boxes, labels, valid, 4, *extra))


def test_many_scattered_points_are_taken_in_pieces():
    points = torch.rand(1300, 2, generator=torch.Generator().manual_seed(1)) * 64
    boxes, labels, valid = ground_truth(seed=4)
    whole = center_distance(points, boxes, labels, valid, 4)
    parts = torch.cat([center_distance(part, boxes, labels, valid, 4) for part in points.split(100)], 1)
    assert torch.equal(whole, parts)


def test_a_corner_is_at_center_distance_one():
    box = torch.tensor([[[10.0, 20.0, 50.0, 28.0]]])
    corners = torch.tensor([[10.0, 20.0], [50.0, 28.0], [30.0, 24.0]])
    distance = center_distance(corners, box, torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1).bool(), 1)
    assert distance.flatten().tolist() == pytest.approx([1.0, 1.0, 0.0])


def test_the_minimum_is_of_normalised_distances():
    # 30 px from a large box's centre is nearer than 10 px from a small one's
    boxes = torch.tensor([[[0.0, 0.0, 80.0, 60.0], [78.0, 29.0, 82.0, 31.0]]])
    distance = center_distance(
        torch.tensor([[70.0, 30.0]]), boxes, torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2).bool(), 1
    )
    assert distance.item() == pytest.approx(0.6)


@settings(max_examples=25, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.5, 4.0), st.integers(0, 20))
def test_invariance(dx, dy, scale, seed):
    points, strides = anchor_grid()
    boxes, labels, valid = ground_truth(seed=seed)
    shift = torch.tensor([dx, dy])
    moved = boxes + shift.repeat(2)
    before = center_distance(points, boxes, labels, valid, 4)
    torch.testing.assert_close(center_distance(points + shift, moved, labels, valid, 4), before, rtol=1e-3, atol=1e-3)
    scaled = center_distance(points * scale, boxes * scale, labels, valid, 4)
    torch.testing.assert_close(scaled, before, rtol=1e-3, atol=1e-3)
    edge = edge_distance(points, boxes, labels, valid, 4, strides)
    torch.testing.assert_close(
        edge_distance(points * scale, boxes * scale, labels, valid, 4, strides * scale), edge, rtol=1e-3, atol=1e-3
    )


def test_padding_and_order_of_boxes_do_not_matter():
    points, _ = anchor_grid()
    boxes, labels, valid = ground_truth()
    garbage = torch.where(valid[..., None], boxes, torch.full_like(boxes, torch.nan))
    dirty_labels = torch.where(valid, labels, torch.full_like(labels, -1))
    expected = center_distance(points, boxes, labels, valid, 4)
    assert torch.equal(center_distance(points, garbage, dirty_labels, valid, 4), expected)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(center_distance(points, boxes[:, order], labels[:, order], valid[:, order], 4), expected)
    columns = center_distance(points, boxes, labels[..., None].float(), valid[..., None].float(), 4)
    assert torch.equal(columns, expected)


@pytest.mark.parametrize("count", [0, 3])
def test_images_without_objects_are_infinitely_far(count):
    points, strides = anchor_grid()
    arguments = torch.zeros(2, count, 4), torch.zeros(2, count).long(), torch.zeros(2, count).bool(), 5
    for distance in (center_distance(points, *arguments), edge_distance(points, *arguments, strides)):
        assert distance.shape == (2, len(points), 5)
        assert torch.isinf(distance).all()


def test_a_box_without_size_has_finite_distances():
    box = torch.tensor([[[20.0, 20.0, 20.0, 20.0]]])
    points = torch.tensor([[20.0, 20.0], [23.0, 24.0]])
    distance = center_distance(points, box, torch.zeros(1, 1).long(), torch.ones(1, 1).bool(), 1)
    assert distance.flatten().tolist() == pytest.approx([0.0, 10.0])


@pytest.mark.parametrize("beta", [-3.0, -0.5, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_weight_matches_reference(floor, beta):
    distances = [0.0, 0.2, 1.0, 2.5, 40.0, math.inf]
    weight = spatial_context_weight(torch.tensor(distances, dtype=torch.float64), beta, 1.0, floor)
    expected = [reference.spatial_context_weight(d, beta, 1.0, floor) for d in distances]
    assert weight.tolist() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 100), st.floats(0, 100), st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 1))
def test_weight_is_bounded_and_monotone_in_the_sign_of_beta(near, far, beta, delta, floor):
    distance = torch.tensor(sorted([near, far]), dtype=torch.float64)
    before = distance.clone()
    weight = spatial_context_weight(distance, beta, delta, floor)
    assert torch.equal(distance, before)
    assert ((weight >= floor) & (weight <= 1)).all()
    assert (weight[1] - weight[0]).item() * beta >= 0


def test_weight_gradient_and_limits():
    distance = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda d: spatial_context_weight(d, -2.0, 0.5, 0.1), distance)
    steps = torch.tensor([0.9, 1.0, 1.1])
    assert spatial_context_weight(steps, 1e6, 1.0).tolist() == [0.0, 0.5, 1.0]
    assert spatial_context_weight(torch.tensor([0.0, torch.inf]), 1e-9, 1.0).tolist() == pytest.approx([0.5, 1.0])
    assert spatial_context_weight(torch.tensor([torch.inf]), 0.0, 1.0).item() == 0.5


def test_wrong_arguments_are_named():
    points, strides = anchor_grid()
    boxes, labels, valid = ground_truth()
    cases = [
        ((points[:, :1], boxes, labels, valid, 4), r"anchor_points must have shape \(A, 2\), got \(64, 1\)"),
        ((points, boxes[0], labels, valid, 4), r"boxes_xyxy must have shape \(B, N, 4\), got \(7, 4\)"),
        ((points, boxes, labels[:, :2], valid, 4), r"labels must have shape \(3, 7\), got \(3, 2\)"),
        ((points, boxes, labels, valid[:1], 4), r"valid must have shape \(3, 7\), got \(1, 7\)"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            center_distance(*arguments)
        with pytest.raises(ValueError, match=message):
            edge_distance(*arguments, strides)
    with pytest.raises(ValueError, match=r"strides must have shape \(64,\), got \(3,\)"):
        edge_distance(points, boxes, labels, valid, 4, strides[:3])
    with pytest.raises(ValueError, match=r"level_shapes must add up to 64 anchor points, got \[\(6, 8\)\]"):
        center_distance(points, boxes, labels, valid, 4, level_shapes=[(6, 8)])
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\), got 0 to 2"):
        center_distance(points, boxes, labels, valid, 2)
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\]"):
        spatial_context_weight(torch.ones(1), 1.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="beta must be"):
        spatial_context_weight(torch.ones(1), math.nan, 1.0)
