"""Whatever a label file, an image or a YAML holds, a check ends with findings or one clear error."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.data.check.run import check_dataset
from reg_yolo.data.dataset.findings import CODES
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.data.stats.run import dataset_stats
from reg_yolo.errors import DataError
from tests.data.sets import picture, write_clean_set, write_picture

FUZZ = settings(max_examples=60, deadline=None)

numbers = st.one_of(
    st.sampled_from(
        ["0", "1", "2", "3", "0.5", "1.0", "-0.005", "1.005", "1e-300", "1e308", "nan", "inf", "-0", "x", "0,5"]
    ),
    st.floats(0, 1).map(str),
    st.floats(width=32).map(str),
    st.integers(-2, 5).map(str),
)
boxes = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(lambda v: " ".join(map(str, v)))
outlines = st.lists(st.sampled_from([k / 8 for k in range(9)]), min_size=6, max_size=24).map(
    lambda v: " ".join(map(str, v[: len(v) // 2 * 2]))
)
rows = st.one_of(
    st.lists(numbers, max_size=12).map(" ".join),
    st.tuples(st.integers(0, 2), st.one_of(boxes, outlines)).map(lambda pair: f"{pair[0]} {pair[1]}"),
)
files = st.one_of(
    st.binary(max_size=200),
    st.lists(rows, max_size=12).map(lambda lines: "\n".join(lines).encode()),
    st.lists(rows, max_size=12).map(lambda lines: b"\xef\xbb\xbf" + "\r\n".join(lines).encode()),
    st.text(max_size=100).map(lambda text: text.encode("utf-16")),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    for split in ("train", "val"):
        write_picture(folder / f"images/{split}/a.jpg", picture(len(split)))
        (folder / f"labels/{split}").mkdir(parents=True)
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a, b, c]\n")
    return folder


@given(content=files, task=st.sampled_from(["detect", "segment", "joint"]))
@FUZZ
def test_label_files(root: Path, content: bytes, task: str) -> None:
    (root / "labels/train/a.txt").write_bytes(content)
    report = check_dataset(root, task=task, workers=1)
    lines = len(content.splitlines()) + content.count(b"\x0b") + content.count(b"\x0c") + 1
    for finding in report.findings:
        assert finding.code in CODES and "\n" not in finding.message
        assert finding.line is None or finding.line >= 1
    assert all(finding.line is None or finding.line <= 4 * lines for finding in report.findings)
    # What stops a training is an error here, and the other way round.
    options = {"detect": {}, "segment": {"allow_boxes": False}, "joint": {"allow_mixed": True}}[task]
    scan = scan_labels(report.description, "train", **options)
    of_rows = {"label-unreadable", "row-malformed", "row-class", "row-range", "row-kind"}
    found = [finding for finding in report.findings if finding.code in of_rows and finding.split == "train"]
    assert bool(found) == bool(scan.problems)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_damaged_images(root: Path, suffix: str) -> None:
    """Cut and overwritten files end as findings, not as tracebacks or as nothing."""
    rng = random.Random(suffix)
    path = write_picture(root / f"images/train/damaged.{suffix}", picture(77, 160, 120))
    whole = path.read_bytes()
    try:
        for trial in range(30):
            content = bytearray(whole)
            for _ in range(rng.randrange(1, 30)):
                content[rng.randrange(len(content))] = rng.randrange(256)
            path.write_bytes(content[: rng.randrange(len(content))] if trial % 2 else content)
            report = check_dataset(root, workers=1)
            dataset_stats(root)
            if trial % 2:
                assert [f.path for f in report.findings if f.code == "image-unreadable"] == [path]
    finally:
        path.unlink()


yaml_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab./~*&!{[", max_size=6), st.just("images/train")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("01ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = ("train", "val", "test", "names", "nc", "path", "channels", "validation")


@given(text=st.one_of(st.text(max_size=60), st.dictionaries(st.sampled_from(keys), yaml_values).map(str)))
@FUZZ
def test_yaml(root: Path, text: str) -> None:
    path = root / "fuzz.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    for function in (lambda: check_dataset(path, workers=1), lambda: dataset_stats(path)):
        try:
            function()
        except DataError as error:
            assert "fuzz.yaml" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "names: [a]\ntrain: " + "[" * 3000,
        "names: [a]\ntrain: 2024-99-99\n",
        'names: ["\\UFFFFFFFF"]\ntrain: images/train\n',
        "names: [a]\ntrain: !!python/object:os.system x\n",
        "a: &a [*a]\nnames: *a\n",
        'names: [a]\ntrain: images/train\nval: "images/\\0"\n',
        "names: {0: a, 1: !!binary ww==}\ntrain: images/train\n",
        "? [1, 2]\n: 3\n",
        "names: &n {0: a, <<: 3}\n",
        "names: [a]\ntrain: 0x\n? {a: b}\n: c",
    ],
)
def test_yaml_that_trips_a_reader(root: Path, text: str) -> None:
    path = root / "trap.yaml"
    path.write_text(text, encoding="utf-8")
    for function in (lambda: check_dataset(path, workers=1), lambda: dataset_stats(path)):
        try:
            function()
        except DataError as error:
            assert "trap.yaml" in str(error)


def test_folders_without_or_with_several_yaml_files(tmp_path: Path) -> None:
    write_clean_set(tmp_path / "set")
    (tmp_path / "set/data.yaml").rename(tmp_path / "set/road.yaml")
    assert check_dataset(tmp_path / "set", workers=1).images == {"train": 4, "val": 4}
    (tmp_path / "set/other.yaml").write_text("names: [a]\n")
    with pytest.raises(DataError, match=r"several YAML files \(other\.yaml, road\.yaml\)"):
        check_dataset(tmp_path / "set")
    with pytest.raises(DataError, match="no YAML file"):
        check_dataset(tmp_path / "set/images")
    with pytest.raises(DataError, match="does not exist"):
        check_dataset(tmp_path / "gone.yaml")
