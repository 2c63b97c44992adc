"""The folder of a training run: its files, which runs there are, and what the card of an export says of one.

    config.json                the experiment with every default filled in, data set, precision, versions
    history.csv                one line for each epoch of the first stage; second_stage.csv: of the second
    best.weights.h5            the epoch with the least val_loss; none for models whose last epoch counts
    first_stage-12.weights.h5  everything that training needs to continue after 12 epochs; second_stage-14.weights.h5
    tensorboard/, preview.png  written while it is trained
    prior.npz, metrics.json, pictures/    written when it ends

Runs of an experiment are numbered: runs/vae/001, runs/vae/002. An epoch is done when the file of its weights has its name;
what other files say of later epochs is written again.
"""

import contextlib
import csv
import json
import shlex
from pathlib import Path

from keras_ae import files
from keras_ae.errors import UserError, explain
from keras_ae.priors import mixture
from keras_ae.training.experiment import complete

ROOT = Path("runs")


class Stage:
    """The files of one stage of the run in `folder`. name: "first_stage" or "second_stage". Epochs count through both."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.history = folder / ("history.csv" if name == "first_stage" else f"{name}.csv")

    def weights(self, epoch):
        """The path of everything that training needs to continue after so many epochs."""
        return self.folder / f"{self.name}-{epoch}.weights.h5"

    @property
    def epochs(self):
        """Whole epochs that are saved, through both stages; 0 for none."""
        names = (path.name for path in self.folder.glob(f"{self.name}-*.weights.h5"))
        return max((int(name.split(".")[0].rpartition("-")[2]) for name in names), default=0)

    def rows(self):
        """One dict of floats for each whole epoch, as history.csv has them: "epoch" from 0."""
        if not self.history.exists():
            return []
        with open(self.history, encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        return [row for row in rows if row["epoch"] < self.epochs]

    def forget_later_epochs(self):
        """Leave only whole epochs in history.csv: a process may have been killed between a line and the weights."""
        if self.history.exists():
            header, *lines = self.history.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
            whole = [line for line in lines if int(line.partition(",")[0]) < self.epochs]
            with files.write_file(self.history) as partial:
                partial.write_text("".join([header, *whole] if whole else []), encoding="utf-8")


class Run:
    """The files of one run in `folder`, which need not exist yet."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.first, self.second = Stage(self.folder, "first_stage"), Stage(self.folder, "second_stage")
        self.best_weights = self.folder / "best.weights.h5"
        self.tensorboard, self.pictures = self.folder / "tensorboard", self.folder / "pictures"
        self.preview, self.prior = self.folder / "preview.png", self.folder / "prior.npz"

    def __str__(self):
        return str(self.folder)

    @property
    def exists(self):
        return (self.folder / "config.json").exists()

    @property
    def complete(self):
        return (self.folder / "metrics.json").exists()

    @property
    def epochs(self):
        return self.second.epochs or self.first.epochs

    def reopen(self):
        """Forget what came after the first stage, which gets more epochs."""
        for path in (self.folder / "metrics.json", self.prior, self.second.history, *self.folder.glob("second_stage-*.h5")):
            path.unlink(missing_ok=True)

    def command(self, *more):
        """The command that continues the run, with these arguments."""
        config = self.read_json("config")
        words = config.get("command") or [config["experiment"]]
        return shlex.join(["python", "-m", "keras_ae.train", *words, "--out", str(self), "--resume", *more])

    def lock(self):
        return files.lock(self.folder / ".lock", f"another process trains in {self}; choose another folder or wait")

    def remove_if_empty(self):
        """Remove the folder of a run that has not begun."""
        if not self.exists:
            (self.folder / ".lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def write_json(self, name, values):
        with files.write_file(self.folder / f"{name}.json") as path:
            path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    def read_json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def history(self):
        """One dict of numbers per whole epoch of both stages: "epoch" from 1, "stage" 1 or 2."""
        stages = ((1, self.first), (2, self.second))
        return [{**row, "epoch": int(row["epoch"]) + 1, "stage": number} for number, one in stages for row in one.rows()]

    def best(self):
        """The row of the epoch whose weights count."""
        rows = self.history()
        return rows[-1] if self.second.epochs or not self.best_weights.exists() else min(rows, key=lambda row: row["val_loss"])

    def experiment(self):
        config = self.read_json("config")
        return complete(config["experiment"], config["tables"])

    def best_networks(self, precision="float32", stage=2):
        model = self.best_model(precision, stage)
        return model.encoder, model.decoder

    def best_model(self, precision="float32", stage=2):
        """The model with the weights that count, to compute in the dtype policy `precision`.

        stage: 1 for those that the second stage, a `Refiner`, began with. Raises UserError where the weights do not fit.
        """
        config, experiment = self.read_json("config"), self.experiment()
        shape, labels = config["data"]["shape"], config["data"]["labels"]
        encoder, decoder = experiment.networks(tuple(shape), len(labels), precision)
        last = self.second if stage == 2 and self.second.epochs else self.first
        best = last is self.first and self.best_weights.exists()
        path = self.best_weights if best else last.weights(last.epochs)
        wrote = f"version {config['versions']['keras_ae']} wrote it"
        with explain(f"{path} does not fit the present networks, or is damaged; {wrote}", OSError, KeyError, ValueError):
            if last is self.first:
                model = experiment.objective(encoder, decoder)
            else:
                # nothing is drawn: any prior does
                model = experiment.refined(encoder, decoder, mixture.Normal(experiment.latent_dim), 1, len(labels))
            model.load_weights(path)
        return model

    def critic(self):
        """The critic of the second stage with its last weights; None without one."""
        return self.best_model().critic if self.second.epochs else None

    def card(self):
        """What the card of an export says of a finished run: where the model comes from, and its held-out metrics."""
        config, measured = self.read_json("config"), self.read_json("metrics")
        # paths of the user's machine are private
        private = ("directory", "start_from")
        tables = {name: {key: keys[key] for key in keys if key not in private} for name, keys in config["tables"].items()}
        return {
            **{key: config[key] for key in ("experiment", "started_from", "data", "versions") if key in config},
            **{key: measured[key] for key in ("training_seconds", "epochs", "best_epoch")},
            "configuration": tables,
            "task": tables["task"],
            "fit": tables["data"]["fit"],
            "labels": config["data"]["labels"],
            "seed": tables["training"]["seed"],
            "training_precision": config["precision"],
            "held_out": measured["reconstruction"],
            "held_out_baseline": measured["baseline"],
            "held_out_neg_elbo_nats": measured["neg_elbo_nats"],
            **({"held_out_codes": measured["codes"]} if "codes" in measured else {}),
        }


def _numbered(root):
    """Runs inside `root`, oldest first, with those that have not begun."""
    folders = (path for path in Path(root).glob("[0-9]*") if path.name.isdigit())
    return [Run(folder) for folder in sorted(folders, key=lambda path: int(path.name))]


def new_run(root):
    """A run with the next number in `root`; its folder is made."""
    last = max((int(run.folder.name) for run in _numbered(root)), default=0)
    run = Run(Path(root) / f"{last + 1:03d}")
    run.folder.mkdir(parents=True)
    return run


def find_run(path, complete=False):
    """The run in the folder `path`, or the newest of the numbered ones inside it, or of those that are `complete`.

    Raises UserError if there is none.
    """
    runs = [run for run in (*_numbered(path), Run(path)) if run.exists]
    if not runs:
        raise UserError(f"no run in {path}; train one with python -m keras_ae.train experiments/NAME.toml")
    ended = [run for run in runs if run.complete or not complete]
    if not ended:
        raise UserError(f"the run in {runs[-1]} is not complete; continue it with {runs[-1].command()}")
    return ended[-1]
