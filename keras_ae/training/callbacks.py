"""What happens around the training steps: progress, TensorBoard, and the state that a resumed run needs."""

import math
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae.errors import UserError
from keras_ae.images import charts
from keras_ae.judge.metrics import psnr
from keras_ae.training.runs import weights_of

# what changes in Keras' EarlyStopping and ReduceLROnPlateau; the rest are settings (min_delta changes its sign at the start)
COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")
# columns of the history that are no scalars of training
BOOKKEEPING = ("epoch", "stage", "seconds", "kept")
# seconds of a second stage's epoch over a first stage's, measured with vae.toml: for the time left before it has begun
SECOND_STAGE_COST = 3.0


def _number(value):
    """A scalar, which may be a variable with copies on several devices, as a number of Python."""
    return np.asarray(value).item()


def time_left(seconds, epoch, stages):
    """Seconds until the last stage ends, from those of an epoch of the present one.

    epoch: the last whole one, counted through all stages from 0. stages: as for `Progress`.
    """
    (_, end, *_), *later = stages
    return seconds * (end - epoch - 1) + sum(seconds * SECOND_STAGE_COST * (to - begin) for begin, to, *_ in later)


def epoch_line(epoch, epochs, logs, has_posterior, seconds, left):
    """The line of an epoch, counted from 1. has_posterior: else the reconstruction term is all there is. left: in seconds."""
    name = "negative ELBO" if has_posterior else "reconstruction"
    kl = f"  KL {logs['val_kl']:6.1f}" if has_posterior else ""
    return (
        f"epoch {epoch:3d}/{epochs}  {name} {logs['neg_elbo']:9.1f} nats  held out {logs['val_neg_elbo']:9.1f}"
        f"{kl}  PSNR {psnr(logs['val_mse']):5.2f} dB  {seconds:5.1f} s  {left / 60:4.1f} min left"
    )


class Progress(keras.callbacks.Callback):
    """A bar over the steps of all stages, a line for each epoch, and the time left until the last stage ends.

    epochs: of each stage that is left, [(first epoch, end epoch, steps per epoch), ...], counted through all stages from 0.
    bar: whether to show one, where stderr is a terminal.
    """

    def __init__(self, stages, bar=True):
        super().__init__()
        self.stages = list(stages)
        # disable=None: no bar in a log file
        total = sum((end - first) * steps for first, end, steps in self.stages)
        self.bar = tqdm(total=total, unit="step", disable=None if bar else True, dynamic_ncols=True, leave=False)

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_began = time.monotonic()
        self.bar.set_description(f"epoch {epoch + 1}/{self.stages[-1][1]}")

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        seconds = (now - self.began) / (epoch + 1 - self.stages[0][0])
        left = time_left(seconds, epoch, self.stages)
        # a plain autoencoder has no posterior
        has_posterior = "z_log_var" in self.model.encoder.output
        tqdm.write(epoch_line(epoch + 1, self.stages[-1][1], logs, has_posterior, now - self.epoch_began, left))

    def next_stage(self, begins):
        """The second stage begins with epoch `begins`, which is earlier than planned where patience ended the first."""
        (_, _, steps), (planned, end, second_steps) = self.stages
        saved = planned - begins
        self.bar.total -= saved * steps
        self.stages = [(begins, end - saved, second_steps)]

    def close(self):
        """Remove the bar from the screen, however training ended."""
        self.bar.close()


class StopOnNaN(keras.callbacks.Callback):
    """End the run with an explanation when the loss is no longer a number. run: of the weights, or None. stage: its number."""

    ADVICE = {
        1: "A lower schedule.learning_rate, optimizer.clip_norm=1 or training.precision=float32 helps",
        2: "A lower refinement.learning_rate, refinement.critic_learning_rate or refinement.weight helps",
    }

    def __init__(self, run=None, stage=1):
        super().__init__()
        self.run, self.stage = run, stage

    def on_train_batch_end(self, batch, logs=None):
        # reading the loss waits for the step: every 50th is enough
        if batch % 50 == 0:
            self._check(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs["loss"])

    def _check(self, loss):
        if not math.isfinite(_number(loss)):
            step = _number(self.model.optimizer.iterations)
            saved = " The best weights so far are saved." if self.run and self.run.has_state else ""
            raise UserError(
                f"the loss became {_number(loss)} at step {step}: training diverged.{saved} {self.ADVICE[self.stage]}"
            )


