"""The notebook runs from its first cell to its last, and prints what the reader sees in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.commands import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
PATH = ROOT / "docs/tutorials/notebook.ipynb"


def printed(cell: object) -> str:
    """What a cell has printed."""
    return "".join(output["text"] for output in cell["outputs"] if output["output_type"] == "stream")  # type: ignore[index]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    stored = nbformat.read(PATH, as_version=4)
    run = nbformat.read(PATH, as_version=4)
    settings = {"timeout": 300, "kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(run, **settings).execute()
    cells = [(a, b) for a, b in zip(stored.cells, run.cells, strict=True) if a.cell_type == "code"]
    # Figures of the network differ a little from machine to machine; counts, settings and names do not.
    exact = [(printed(a), printed(b)) for a, b in cells if "exact" in a.metadata.get("tags", [])]
    assert len(exact) == 3 and all(a and a == b for a, b in exact)
    kinds = [[sorted(output.get("data", {})) for output in a.outputs] for a, _ in cells]
    assert kinds == [[sorted(output.get("data", {})) for output in b.outputs] for _, b in cells]
    measured = next(printed(b) for a, b in cells if "as_text()" in a.source)
    assert "highway_yolov8n.pt (box)" in measured and float(measured.split("all ")[1].split()[5]) > 0.3


def test_the_notebook_holds_no_place_of_a_machine() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert "/home/" not in text and "/tmp/" not in text and "/work" not in text
    assert PATH.stat().st_size < 150_000
