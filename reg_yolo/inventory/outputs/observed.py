"""`observations.jsonl`: what each asset was seen by, for those who review it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reg_yolo.files import replacing
from reg_yolo.inventory.building import Inventory

SCHEMA = "reg_yolo.observations/1"


def write_observations(path: Path, inventory: Inventory) -> None:
    """Write a header, then a JSON object for each asset, in the order of the inventory, and for each rejected one.

    The header's `chapters` hold the index of the first frame of each file of a drive; other files start at 0. What else
    is known of the sources is there for those who open them again: `frame_counts`, `disturbed`, `blur`.

    Raises:
        OutputError: If it cannot be written.
    """
    rejected = inventory.rejected or []
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as stream:
        count = len(inventory.assets) + len(rejected)
        media = inventory.media
        header = {
            "record": "header", "schema": SCHEMA, "assets": count, "chapters": media.chapters,
            "frame_counts": media.frame_counts, "disturbed": sorted(media.disturbed), "blur": sorted(media.blur),
        }  # fmt: skip
        stream.write(_line(header))
        for status, some in (("listed", inventory.assets), ("rejected", rejected)):
            for asset in some:
                best = None if asset.view is None else {"source": asset.view.source, "frame": asset.view.frame}
                record = {"record": "asset", "asset_id": asset.asset_id, "class": asset.class_name, "status": status}
                if asset.values.get("reviewed_by"):
                    record["reviewed_by"] = asset.values["reviewed_by"]
                seen = asset.observations
                if len(seen.sizes):
                    record["size"] = seen.sizes[0].tolist()
                stream.write(_line({**record, "best": best, "observations": seen.records()}))


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
