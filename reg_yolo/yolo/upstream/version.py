"""The range of Ultralytics versions that we are tested with.

What we assume about its internals is listed in tests/yolo/upstream, a function for each assumption, so that an upgrade
of Ultralytics shows at once which one broke and what it carries.
"""

from __future__ import annotations

import re

from ultralytics import __version__ as ultralytics_version

from reg_yolo.errors import RegYoloError

OLDEST_TESTED = (8, 4, 190)
FIRST_UNTESTED = (8, 5, 0)


def parse_version(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version string, `8.4.190+cpu` as (8, 4, 190)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def check_ultralytics_version(version: str = ultralytics_version) -> None:
    """Refuse an Ultralytics outside the tested range.

    Raises:
        RegYoloError: If the version is older or newer than what the seam has been tested with.
    """
    if not OLDEST_TESTED <= parse_version(version) < FIRST_UNTESTED:
        oldest, newest = (".".join(map(str, v)) for v in (OLDEST_TESTED, FIRST_UNTESTED))
        raise RegYoloError(
            f"ultralytics {version} is installed, expected {oldest} <= version < {newest}; "
            f"mend it with: pip install 'ultralytics>={oldest},<{newest}'"
        )
