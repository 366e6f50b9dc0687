"""Times as people type them."""

from __future__ import annotations

import pytest

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.timing import find_start, parse_time


@pytest.mark.parametrize("text", ["2567-05-01T03:00:00Z", "2567:05:01 03:00:00", "2567-05-01"])
def test_a_buddhist_year_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^'2567.*': 2567 is a Buddhist year; write 2024$"):
        find_start("a.mp4", text, (), "local+07:00")
    assert parse_time(text.replace("2567", "2024")) >= 1714521600
