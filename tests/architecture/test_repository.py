"""What the repository must not hold, and what its papers must."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def tracked_files() -> list[Path]:
    """Files under version control; all files of an unpacked source archive."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in tracked_files():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_registry_host_in_any_file() -> None:
    hosts = re.compile("|".join(["files" + r"\.pythonhosted\.org", "pypi" + r"\.org/simple", "registry" + r"\.npmjs"]))
    assert not [str(path) for path, text in text_files() if hosts.search(text)]


def test_no_large_file() -> None:
    sizes = {path: path.stat().st_size for path in tracked_files()}
    assert not {path: size for path, size in sizes.items() if size > 7_000_000}
    assert sum(sizes.values()) < 20_000_000


def test_no_unfinished_place() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|raise NotImpl" + r"ementedError")
    assert not [str(path) for path, text in text_files() if path.suffix == ".py" and marks.search(text)]


def test_licence_is_the_agpl() -> None:
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("GNU AFFERO GENERAL PUBLIC LICENSE")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"].startswith("AGPL-3.0")


def test_changelog_names_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    from reg_yolo import __version__

    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__


def test_all_four_papers_can_be_cited() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    cited = {tag for tag in ("REG", "GFL", "EIOU", "CLE") if tag in str(citation["references"])}
    assert cited == {"REG", "GFL", "EIOU", "CLE"} and len(citation["references"]) == 4
    known = (ROOT / "reg_yolo/losses/README.md").read_text(encoding="utf-8")
    for paper in citation["references"]:
        assert {"type", "title", "authors"} <= paper.keys()
        for identifier in paper.get("identifiers", []):
            number = identifier["value"].removeprefix("arXiv:")
            assert re.search(rf"\| {identifier['description']} \|.*arXiv {re.escape(number)}", known)


def test_workflow_and_forms_are_sound() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8"))["jobs"]
    words = str(jobs)
    assert all(system in words for system in ("ubuntu-latest", "macos-latest", "windows-latest"))
    assert ".ci/run" in words and (ROOT / ".ci/run").is_file()
    for place in re.findall(r"tests/[\w./]+", words):
        assert (ROOT / place).exists(), f"the workflow names {place}, which is not there"
    for form in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert form.name == "config.yml" or {"name", "description", "body"} <= content.keys()


def test_declared_range_of_ultralytics_is_the_tested_one() -> None:
    from reg_yolo.yolo.upstream.version import FIRST_UNTESTED, OLDEST_TESTED

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = next(item for item in project["dependencies"] if item.startswith("ultralytics"))
    oldest, newest = re.findall(r"[\d.]+", declared)
    assert tuple(int(part) for part in oldest.split(".")) == OLDEST_TESTED
    assert tuple(int(part) for part in newest.split(".")) == FIRST_UNTESTED[: newest.count(".") + 1]


@pytest.mark.parametrize("name", sorted(str(p.relative_to(ROOT)) for p in (ROOT / "datasets").rglob("*.yaml")))
def test_shipped_data_sets_have_the_papers_classes(name: str) -> None:
    content = yaml.safe_load((ROOT / name).read_text())
    expected = {
        "highway_detect": ["pavilion", "pedestrian_bridge", "information_sign", "single_arm_pole", "bus_stop",
                           "warning_sign", "concrete_guardrail"],
        "highway_segment": ["pavilion", "pedestrian_bridge", "information_sign", "warning_sign", "concrete_guardrail"],
    }  # fmt: skip
    expected["highway_joint"] = expected["highway_detect"]
    names = content["names"]
    listed = [names[i] for i in range(len(names))] if isinstance(names, dict) else names
    assert listed == expected[Path(name).stem]


def test_links_in_the_papers_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "reg_yolo").rglob("README.md")]:
        for target in link.findall(path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"
