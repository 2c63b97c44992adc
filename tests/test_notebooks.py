"""The notebooks: each is whole, its stored outputs are those of a run without errors, and it runs in a fast setting."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SPEC = importlib.util.spec_from_file_location("execute", ROOT / "notebooks" / "execute.py")
EXECUTE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(EXECUTE)


def pictured(output):
    return {"image/png", "image/jpeg"} & set(output.get("data", ()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole_and_was_run_in_order(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert EXECUTE.settings(notebook).source
    # bytes, with stored outputs
    assert path.stat().st_size <= 400_000
    programs = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in programs] == list(range(1, len(programs) + 1))
    outputs = [output for cell in programs for output in cell.outputs]
    assert any(pictured(output) for output in outputs)
    for output in outputs:
        # neither errors, warnings and progress bars, nor paths of the machine that ran it
        assert output.output_type != "error" and output.get("name") != "stderr"
        assert str(ROOT) not in json.dumps(output)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_its_fast_setting(path, tmp_path, monkeypatch):
    for name in ("TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    # raises where a cell fails
    outputs = [output for cell in EXECUTE.executed(path, fast=True).cells for output in cell.get("outputs", ())]
    assert any(pictured(output) for output in outputs)
