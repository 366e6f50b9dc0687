"""The dense assignment, which every device but a CPU takes, forced on a CPU: it gives what the sparse one gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.nn.tasks import SegmentationModel

from reg_yolo.config.presets import PRESETS
from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from tests.yolo.criterion import segments
from tests.yolo.criterion.heads import criterion, labels, loss_and_gradients, random_labels

pytestmark = pytest.mark.usefixtures("one_thread")

BATCHES = {
    "no object": labels([], [], []),
    "an image without objects": labels([(0, 4, 4, 20, 60), (1, 28, 8, 60, 30)], [], [(2, 6, 6, 58, 50)]),
    "300 objects": random_labels(1, 3, 100),
}


@pytest.fixture
def dense(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Switch the sparse path off; the list grows by the number of images of each dense assignment."""
    taken: list[int] = []
    upstream = SparseTaskAlignedAssigner.forward

    def counted(self: SparseTaskAlignedAssigner, scores: Tensor, *arguments: Any, **extra: Any) -> Any:
        taken.append(len(scores))
        return upstream(self, scores, *arguments, **extra)

    monkeypatch.setattr(SparseTaskAlignedAssigner, "forward", counted)
    monkeypatch.setattr(SparseTaskAlignedAssigner, "assign", lambda *_, **__: None)
    return taken


def assert_same(expected: dict[str, Tensor], actual: dict[str, Tensor]) -> None:
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert value.isfinite().all(), name
        # What is summed in another order differs in the last digits.
        torch.testing.assert_close(actual[name], value, rtol=1e-5, atol=1e-8, msg=name)


@pytest.fixture(scope="module")
def network() -> SegmentationModel:
    return segments.network()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", BATCHES)
def test_detection(preset: str, name: str, request: pytest.FixtureRequest) -> None:
    expected = loss_and_gradients(criterion(preset), BATCHES[name])
    taken = request.getfixturevalue("dense")
    actual = loss_and_gradients(criterion(preset), BATCHES[name])
    assert taken == [3]
    for wanted, found in zip(expected, actual, strict=True):
        assert_same(wanted, found)


@pytest.mark.parametrize(
    ("name", "preset"), [("no object", preset) for preset in PRESETS] + [(name, "reg_u") for name in BATCHES]
)
def test_segmentation(network: SegmentationModel, preset: str, name: str, request: pytest.FixtureRequest) -> None:
    given: dict[str, Any] = dict(BATCHES[name])
    most = int(torch.bincount(given["batch_idx"].long(), minlength=1).max())
    generator = torch.Generator().manual_seed(0)
    given["masks"] = torch.randint(0, most + 1, (3, 16, 16), generator=generator).float()
    given["has_mask"] = torch.rand(len(given["cls"]), generator=generator) < 0.7
    expected = segments.run(network, segments.criterion(network, preset), given)
    taken = request.getfixturevalue("dense")
    actual = segments.run(network, segments.criterion(network, preset), given)
    assert taken == [3]
    assert_same(expected, actual)
