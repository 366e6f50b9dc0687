"""The YAML reader: scalars of YAML 1.2, lines of keys, and errors that name file and line."""

import math

import pytest
import yaml

from reg_yolo.config.yaml_text import dump_yaml, read_yaml
from reg_yolo.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-2.", -2.0),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-09-07", "2024-09-07"),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("True", True),
        ("~", None),
        ("0,1", "0,1"),
        ("-.inf", -math.inf),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("[no, 1e-3]", ["no", 1e-3]),
        ("๑๒", "๑๒"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert read_yaml(text, "x").value == value
    assert type(read_yaml(text, "x").value) is type(value)


def test_the_key_on_stays_a_word() -> None:
    assert read_yaml("alpha: {on: positives}", "x").value == {"alpha": {"on": "positives"}}


def test_lines_of_keys_are_remembered() -> None:
    document = read_yaml("a: 1\nreg:\n  focal:\n    gamma: 2\nlist:\n- 1\n- 2\n", "x")
    assert document.lines[("reg", "focal", "gamma")] == 4
    assert document.lines[("list", 1)] == 7


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_nothing_reads_as_none(text: str) -> None:
    assert read_yaml(text, "x").value is None


WRONG = [
    ("a: 1\nb: [1, 2\nc: 3\n", "x:3: not valid YAML"),
    ("a:\n\tb: 1\n", "x:2: not valid YAML: found character '\\t' that cannot start any token; indent with spaces"),
    ("a: 1\nb: 2\na: 3\n", "x:3: a is given twice (first on line 1)"),
    ("reg:\n  focal: {gamma: 1, gamma: 2}\n", "x:2: reg.focal.gamma is given twice (first on line 2)"),
    ("a: !!python/object:os.system {}\n", "x:1: the tag tag:yaml.org,2002:python/object:os.system is not taken"),
    ("a: !!int abc\n", "x:1: the tag tag:yaml.org,2002:int is not taken here"),
    ("a: &b {x: 1}\nc:\n  <<: *b\n", "x:3: merge keys (<<) are not taken; use extends: FILE"),
    ("1: a\n", "x:1: a key must be a word"),
    ("? [a]\n: 1\n", "x:1: a key must be a word"),
    ("a: 1\n---\nb: 2\n", "not valid YAML: but found another document"),
    ("a: *b\n", "x:1: not valid YAML: found undefined alias 'b'"),
    ("&a [*a]", "nested too deeply"),
    ("[" * 3000, "nested too deeply"),
    ("a: \x00", "not valid YAML: special characters are not allowed"),
    (f"a: {'1' * 5000}", "x:1: a number of 5000 digits is too long"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[repr(text)[:40] for text, _ in WRONG])
def test_errors_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "x")
    assert message in str(caught.value) and not str(caught.value).endswith(".")


def test_aliases_of_aliases_do_not_explode() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    with pytest.raises(ConfigError, match="too large"):
        read_yaml(bomb, "x")


@pytest.mark.parametrize(
    "value",
    [
        "1e-3",
        "on",
        "no",
        "12:30",
        "2024-01-01",
        "0x1F",
        "0o17",
        "null",
        "",
        "~",
        ".inf",
        "=",
        "<<",
        "1_0",
        "ป้าย",
        " a",
        "\x85",
        "a\u2028b",
    ],
)
def test_text_that_looks_like_something_else_is_quoted(value: str) -> None:
    text = dump_yaml({"key": value, value or "empty": 1})
    assert read_yaml(text, "x").value == {"key": value, value or "empty": 1}
    assert yaml.safe_load(text)["key"] == value


@pytest.mark.parametrize("value", [1e-5, 1e22, 0.1, 3, True, None, [1, [2.5, "x"]], {"a": {"b": []}}, math.inf])
def test_data_survives_writing(value: object) -> None:
    assert read_yaml(dump_yaml({"v": value}), "x").value == {"v": value}


def test_objects_are_not_written() -> None:
    with pytest.raises(ConfigError, match="complex cannot be written to YAML"):
        dump_yaml({"a": 1j})
