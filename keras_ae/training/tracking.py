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


def list_parameters(values):
    """The values of an experiment that are set, as numbers, text or truth values; lists and tables as JSON."""
    plain = bool | int | float | str
    return {
        name: value if isinstance(value, plain) else json.dumps(value) for name, value in values.items() if value is not None
    }


def write_hyperparameters(folder, values, measured):
    """Write a run for TensorBoard's tab HParams into `folder`: values of the experiment, and numbers {name: number}."""
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        hparams.hparams(list_parameters(values))
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


def log_each_epoch(name, run):
    """The callback that logs a `run.Run` with the tracker of this name, both stages and continued runs as one."""
    experiment = run.experiment()
    identity = run.read_json("tracker")["identity"] if (run.folder / "tracker.json").exists() else None
    identity, log, end = TRACKERS[name](f"{experiment.name} {run}", list_parameters(experiment.values()), identity)
    run.write_json("tracker", {"identity": identity})
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: log({key: float(value) for key, value in logs.items()}, step=epoch),
        on_train_end=lambda logs=None: end(),
    )
