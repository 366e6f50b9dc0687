"""The assumptions about Ultralytics that task semantic is built on."""

import pytest

from tests.yolo.upstream.assumptions_semantic import SEMANTIC_ASSUMPTIONS


@pytest.mark.parametrize("assumption", SEMANTIC_ASSUMPTIONS, ids=lambda a: a.__name__)
def test_assumption_about_upstream_holds(assumption) -> None:
    assumption()
