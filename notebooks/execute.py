"""Run notebooks from the root of the repository and store their outputs: python notebooks/execute.py [NOTEBOOK ...]

Without arguments, all of them. What is stored does not depend on the time: no dates, no identifiers of the kernel.
"""

import os
import sys
from pathlib import Path

import nbclient
import nbformat
from jupyter_client import KernelManager

ROOT = Path(__file__).parents[1]
# seconds for a cell: a kernel that hangs is an error, too
PATIENCE = 600


def settings(notebook):
    """The cell that names the data and how long to train."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    return cell


def executed(path, fast=False):
    """The notebook with new outputs. fast: with the settings of its metadata, which train in seconds on tiny data.

    Raises nbclient.exceptions.CellExecutionError for a cell that fails.
    """
    notebook = nbformat.read(path, as_version=4)
    if fast:
        settings(notebook).source = notebook.metadata.keras_ae.fast
    manager = KernelManager(kernel_name="python3")
    # "python" in the commands of a notebook is this one
    searched = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    client = nbclient.NotebookClient(
        notebook,
        km=manager,
        timeout=PATIENCE,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(ROOT)}},
    )
    try:
        client.execute(env=os.environ | {"PATH": searched})
    finally:
        # a client ends only kernels that it started
        manager.shutdown_kernel(now=True)
    programs = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in programs:
        # TensorFlow's log; an error ends the run
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    for output in (output for cell in programs for output in cell.outputs):
        data = output.get("data", {})
        # Pillow shows each picture in two formats: the smaller one stays
        kinds = sorted({"image/png", "image/jpeg"} & set(data), key=lambda kind: len(data[kind]))
        for kind in kinds[1:]:
            del data[kind]
    return notebook


def main(paths):
    for path in paths or sorted((ROOT / "notebooks").glob("*.ipynb")):
        print(f"{path} ...", flush=True)
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main(sys.argv[1:])