def _decibels(logs):
    return {name.replace("mse", "psnr"): psnr(logs[name]) for name in ("mse", "val_mse")}


def log_missing(run):
    """Log the scalars of saved epochs that TensorBoard's logs lack: a process may have been killed between the two."""
    logged = charts.logged_scalars(run.tensorboard).get("epoch_loss", {}).get("train", ([], []))[0]
    rows = [row for row in run.read_record()["rows"] if row["epoch"] not in logged]
    for side in ("train", "validation") if rows else ():
        with tf.summary.create_file_writer(str(run.tensorboard / side)).as_default():
            for row in rows:
                for name, value in (row | _decibels(row)).items():
                    if name not in BOOKKEEPING and name.startswith("val_") == (side == "validation"):
                        tf.summary.scalar(f"epoch_{name.removeprefix('val_')}", value, row["epoch"])


class TensorBoard(keras.callbacks.TensorBoard):
    """Scalars of each epoch, numbered from 1 through all stages, with PSNR."""

    def __init__(self, folder):
        super().__init__(folder, write_graph=False)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch + 1, logs | _decibels(logs))

    def on_test_end(self, logs=None):
        # without logs: else each evaluation would be written again, over the steps of its stage alone
        super().on_test_end({})


class Bookkeeping(keras.callbacks.Callback):
    """After each epoch: history, best weights and the whole state of training, counters of other callbacks included.

    Must come after `others` in the list: it restores what they reset when training begins. A stage starts from the rows of the
    one before it, and from nothing else of its state.
    """

    def __init__(self, run, stage, others):
        super().__init__()
        self.run = run
        self.stage = stage
        self.others = others
        self.rows = []
        self.best = {}
        self.began = None

    def on_train_begin(self, logs=None):
        parts = (self.model.optimizer, *vars(self.model).values())
        optimizers = {id(part): part for part in parts if isinstance(part, keras.optimizers.Optimizer)}.values()
        for optimizer in optimizers:
            if optimizer is self.model.optimizer:
                optimizer.build(self.model.trainable_variables)
        self.variables = [*self.model.variables, *(variable for one in optimizers for variable in one.variables)]
        if self.run.has_state:
            self._restore(*self.run.read_state())
        self.began = time.monotonic()

    def _restore(self, record, values, best):
        self.rows, self.best = record["rows"], best
        if record["stage"] == self.stage:
            for variable, value in zip(self.variables, values, strict=True):
                variable.assign(value)
            for callback, counters in zip(self.others, record["counters"], strict=True):
                vars(callback).update(counters)

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        row = {"epoch": epoch + 1, "stage": self.stage, **{name: _number(value) for name, value in logs.items()}}
        row["learning_rate"] = _number(self.model.optimizer.learning_rate)
        row["seconds"] = round(now - self.began, 3)
        self.began = now
        least = min((row["val_loss"] for row in self.rows), default=math.inf)
        row["kept"] = int(self.model.monitor is None or row["val_loss"] < least)
        if row["kept"]:
            self.best = weights_of(self.model.encoder, self.model.decoder)
        self.rows.append(row)
        counters = [{name: vars(other)[name] for name in COUNTERS if name in vars(other)} for other in self.others]
        record = {"rows": self.rows, "stage": self.stage, "counters": counters, "stopped": bool(self.model.stop_training)}
        self.run.write_state(record, [np.asarray(variable) for variable in self.variables], self.best)
