"""Upstream still does what comparable runs are built on."""

from collections.abc import Callable

import pytest

from tests.yolo.upstream.assumptions_comparison import ASSUMPTIONS


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda function: function.__name__)
def test_assumption(assumption: Callable[[], None]) -> None:
    assumption()
