"""Every assumption about upstream's data sets and transforms that the joint data set is built on."""

import pytest

from tests.yolo.upstream.assumptions_data import DATA_ASSUMPTIONS


@pytest.mark.parametrize("assumption", DATA_ASSUMPTIONS, ids=lambda a: a.__name__)
def test_assumption_about_upstreams_data_holds(assumption) -> None:
    assumption()
