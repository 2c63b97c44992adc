"""The folder of one training run: its configuration, its state, the best weights and their results.

    config.json      experiment with every default filled in, data set, precision, seed, versions, git state
    state.npz        everything that training needs to continue after the last whole epoch, with the two files below
    weights.npz      weights of the best epoch
    first_stage.npz  weights that the second stage began with, where there is one
    history.csv      one line for each epoch
    tensorboard/     scalars and images
    preview.png      originals, reconstructions and samples while it is trained
    prior.npz, metrics.json, pictures/    written when the run ends

Runs of an experiment are numbered: runs/vae/001, runs/vae/002. Every file appears whole or not at all. An epoch is done when
state.npz is renamed: history.csv and weights.npz are written from it, and written again when a run is resumed.
"""

import contextlib
import csv
import dataclasses
import json
import shlex
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

from keras_ae.errors import UserError
from keras_ae.files import is_locked, locked, written_whole
from keras_ae.training import starting
from keras_ae.training.experiment import complete
from keras_ae.versions import git_state, versions

LOCK = ".lock"
# who looks whether a run is in use holds its lock for an instant
PATIENCE = 1.0
# prefix of the weights of the best epoch in state.npz
BEST = "best_"


@dataclasses.dataclass(frozen=True)
class Position:
    """The position of a run: the current stage (1 or 2), the epochs done in each, and whether patience ended the stage."""

    stage: int = 1
    first: int = 0
    second: int = 0
    stopped: bool = False

    @property
    def epochs(self):
        """Epochs done in both stages."""
        return self.first + self.second


class Run:
    """The files of one run in `folder`, which need not exist yet."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.tensorboard = self.folder / "tensorboard"
        self.pictures = self.folder / "pictures"
        self.preview = self.folder / "preview.png"
        self.weights = self.folder / "weights.npz"
        self.first_stage = self.folder / "first_stage.npz"
        self.prior = self.folder / "prior.npz"

    def __str__(self):
        return str(self.folder)

    @property
    def resume_command(self):
        """The command that continues it, without the words that it began with."""
        return f"python -m keras_ae.train ... --out {shlex.quote(str(self))} --resume"

    @property
    def exists(self):
        return (self.folder / "config.json").exists()

    @property
    def complete(self):
        return (self.folder / "metrics.json").exists()

    @property
    def has_state(self):
        return (self.folder / "state.npz").exists()

    def locked(self):
        """Hold the run for this process; UserError if a live process trains in it."""
        busy = f"another process trains in {self}; choose another --out or wait"
        return locked(self.folder / LOCK, busy, patience=PATIENCE)

    def in_use(self):
        """Whether a live process trains in it."""
        return is_locked(self.folder / LOCK)

    def write_state(self, record, variables, best):
        """Save an epoch: in one step, so that no file of a run that was killed comes from another epoch than the others.

        record: {"rows", "stage", "stopped", ...} for JSON. variables: arrays of everything that training changes. best: the
        arrays of weights.npz.
        """
        arrays = {f"variable_{index}": array for index, array in enumerate(variables)}
        arrays |= {f"{BEST}{name}": array for name, array in best.items()}
        self._write_arrays("state", {"record": json.dumps(record), **arrays})
        self._write_views(record, best)

    def read_state(self):
        """What `write_state` saved: record, variables, best. Raises UserError where the file is damaged."""
        with self._state() as file:
            arrays = dict(file)
            record = json.loads(str(arrays.pop("record")))
        best = {name.removeprefix(BEST): array for name, array in arrays.items() if name.startswith(BEST)}
        return record, [arrays[f"variable_{index}"] for index in range(len(arrays) - len(best))], best

    def read_record(self):
        """The record alone, without the arrays, which may be large. Raises UserError where the file is damaged."""
        with self._state() as file:
            return json.loads(str(file["record"]))

    @contextlib.contextmanager
    def _state(self):
        try:
            with np.load(self.folder / "state.npz") as file:
                yield file
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{self.folder / 'state.npz'} is damaged ({error}); train again in a new run") from error

    def restore_views(self):
        """Write weights.npz and history.csv as of the last whole epoch; a process may have been killed between the files."""
        record, _, best = self.read_state()
        self._write_views(record, best)

    def _write_views(self, record, best):
        self._write_arrays("weights", best)
        self._write_history(record["rows"])

    def position(self):
        """The position of training, from its saved state."""
        if not self.has_state:
            return Position()
        record = self.read_record()
        stages = [row["stage"] for row in record["rows"]]
        return Position(record["stage"], stages.count(1), stages.count(2), record["stopped"])

    def write_json(self, name, values):
        with written_whole(self.folder / f"{name}.json") as path:
            path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    def read_json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def _write_arrays(self, name, arrays):
        with written_whole(self.folder / f"{name}.npz") as path, open(path, "wb") as file:
            np.savez(file, **arrays)

    def read_arrays(self, name):
        with np.load(self.folder / f"{name}.npz") as arrays:
            return dict(arrays)

    def _write_history(self, rows):
        with written_whole(self.folder / "history.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
            # each stage has columns of its own, which are empty in the rows of the other
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)

    def history(self):
        """One dict of numbers per finished epoch; [] where history.csv is not written yet."""
        if not (self.folder / "history.csv").exists():
            return []
        with open(self.folder / "history.csv", encoding="utf-8", newline="") as file:
            return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]

    def best(self):
        """The row of the epoch whose weights are in weights.npz."""
        return [row for row in self.history() if row["kept"]][-1]

    def experiment(self):
        config = self.read_json("config")
        # completed: tables that did not exist when it was written have their defaults
        return complete(config["experiment"], config["tables"])

    def keep_first_stage(self):
        """Copy the weights that the second stage begins with to first_stage.npz."""
        if not self.first_stage.exists():
            with written_whole(self.first_stage) as path:
                shutil.copyfile(self.weights, path)

    def best_networks(self, precision="float32", weights="weights"):
        """Encoder and decoder with the weights of the best epoch, to compute in the dtype policy `precision`.

        weights: "first_stage" for those that the second stage began with. Raises UserError where the weights do not fit.
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
                    f"the weights in {self} do not fit the networks that this keras_ae builds; version {trained} wrote them"
                ) from error
        return encoder, decoder


