"""Every public loss has a scalar reference and a test, and importing the package stays light."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import reference
import torch

import reg_yolo.losses as losses

HERE = Path(__file__).parent
PACKAGE = Path(losses.__file__).parent


def test_importing_the_losses_loads_torch_alone():
    script = (
        "import sys, reg_yolo.losses\n"
        "heavy = {'ultralytics', 'cv2', 'pydantic', 'torchvision', 'albumentations', 'typer', 'yaml', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", losses.__all__)
def test_every_public_name_is_documented_referenced_and_tested(name):
    public = getattr(losses, name)
    assert inspect.getdoc(public), f"{name} has no docstring"
    assert callable(getattr(reference, name, None)), f"tests/losses/reference.py has no {name}"
    tests = [path.read_text() for path in HERE.glob("test_*.py")]
    compared = re.compile(rf"reference\.{name}\b|getattr\(reference, f(unction)?\.__name__\)")
    assert any(compared.search(text) and re.search(rf"\b{name}\b", text) for text in tests), f"{name} is not compared"


def test_every_public_function_of_the_modules_is_exported_or_internal():
    internal = {"checks", "powers", "modulated_bce", "box_geometry", "class_minimum"}
    for path in PACKAGE.glob("*.py"):
        if path.stem in internal | {"__init__"}:
            continue
        module = sys.modules[f"reg_yolo.losses.{path.stem}"]
        own = {
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
            and (inspect.isfunction(value) or inspect.isclass(value))
            and not name.startswith("_")
        }
        assert own - set(losses.__all__) <= {"gauss_hermite"}, path.name


def test_every_test_file_mirrors_a_source_or_a_script():
    sources = {path.stem for path in PACKAGE.glob("*.py")}
    mirrored = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert mirrored - sources <= {"public_surface", "simulate_box_regression"}


def test_references_use_no_torch():
    text = Path(reference.__file__).read_text()
    assert re.findall(r"^(?:import|from) (\S+)", text, re.MULTILINE) == ["__future__", "math"]


def test_files_stay_short():
    for path in PACKAGE.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 165, path.name


def test_the_losses_import_only_torch_and_themselves():
    for path in PACKAGE.glob("*.py"):
        for module in re.findall(r"^(?:import|from) ([\w.]+)", path.read_text(), re.MULTILINE):
            root = module.split(".")[0]
            assert root == "torch" or module.startswith("reg_yolo.losses") or root in sys.stdlib_module_names, path.name


def test_all_is_complete_and_sorted_nowhere_twice():
    assert len(losses.__all__) == len(set(losses.__all__))
    assert all(hasattr(losses, name) for name in losses.__all__)
    assert torch.is_tensor(losses.iou_loss(torch.rand(1, 4), torch.rand(1, 4)))


def test_the_table_for_readers_names_every_public_function_and_no_other():
    table = (PACKAGE / "README.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    in_third_column = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[3])}
    assert in_third_column - {"entry_weight"} <= set(losses.__all__)
    assert set(losses.__all__) - {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set()


def test_every_argument_in_the_table_exists():
    table = (PACKAGE / "README.md").read_text()
    parameters = {p for name in losses.__all__ for p in inspect.signature(getattr(losses, name)).parameters}
    for row in (line for line in table.splitlines() if line.count("|") == 6):
        assert set(re.findall(r"`(\w+)`", row.split("|")[2])) <= parameters, row
