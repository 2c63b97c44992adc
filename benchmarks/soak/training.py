"""The training that is killed, interrupted and crowded, and the uninterrupted run that every one of them must end like."""

import csv
import json
import shutil
import time
from pathlib import Path

import numpy as np

from keras_ae.data.sets.cat_drawing import draw, sample_factors
from keras_ae.images import pictures
from soak import commands

# the experiment of the tests, with a second stage
TINY = (Path(__file__).parents[2] / "tests" / "tiny.toml").read_text().replace("epochs = 4", "epochs = 2")
TINY += "[refinement]\nepochs = 2\nbatch = 16\n"
# lines of its output that the moments of a kill are relative to
PHASES = {"data": "training +", "first": "training tiny", "second": "epoch   2/4", "pictures": "fitting the prior"}
# of a command that is started again after each kill
TRIES = 4


class Training:
    """Pictures, experiment file and uninterrupted run. seconds: how long each command takes, and each phase of the training."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.pictures, self.file, self.run = folder, folder / "cats", folder / "tiny.toml", folder / "whole"
        self.picture, self.seconds, self.outcomes = folder / "plain.png", {}, []
        self.file.write_text(TINY)
        for index in range(150):
            pictures.write_png(self.pictures / f"{index}.png", draw(sample_factors(7, index), 24))

    def words(self, out, *more):
        """The command that trains in the folder `out`."""
        return ["train", self.file, "--data", self.pictures, "--out", out, *more]

    def train_whole(self, campaign):
        """The uninterrupted run, its export, and the moments of its phases."""
        command = commands.Command(campaign, self.words(self.run), self.folder, self.folder / "cache")
        for phase, line in PHASES.items():
            command.until(lambda line=line: line in command.text())
            self.seconds[phase] = time.monotonic() - command.began
        outcome = command.wait()
        self.outcomes.append(outcome)
        self.seconds["train"] = outcome.seconds
        self.export = self.folder / "export"
        self.timed(campaign, ["export", "--model", self.run, "--out", self.export])
        self.timed(campaign, ["generate", "--model", self.export, "--n", "4", "--out", self.folder / "export.png"])

    def timed(self, campaign, words):
        """Run a command that must succeed, and keep its time."""
        outcome = commands.run(campaign, words, self.folder)
        self.seconds[words[0]] = outcome.seconds
        self.outcomes.append(outcome)

    def generate_plain(self, campaign):
        """The picture that the export `plain` draws."""
        words = ["generate", "--model", campaign.exports / "plain", "--n", "4", "--out", self.picture]
        self.outcomes.append(commands.run(campaign, words, self.folder))


def _arrays(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _rows(path):
    with open(path, newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def _metrics(path):
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "training_seconds"}


FILES = {"weights.npz": _arrays, "prior.npz": _arrays, "history.csv": _rows, "metrics.json": _metrics}


def _file(run, name):
    """The file of a run, at its top or in a folder of it."""
    hidden = [path for path in sorted(run.rglob(name)) if ".partial-" not in str(path)]
    return run / name if (run / name).exists() else next(iter(hidden), run / name)


def difference(run, whole):
    """How a run differs from the uninterrupted one, bit by bit but for the clock; "" if it does not."""
    for name, read in FILES.items():
        try:
            ours, reference = read(_file(run, name)), read(_file(whole, name))
        except Exception as error:
            return f"{name}: {type(error).__name__}: {error}"
        if name.endswith(".npz"):
            wrong = [key for key in reference if key not in ours or ours[key].tobytes() != reference[key].tobytes()]
            if wrong or set(ours) != set(reference):
                same = [key for key in wrong if key in ours and ours[key].shape == reference[key].shape]
                numbers = [np.abs(ours[key] - reference[key]).max() for key in same if reference[key].dtype.kind == "f"]
                return f"{name}: {len(wrong)} of {len(reference)} arrays differ, at most by {max(numbers, default=np.nan):.2g}"
        elif ours != reference:
            return f"{name} differs"
    return ""


def complete(campaign, out, place, cache):
    """Resume a run, or start it again where there is none yet, until it is complete: (wrong, outcomes)."""
    outcomes = []
    while not (out / "metrics.json").exists():
        more = ["--resume"] if (out / "config.json").exists() else []
        outcomes.append(commands.run(campaign, campaign.training.words(out, *more), place, cache))
        wrong = outcomes[-1].wrong(out, statuses=(0,))
        if wrong or len(outcomes) == TRIES:
            return "after the interruption, " + (wrong or f"not complete after {TRIES} commands"), outcomes
    return difference(out, campaign.training.run), outcomes


def generated(campaign, model, place, wanted):
    """Draw with an export: how the picture differs from the file `wanted`, and the outcome."""
    out = place / f"drawn-{time.monotonic_ns()}.png"
    outcome = commands.run(campaign, ["generate", "--model", model, "--n", "4", "--out", out], place)
    wrong = outcome.wrong(place, statuses=(0,))
    return wrong or ("" if out.read_bytes() == wanted.read_bytes() else "another picture"), outcome


def copy_of_cache(campaign, place):
    """A cache folder with what the uninterrupted run decoded."""
    return shutil.copytree(campaign.training.folder / "cache", place / "cache")
