"""Every assumption about Ultralytics that the seam is built on."""

import pytest

from reg_yolo.errors import RegYoloError
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from tests.yolo.upstream import (
    assumptions_data,
    assumptions_masks,
    assumptions_optimizer,
    assumptions_ranks,
    assumptions_tracking,
    assumptions_training,
)

ASSUMPTIONS = [
    *assumptions_training.ASSUMPTIONS, *assumptions_masks.ASSUMPTIONS,
    *assumptions_tracking.ASSUMPTIONS, *assumptions_data.DATA_ASSUMPTIONS,
    *assumptions_optimizer.OPTIMIZER_ASSUMPTIONS, *assumptions_ranks.RANK_ASSUMPTIONS,
]  # fmt: skip


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda a: a.__name__)
def test_assumption_about_upstream_holds(assumption) -> None:
    assumption()


@pytest.mark.parametrize("version", ["8.4.190", "8.4.200+cpu", "8.4.999"])
def test_tested_versions_pass(version: str) -> None:
    check_ultralytics_version(version)


@pytest.mark.parametrize("version", ["8.4.189", "8.3.999", "8.5.0", "9.0.0"])
def test_untested_versions_are_refused_with_the_command_that_mends_it(version: str) -> None:
    with pytest.raises(RegYoloError, match=r"pip install 'ultralytics>=8\.4\.190"):
        check_ultralytics_version(version)
