"""The notebooks: each has its parts, its stored outputs are those of a run without errors, and it runs in a fast setting."""

import contextlib
import importlib.util
import json
import os
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# bytes, with stored outputs
LARGEST = 400_000

SPEC = importlib.util.spec_from_file_location("execute", ROOT / "notebooks" / "execute.py")
EXECUTE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(EXECUTE)


def opened(path):
    return nbformat.read(path, as_version=4)


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def pictured(output):
    return {"image/png", "image/jpeg"} & set(output.get("data", ()))


def test_there_are_seven():
    assert [path.name[0] for path in NOTEBOOKS] == list("1234567")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole(path):
    notebook = opened(path)
    nbformat.validate(notebook)
    words = "\n".join(sources(notebook, "markdown"))
    assert words.startswith(f"# {path.name[0]}. ")
    assert "colab-badge" in words
    assert "## Exercise" in words
    assert "## Solution" in words
    assert EXECUTE.settings(notebook).source
    programs = sources(notebook, "code")
    assert "keras_ae" in programs[0]
    assert "pip install" in programs[0]
    following = [other.name for other in NOTEBOOKS if int(other.name[0]) == int(path.name[0]) + 1]
    assert all(f"]({name})" in words for name in following)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_small_and_of_a_run_in_order(path):
    notebook = opened(path)
    assert path.stat().st_size <= LARGEST
    programs = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in programs] == list(range(1, len(programs) + 1))
    outputs = [output for cell in programs for output in cell.outputs]
    assert any(pictured(output) for output in outputs)
    for output in outputs:
        assert output.output_type != "error"
        # warnings and progress bars, and paths of the machine that ran it
        assert output.get("name") != "stderr"
        assert str(ROOT) not in json.dumps(output)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_its_fast_setting(path, tmp_path, monkeypatch):
    for name in ("TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    # raises where a cell fails
    outputs = [output for cell in EXECUTE.executed(path, fast=True).cells for output in cell.get("outputs", ())]
    assert any(pictured(output) for output in outputs)


@pytest.mark.parametrize("last", ["None", "1 / 0"], ids=["whole", "failing"])
def test_the_kernel_of_a_notebook_ends_with_it(last, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    noted, path = tmp_path / "process", tmp_path / "notebook.ipynb"
    program = f"import os, pathlib; pathlib.Path({str(noted)!r}).write_text(str(os.getpid())); {last}"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(program)]), path)
    with contextlib.nullcontext() if last == "None" else pytest.raises(nbclient.exceptions.CellExecutionError):
        EXECUTE.executed(path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)
