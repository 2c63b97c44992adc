"""Curves of training elsewhere: TensorBoard's table of hyperparameters, MLflow, Weights & Biases.

`training.track` of an experiment names a tracker, whose package is imported only then. Where it keeps its runs is set as its
documentation says, by MLFLOW_TRACKING_URI or WANDB_MODE.
"""

import importlib.util
import json

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from keras_ae.errors import UserError


def list_parameters(tables):
    """The values of an experiment, {"table.key": number, text or truth value}; lists and tables as JSON."""
    pairs = {f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items() if value is not None}
    return {name: value if isinstance(value, bool | int | float | str) else json.dumps(value) for name, value in pairs.items()}


def write_hyperparameters(folder, tables, measured):
    """Write a run for TensorBoard's tab HParams into `folder`: values of the experiment, and numbers {name: number}."""
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        hparams.hparams(list_parameters(tables))
        for name, value in measured.items():
            tf.summary.scalar(f"held_out/{name}", value)


def open_mlflow(name, parameters, identity):
    """Begin a run of MLflow, or continue that of `identity`: its identity, `log(values, step)`, and `end()`."""
    import mlflow

    run = mlflow.start_run(run_id=identity, run_name=name)
    if identity is None:
        mlflow.log_params(parameters)
    return run.info.run_id, mlflow.log_metrics, mlflow.end_run


def open_wandb(name, parameters, identity):
    """As `open_mlflow`, of Weights & Biases."""
    import wandb

    run = wandb.init(project="keras_ae", name=name, config=parameters, id=identity, resume="allow")
    return run.id, lambda values, step: run.log(values, step=step), run.finish


TRACKERS = {"mlflow": open_mlflow, "wandb": open_wandb}


def check_installed(name):
    """Raises UserError where the package of a tracker is not installed."""
    if name in TRACKERS and not importlib.util.find_spec(name):
        raise UserError(f"training.track={name} needs the package {name}: pip install 'keras_ae[{name}]'")


class Track(keras.callbacks.Callback):
    """Logs each epoch with a tracker, both stages and continued runs as one.

    name: of `TRACKERS`. run: of `training.run`; tracker.json in its folder keeps the identity that the tracker gave it.
    """

    def __init__(self, name, run):
        super().__init__()
        self.name, self.run = name, run

    def on_train_begin(self, logs=None):
        kept = self.run.folder / "tracker.json"
        identity = json.loads(kept.read_text())["identity"] if kept.exists() else None
        config = self.run.read_json("config")
        parameters = list_parameters(config["tables"])
        identity, self.log, self.end = TRACKERS[self.name](f"{config['experiment']} {self.run}", parameters, identity)
        self.run.write_json("tracker", {"identity": identity})

    def on_epoch_end(self, epoch, logs=None):
        self.log({name: float(value) for name, value in logs.items()}, step=epoch)

    def on_train_end(self, logs=None):
        self.end()