def weights_of(*networks):
    """The weights of networks by the names that they have in weights.npz."""
    return {f"{network.name}_{index}": array for network in networks for index, array in enumerate(network.get_weights())}


def config_of(experiment, image_set):
    """The config.json of a run of this experiment on this data set."""
    folder = experiment.training.start_from
    return {
        "experiment": experiment.name,
        **({"started_from": starting.origin(folder)} if folder else {}),
        "tables": experiment.tables,
        "precision": experiment.precision,
        "data": {
            "name": image_set.name,
            "n_train": image_set.n_train,
            "n_test": image_set.n_test,
            "shape": list(image_set.shape),
            "labels": list(image_set.labels),
            "fingerprint": image_set.fingerprint,
            "summary": list(image_set.summary),
        },
        "versions": versions(),
        "git": git_state(),
    }


def check_unchanged(run, config):
    """UserError if the run began with other values, another data set or another precision than `config`."""
    begun = run.read_json("config")
    tables = run.experiment().tables
    changed = [
        f"{table}.{key} was {tables[table].get(key)!r}, now {value!r}"
        for table, keys in config["tables"].items()
        for key, value in keys.items()
        # a folder may have moved: its contents are compared below; the same batches on other devices are the same training
        if key not in ("directory", "devices") and tables[table].get(key) != value
    ]
    if begun["data"]["fingerprint"] != config["data"]["fingerprint"]:
        changed.append("the data set is not the same")
    if begun["precision"] != config["precision"]:
        changed.append(f"precision was {begun['precision']}, now {config['precision']}")
    if changed:
        raise UserError(f"cannot resume {run}: {'; '.join(changed)}. Use the same values, or train without --resume")
