"""The folder of one training run: what was asked, how far it came, the best weights, and what they are worth.

    config.json   experiment with every default filled in, data, precision, seed, versions, git state
    state.npz     everything that training needs to go on after the last whole epoch
    weights.npz   weights of the best epoch
    first_stage.npz  weights that the second stage began with, where there is one
    history.csv   one line per epoch
    tensorboard/  scalars and pictures
    prior.npz, metrics.json, pictures/    written when the run ends

Runs of an experiment are numbered: runs/vae/001, runs/vae/002. Every file appears whole or not at all.
"""

import csv
import json
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np

from keras_ae.errors import UserError
from keras_ae.files import locked, written_whole
from keras_ae.training.experiment import complete

ROOT = Path("runs")
PACKAGES = ("keras", "tensorflow", "tensorflow-datasets", "numpy", "scikit-learn")


def versions():
    """Versions of keras_ae and of the packages that shape its results."""
    return {"keras_ae": version("keras_ae"), **{name: version(name) for name in PACKAGES}}


def git_state():
    """Commit of the package's checkout, marked "-dirty" where files differ from it; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


class Run:
    """The files of one run in `folder`, which need not exist yet."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.tensorboard = self.folder / "tensorboard"
        self.pictures = self.folder / "pictures"
        self.weights = self.folder / "weights.npz"
        self.first_stage = self.folder / "first_stage.npz"
        self.prior = self.folder / "prior.npz"

    def __str__(self):
        return str(self.folder)

    @property
    def exists(self):
        return (self.folder / "config.json").exists()

    @property
    def complete(self):
        return (self.folder / "metrics.json").exists()

    def locked(self):
        """Hold the run for this process; UserError if a live process trains in it."""
        return locked(self.folder / ".lock", f"{self} is in use by a run that is still going; choose another --out or wait")

    def write_json(self, name, values):
        with written_whole(self.folder / f"{name}.json") as path:
            path.write_text(json.dumps(values, indent=2) + "\n")

    def read_json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())

    def write_arrays(self, name, arrays):
        with written_whole(self.folder / f"{name}.npz") as path, open(path, "wb") as file:
            np.savez(file, **arrays)

    def read_arrays(self, name):
        with np.load(self.folder / f"{name}.npz") as arrays:
            return dict(arrays)

    def write_history(self, rows):
        with written_whole(self.folder / "history.csv") as path, open(path, "w", newline="") as file:
            # the second stage has more columns than the first
            writer = csv.DictWriter(file, max(rows, key=len))
            writer.writeheader()
            writer.writerows(rows)

    def history(self):
        """One dict of numbers per finished epoch."""
        with open(self.folder / "history.csv", newline="") as file:
            return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]

    def best(self):
        """The row of the epoch whose weights were kept."""
        return [row for row in self.history() if row["kept"]][-1]

    def experiment(self):
        config = self.read_json("config")
        # completed: a table that came into being since has its defaults
        return complete(config["experiment"], config["tables"])

    def keep_first_stage(self):
        """Keep the weights that the second stage begins with."""
        if not self.first_stage.exists():
            with written_whole(self.first_stage) as path:
                shutil.copyfile(self.weights, path)

    def best_networks(self, precision="float32", weights="weights"):
        """Encoder and decoder with the weights of the best epoch, to compute in a precision of `keras_ae.experiment`.

        weights: "first_stage" for those that the second stage began with.
        """
        described = self.read_json("config")["data"]
        encoder, decoder = self.experiment().networks(tuple(described["shape"]), len(described["labels"]), precision)
        arrays = self.read_arrays(weights)
        for network in (encoder, decoder):
            try:
                network.set_weights([arrays[f"{network.name}_{index}"] for index in range(len(network.weights))])
            except (KeyError, ValueError) as error:
                trained = self.read_json("config")["versions"]["keras_ae"]
                raise UserError(
                    f"the weights in {self} do not fit the networks that this keras_ae builds; they are of version {trained}"
                ) from error
        return encoder, decoder

    def write_best_weights(self, *networks):
        arrays = {f"{n.name}_{index}": array for n in networks for index, array in enumerate(n.get_weights())}
        self.write_arrays("weights", arrays)


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
    """As `find`, but the newest run that has ended; UserError says how to end one that has not."""
    path = Path(path)
    ended = [run for run in (numbered(path) or [find(path)]) if run.complete]
    if not ended:
        run = find(path)
        raise UserError(f"the run in {run} has not ended; go on with python -m keras_ae.train ... --out {run} --resume")
    return ended[-1]
