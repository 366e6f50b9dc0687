"""The page on the schema says what the code does."""

import json
import re
from pathlib import Path

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.files import CSV_COLUMNS, read_detections
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join

PAGE = Path(__file__).parents[2] / "docs" / "detections_jsonl.md"


def example() -> str:
    found = re.search(r"```jsonl\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def documented_keys(heading: str) -> set[str]:
    section = PAGE.read_text(encoding="utf-8").split(f"### `{heading}`\n")[1].split("\n#")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def test_the_example_is_read_and_written_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "example.jsonl"
    path.write_text(example(), encoding="utf-8")
    reader = read_detections(path)
    records = [reader.header.to_record(), *(frame.to_record() for frame in reader), reader.end]
    assert records == [json.loads(line) for line in example().splitlines()]
    assert [list(record) for record in records if record] == [list(json.loads(line)) for line in example().splitlines()]
    assert reader.is_complete


def test_every_key_is_documented_and_no_other() -> None:
    header, frame, *_, end = (json.loads(line) for line in example().splitlines())
    assert documented_keys("header") == set(header)
    assert documented_keys("frame") == {*frame, "camera_motion"} | set(frame["detections"][0])
    assert documented_keys("end") == set(end) | {"error", "holes"}
    assert documented_keys("hole") == set(Hole("a.mp4", 0.0, None, "unreadable").to_record())
    assert documented_keys("join") == set(Join("a.ts", 20, 0.8, -0.8).to_record())
    assert documented_keys("chapter") == set(Chapter(Path("a.mp4"), 0, 0.0).to_record())


def test_csv_columns_are_documented_in_order() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## CSV\n")[1]
    assert [
        key for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", cell)
    ] == [*CSV_COLUMNS]
