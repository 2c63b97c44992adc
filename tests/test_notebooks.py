"""The notebooks: each is whole, its stored outputs are those of a run without errors, and it runs in a fast setting."""

import contextlib
import functools
import importlib.util
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, eager
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from keras_ae.judge import likelihood

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


def run_command(line):
    """Run a line such as `cd FOLDER && python -m keras_ae.VERB ...` here: a process would begin with TensorFlow."""
    *before, command = line.split(" && ")
    python, _, module, *arguments = shlex.split(command)
    assert python == "python"
    with contextlib.chdir(before[0].removeprefix("cd ") if before else "."):
        importlib.import_module(module).main(arguments)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A shell that runs cells in this process."""
    for name in ("TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(likelihood, "measure", functools.partial(likelihood.measure, n=8))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    # the shell makes its own
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    made.system = lambda line: run_command(made.var_expand(line, depth=1))
    with eager():
        yield made


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_its_fast_setting(path, shell, portable_files):
    notebook, results = nbformat.read(path, as_version=4), []
    EXECUTE.settings(notebook).source = notebook.metadata.keras_ae.fast
    with portable_files(*(["onnx"] if "onnx" in str(notebook.cells) else [])):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                done = shell.run_cell(cell.source)
                done.raise_error()
                results.append(done.result)
    assert any(hasattr(result, "_repr_png_") for result in results)


def test_a_notebook_is_executed_by_a_kernel_and_stores_the_smaller_picture(tmp_path):
    program = "from PIL import Image\nImage.linear_gradient('L')"
    cells = [nbformat.v4.new_code_cell("SIDE = 1", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(program)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"keras_ae": {"fast": "SIDE = 2"}}), tmp_path / "a.ipynb")
    first, second = EXECUTE.executed(tmp_path / "a.ipynb", fast=True).cells
    assert (first.source, first.execution_count) == ("SIDE = 2", 1)
    assert len(pictured(second.outputs[0])) == 1 and "iopub" not in str(second.metadata)
