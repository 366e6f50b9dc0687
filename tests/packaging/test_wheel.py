"""The wheel: what is in it, and that it works by itself where there is no clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import write_rectangles

REPOSITORY = Path(__file__).parents[2]


def run(*command: object, folder: Path, **variables: str) -> str:
    """Run a command in a folder without the clone on Python's path; return its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "YOLO"))}
    words = [str(word) for word in command]
    ended = subprocess.run(words, cwd=folder, env={**kept, **variables}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without leaving anything in the clone."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh virtual environment with the wheel in it, beside the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    executables = folder / "venv" / "bin"
    # pip of this environment installs into the other: nothing is fetched, and torch is not installed again.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", executables / "python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    packages = Path(
        run(
            executables / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder
        ).strip()
    )
    # A path in a .pth file comes after the environment's own packages, and the .pth files in it are not read: an
    # editable installation there stays out of sight.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return executables


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables that keep a user's own settings out of the test."""
    return {"HOME": str(tmp_path), "YOLO_CONFIG_DIR": str(tmp_path / "yolo"), "MPLCONFIGDIR": str(tmp_path / "plots")}


@pytest.mark.slow
def test_wheel_holds_what_a_run_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {name for name in names if name.startswith("reg_yolo/")}
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    folders = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {"configs", "datasets"} <= folders.keys()
    for kind, target in folders.items():
        files = [path for path in (REPOSITORY / kind).rglob("*") if path.is_file()]
        assert files and {f"{target}/{path.relative_to(REPOSITORY / kind).as_posix()}" for path in files} <= package
    fonts = "reg_yolo/drawing/fonts"
    assert {"reg_yolo/py.typed", f"{fonts}/Sarabun-SemiBold.ttf", f"{fonts}/OFL.txt"} <= package
    # Modules, and what lies next to them: fonts, the map's script and style, the table of the losses.
    sources = [path for path in (REPOSITORY / "reg_yolo").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    shipped = {name for name in package if name.startswith("reg_yolo/shipped/")}
    assert package - shipped == {path.relative_to(REPOSITORY).as_posix() for path in sources}
    assert "reg_yolo/shipped/weights/highway_yolov8n.pt" in shipped
    rest = names - package
    assert all(".dist-info/" in name for name in rest), sorted(rest)[:5]
    assert any(name.endswith("licenses/LICENSE") for name in rest)
    assert not [name for name in names if "__pycache__" in name or "test" in Path(name).name]


@pytest.mark.slow
def test_metadata_names_licence_python_and_bounded_ultralytics(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
        (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "reg-yolo = reg_yolo.cli.app:main" in archive.read(scripts).decode()
    assert "License-Expression: AGPL-3.0-or-later" in text and "Requires-Python: >=3.11" in text
    (ultralytics,) = (line for line in text.splitlines() if line.startswith("Requires-Dist: ultralytics"))
    assert ">=8.4.190" in ultralytics and "<8.5" in ultralytics


@pytest.mark.slow
def test_installed_wheel_trains_by_name_in_an_empty_folder(
    installed: Path, tmp_path: Path, working_directory: Path, environment: dict[str, str]
) -> None:
    place = run(installed / "python", "-c", "import reg_yolo; print(reg_yolo.__file__)", folder=working_directory)
    assert Path(place.strip()).is_relative_to(installed.parent)
    data = write_rectangles(tmp_path / "data", {"train": 6, "val": 3})
    words = ["epochs=1", "imgsz=64", "batch=8", "device=cpu", "workers=0", "plots=false"]
    output = run(
        installed / "reg-yolo",
        "train",
        "detect/yolov8n",
        f"data={data}",
        *words,
        folder=working_directory,
        **environment,
    )
    assert "RegDetectionLoss, preset reg" in output
    assert (working_directory / "runs/detect/train/weights/best.pt").is_file()
    assert [path.name for path in working_directory.iterdir()] == ["runs"]


@pytest.mark.slow
def test_installed_wheel_writes_editable_copies(
    installed: Path, tmp_path: Path, working_directory: Path, environment: dict[str, str]
) -> None:
    output = run(installed / "reg-yolo", "init", "mine", folder=working_directory)
    copies = list((working_directory / "mine").rglob("*.yaml"))
    assert f"{len(copies)} files written to mine" in output
    for kind in ("configs", "datasets"):
        for path in (REPOSITORY / kind).rglob("*.yaml"):
            copy = working_directory / "mine" / path.relative_to(REPOSITORY)
            # Models are called by name alone, so that a copy would never be read.
            assert copy.is_file() == (path.parent.name != "models")
            assert not copy.is_file() or copy.read_bytes() == path.read_bytes()
    # The copies refer to each other: the configuration finds its base and its data set.
    data = write_rectangles(tmp_path / "data", {"train": 2, "val": 1})
    shown = run(
        installed / "reg-yolo", "config", "mine/configs/detect/yolov8n.yaml", "epochs=3", f"data={data}",
        folder=working_directory, **environment,
    )  # fmt: skip
    assert "epochs: 3" in shown and "model: yolov8n.yaml" in shown
    default = run(
        installed / "reg-yolo", "config", "mine/configs/detect/yolov8n.yaml", folder=working_directory, **environment
    )
    assert str(working_directory / "mine/datasets/highway_detect.yaml") in default


@pytest.mark.slow
def test_everything_in_the_wheel_can_be_imported(installed: Path, working_directory: Path) -> None:
    script = (
        "import importlib, pkgutil, reg_yolo\n"
        "for module in pkgutil.walk_packages(reg_yolo.__path__, 'reg_yolo.'):\n"
        "    importlib.import_module(module.name)\n"
        "    print(module.name)"
    )
    imported = run(installed / "python", "-c", script, folder=working_directory).splitlines()
    assert {"reg_yolo.cli.app", "reg_yolo.yolo.training.mixin", "reg_yolo.losses.refined"} <= set(imported)
