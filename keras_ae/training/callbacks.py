"""What happens around the steps: progress, pictures for TensorBoard, bookkeeping for a resumable run."""

import json
import math
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae.errors import UserError
from keras_ae.judging import metrics
from keras_ae.media import images

# what changes in Keras' EarlyStopping and ReduceLROnPlateau; the rest are settings (min_delta turns its sign at the start)
COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Progress(keras.callbacks.Callback):
    """A bar over all steps of a stage with the time left, and a line per epoch; epochs are counted through all stages."""

    def __init__(self, epochs, steps_per_epoch, first_epoch):
        super().__init__()
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        # disable=None: no bar where nobody looks, such as a log file
        total = (self.epochs - self.first_epoch) * self.steps_per_epoch
        self.bar = tqdm(total=total, unit="step", disable=None, dynamic_ncols=True, leave=False)
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_began = time.monotonic()
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        left = (now - self.began) / (epoch + 1 - self.first_epoch) * (self.epochs - epoch - 1)
        tqdm.write(
            f"epoch {epoch + 1:3d}/{self.epochs}  nats {logs['loss']:9.1f}  held out {logs['val_neg_elbo']:9.1f}  "
            f"KL {logs['val_kl']:6.1f}  PSNR {metrics.psnr(logs['val_mse']):5.2f} dB  "
            f"{now - self.epoch_began:5.1f} s  {left / 60:4.1f} min left"
        )

    def close(self):
        """Take the bar off the screen, however training ended."""
        self.bar.close()


class StopOnNaN(keras.callbacks.Callback):
    """End the run with an explanation when the loss is no longer a number."""

    def on_train_batch_end(self, batch, logs=None):
        # reading the loss waits for the step: now and then is enough
        if batch % 50 == 0:
            self._check(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs["loss"])

    def _check(self, loss):
        if not math.isfinite(float(loss)):
            raise UserError(
                f"the loss became {float(loss)} at step {int(self.model.optimizer.iterations)}: training diverged. The best "
                "weights so far are kept. A lower schedule.learning_rate, optimizer.clip_norm=1 or training.precision=float32 "
                "helps"
            )


class Pictures(keras.callbacks.Callback):
    """Reconstructions under their originals and fixed-seed samples from N(0, I), every few epochs, for TensorBoard."""

    def __init__(self, run, batch, latent_dim, seed, every):
        super().__init__()
        self.run = run
        self.batch = batch
        self.codes = tf.random.stateless_normal((len(batch["image"]), latent_dim), (seed, 0))
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        if (self.every and (epoch + 1) % self.every == 0) or epoch == 0:
            with tf.summary.create_file_writer(str(self.run.tensorboard / "pictures")).as_default(step=epoch):
                self._write("reconstructions", np.concatenate([self.batch["image"], self.model(self.batch)]))
                self._write("samples", self.model.decode(self.codes, self.batch))

    def _write(self, name, pictures):
        grid = images.grid(images.to_uint8(np.asarray(pictures, "float32")), columns=len(self.codes))
        tf.summary.image(name, grid[None])


class Bookkeeping(keras.callbacks.Callback):
    """After each epoch: history, best weights and the whole state of training, counters of other callbacks included.

    Must stand behind `others` in the list: what it restores when training begins, they reset just before. A stage begins with
    the rows of the one before it, and with nothing else of its state.
    """

    def __init__(self, run, stage, others):
        super().__init__()
        self.run = run
        self.stage = stage
        self.others = others
        self.rows = []
        self.began = None

    def on_train_begin(self, logs=None):
        self.variables = self.model.state()
        if (self.run.folder / "state.npz").exists():
            self._restore(self.run.read_arrays("state"))
        self.began = time.monotonic()

    def _restore(self, arrays):
        record = json.loads(str(arrays["record"]))
        self.rows = record["rows"]
        if record["stage"] == self.stage:
            for index, variable in enumerate(self.variables):
                variable.assign(arrays[f"variable_{index}"])
            for callback, counters in zip(self.others, record["counters"], strict=True):
                vars(callback).update(counters)

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        row = {"epoch": epoch + 1, "stage": self.stage, **{name: float(value) for name, value in logs.items()}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(now - self.began, 3)
        self.began = now
        least = min((row["val_neg_elbo"] for row in self.rows), default=math.inf)
        row["kept"] = int(self.model.keeps(row["val_neg_elbo"], least))
        if row["kept"]:
            self.run.write_best_weights(self.model.encoder, self.model.decoder)
        self.rows.append(row)
        self.run.write_history(self.rows)
        counters = [{name: vars(other)[name] for name in COUNTERS if name in vars(other)} for other in self.others]
        record = {"rows": self.rows, "stage": self.stage, "counters": counters, "stopped": bool(self.model.stop_training)}
        arrays = {f"variable_{index}": np.asarray(variable) for index, variable in enumerate(self.variables)}
        self.run.write_arrays("state", {"record": json.dumps(record), **arrays})


def progress_of(run):
    """Where a run stands, from its saved state: its stage, the epochs done in each, and whether the stage stopped early."""
    if not (run.folder / "state.npz").exists():
        return 1, {1: 0, 2: 0}, False
    record = json.loads(str(run.read_arrays("state")["record"]))
    stages = [row["stage"] for row in record["rows"]]
    return record["stage"], {stage: stages.count(stage) for stage in (1, 2)}, record["stopped"]
