"""Scores that weigh the box distributions, and sigma of each side, against distributions drawn by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from ultralytics.nn.tasks import DetectionModel, SegmentationModel

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.suppression.box_spread import rescored, strides_of, widened_output
from reg_yolo.yolo.suppression.suppression import Suppression

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES, BINS = 2, 16
SIZE = (64, 64)
ANCHORS = 64 + 16 + 4


def distributions(low: int, high: int) -> Tensor:
    """Box logits Tensor[1, 4 R, A] whose every side is at `low` or at `high`, equally likely."""
    logits = torch.full((1, 4, BINS, ANCHORS), -1000.0)
    logits[:, :, [low, high]] = 0.0
    return logits.flatten(1, 2)


def output(score: float, low: int, high: int, coefficients: int = 0) -> list[object]:
    boxes = torch.tensor([32.0, 32.0, 10.0, 10.0]).view(1, 4, 1).expand(1, 4, ANCHORS)
    tail = torch.rand(1, coefficients, ANCHORS, generator=torch.Generator().manual_seed(0))
    raw = torch.cat((boxes, torch.full((1, CLASSES, ANCHORS), score), tail), 1)
    preds = {"boxes": distributions(low, high)}
    return [(raw, torch.zeros(1)), preds] if coefficients else [raw, preds]


def test_sigma_is_the_deviation_in_strides_of_the_anchor() -> None:
    # Two and four bins, equally likely: mean 3, deviation 1.
    found = widened_output(output(0.5, 2, 4), SuppressionSettings(sigma=True), CLASSES, 32, SIZE)[0]
    assert found.shape == (1, 4 + CLASSES + 4, ANCHORS)
    expected = torch.tensor([8.0] * 64 + [16.0] * 16 + [32.0] * 4).expand(4, ANCHORS)
    torch.testing.assert_close(found[0, -4:], expected)
    # Four levels, of an input that is wider than it is high.
    assert strides_of((64, 128), 64, 170).tolist() == [8.0] * 128 + [16.0] * 32 + [32.0] * 8 + [64.0] * 2


def test_anchor_points_that_do_not_follow_from_the_input_are_refused() -> None:
    with pytest.raises(ConfigError, match="84 anchor points do not follow from an input of 64x32"):
        strides_of((64, 32), 32, ANCHORS)


@pytest.mark.parametrize("coefficients", [0, 3], ids=["detect", "segment"])
def test_the_outputs_of_an_export_are_read_as_pytorchs(coefficients: int) -> None:
    asked = SuppressionSettings(rescore="spread", sigma=True)
    given = output(0.5, 2, 4, coefficients=coefficients)
    first = given[0] if coefficients else (given[0],)
    prototypes = [torch.zeros(1, 3, 16, 16)] if coefficients else []
    export = [first[0], *prototypes, given[1]["boxes"]]  # type: ignore[index]
    found = widened_output(export, asked, CLASSES, 32, SIZE)
    wanted = widened_output(given, asked, CLASSES, 32, SIZE)[0]
    assert torch.equal(found[0], wanted[0] if coefficients else wanted)
    assert all(a is b for a, b in zip(found[1:], export[1:], strict=True))
    with pytest.raises(ConfigError, match="export --distributions"):
        widened_output(export[:-1] if coefficients else export[0], asked, CLASSES, 32, SIZE)


def test_sides_keep_their_order() -> None:
    preds = output(0.5, 2, 2)
    sides = preds[1]["boxes"].view(1, 4, BINS, ANCHORS)  # type: ignore[index]
    for side, apart in enumerate((0, 1, 2, 3)):
        sides[:, side, [4 - apart, 4 + apart]] = 2000.0
    found = widened_output(preds, SuppressionSettings(sigma=True), CLASSES, 32, SIZE)[0]
    assert found[0, -4:, 0].tolist() == pytest.approx([0.0, 8.0, 16.0, 24.0], abs=1e-3)


def test_dfl_gives_the_expected_probability() -> None:
    # Spread: deviation 1 over mean 3 + 1.
    found = widened_output(output(0.9, 2, 4), SuppressionSettings(rescore="dfl"), CLASSES, 32, SIZE)[0]
    wanted = 1 / (1 + math.exp(-math.log(9) / math.sqrt(1 + math.pi * 0.25**2 / 8)))
    assert found[0, 4:6].unique().tolist() == pytest.approx([wanted], abs=1e-6) and wanted < 0.9
    # A blurred box below one half rises.
    assert widened_output(output(0.1, 2, 4), SuppressionSettings(rescore="dfl"), CLASSES, 32, SIZE)[0][0, 4, 0] > 0.1


def test_spread_lowers_every_blurred_box() -> None:
    found = widened_output(output(0.8, 2, 4), SuppressionSettings(rescore="spread"), CLASSES, 32, SIZE)[0]
    assert found[0, 4:6].unique().tolist() == pytest.approx([0.8 * 0.75])
    # Zero or fifteen bins with one chance in ten: the spread exceeds 1, the score stays a score.
    mean, deviation = torch.full((1, 1, 4), 1.5), torch.full((1, 1, 4), 4.5)
    assert rescored(torch.tensor([[[0.8]]]), mean, deviation, "spread").item() == 0.0


@pytest.mark.parametrize("kind", ["dfl", "spread"])
def test_a_certain_box_keeps_its_score_to_the_last_digit(kind: str) -> None:
    scores = torch.tensor([[[0.0, 1e-9, 0.3, 1.0]]])
    zero = torch.zeros(1, 4, 4)
    assert torch.equal(rescored(scores, zero + 2.0, zero, kind), scores)  # type: ignore[arg-type]
    blurred = rescored(scores, zero + 2.0, zero + 1.0, kind)  # type: ignore[arg-type]
    assert blurred.isfinite().all() and (blurred >= 0).all() and (blurred <= 1).all()


def test_masks_stay_between_scores_and_sigma_and_follow_their_boxes() -> None:
    given = output(0.5, 2, 4, coefficients=3)
    found = widened_output(given, SuppressionSettings("balanced", "spread", sigma=True), CLASSES, 32, SIZE)
    raw, prototypes = found[0]
    assert torch.equal(raw[:, 6:9], given[0][0][:, 6:9]) and prototypes is given[0][1]  # type: ignore[index]
    rows = Suppression("balanced")(raw, 0.1, 0.5, nc=CLASSES)[0]
    assert rows.shape[1] == 6 + 3 + 4
    for row in rows:
        anchor = (raw[0, 6:9] == row[6:9, None]).all(0).nonzero().item()
        assert torch.equal(raw[0, 9:, anchor], row[9:])


def test_without_a_wish_the_output_is_the_same_object() -> None:
    given = output(0.5, 2, 4)
    assert widened_output(given, SuppressionSettings("balanced"), CLASSES, 32, SIZE) is given


@pytest.mark.parametrize("given", [torch.zeros(1, 6, ANCHORS), [torch.zeros(1, 6, ANCHORS), torch.zeros(1)]])
def test_an_output_without_distributions_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match=r"`rescore`: needs the box distributions.*\.pt weights"):
        widened_output(given, SuppressionSettings(rescore="dfl"), CLASSES, 32, SIZE)
    with pytest.raises(ConfigError, match="`sigma`: needs"):
        widened_output(given, SuppressionSettings(rescore="dfl", sigma=True), CLASSES, 32, SIZE)


@pytest.mark.parametrize(("kind", "name"), [(DetectionModel, "yolov8n.yaml"), (SegmentationModel, "yolov8n-seg.yaml")])
def test_the_head_gives_its_distributions_out(kind: type, name: str) -> None:
    torch.manual_seed(0)
    model = kind(name, nc=CLASSES, verbose=False).eval()
    with torch.no_grad():
        preds = model(torch.rand(1, 3, 64, 64))
    found = widened_output(
        preds, SuppressionSettings(rescore="spread", sigma=True), CLASSES, int(max(model.stride)), SIZE
    )
    (before, after) = (x[0][0] if isinstance(x[0], tuple) else x[0] for x in (preds, found))
    assert after.shape[1] == before.shape[1] + 4 and torch.equal(after[:, :4], before[:, :4])
    assert (after[:, 4 : 4 + CLASSES] < before[:, 4 : 4 + CLASSES]).all()
    assert ((after[:, -4:] > 0) & (after[:, -4:] < 32 * BINS)).all()
