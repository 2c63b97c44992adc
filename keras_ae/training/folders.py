"""Folders of runs: the next free number, the newest run, the newest complete one."""

from pathlib import Path

from keras_ae.errors import UserError
from keras_ae.training.runs import Run

ROOT = Path("runs")


def numbered(root):
    """Runs inside `root`, oldest first."""
    folders = sorted((path for path in Path(root).glob("[0-9]*") if path.name.isdigit()), key=lambda path: int(path.name))
    return [run for run in map(Run, folders) if run.exists]


def fresh(root):
    """A run with the next free number in `root`; its folder is made."""
    taken = [int(path.name) for path in Path(root).glob("[0-9]*") if path.name.isdigit()]
    number = max(taken, default=0) + 1
    while True:
        folder = Path(root) / f"{number:03d}"
        try:
            folder.mkdir(parents=True)
            return Run(folder)
        except FileExistsError:
            number += 1


def find(path):
    """The run in the folder `path`, or the newest of the numbered ones inside it. UserError if there is none."""
    path = Path(path)
    if Run(path).exists:
        return Run(path)
    inside = numbered(path)
    if not inside:
        raise UserError(f"no run in {path}; train one with python -m keras_ae.train experiments/NAME.toml")
    return inside[-1]


def find_complete(path):
    """As `find`, but the newest complete run; UserError says how to complete one."""
    path = Path(path)
    ended = [run for run in (numbered(path) or [find(path)]) if run.complete]
    if not ended:
        run = find(path)
        raise UserError(f"the run in {run} is not complete; continue it with {run.resume_command}")
    return ended[-1]
