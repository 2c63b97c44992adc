"""What is done around the steps of training beside Keras' own callbacks."""

import math
import os
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae.images import pictures
from keras_ae.models.networks import apply


class Continue(keras.callbacks.Callback):
    """Makes training after an interruption the same as without one, and logs what Keras leaves out.

    Noise depends on `seed` and the epoch alone. The callbacks `counting`, which Keras resets, learn what they knew from the
    `rows` of the history. Comes after these, and before those that write logs; seconds, learning rate and PSNR are added.
    """

    def __init__(self, seed, counting, rows):
        super().__init__()
        self.seed, self.counting, self.rows = seed, counting, rows

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()
        # it may have a copy on each device
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        for row in self.rows:
            for callback in self.counting:
                callback.on_epoch_end(int(row["epoch"]), dict(row))
        if any(isinstance(callback, keras.callbacks.ReduceLROnPlateau) for callback in self.counting):
            # the weights that were loaded have the rate, which was reduced once more
            self.model.optimizer.learning_rate = rate

    def on_epoch_begin(self, epoch, logs=None):
        state = np.random.SeedSequence((self.seed, epoch)).generate_state(2)
        self.model.seed_generator.state.assign(state)

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        logs["seconds"], self.began = round(now - self.began, 3), now
        logs.setdefault("learning_rate", float(np.asarray(self.model.optimizer.learning_rate)))
        logs |= {name.replace("mse", "psnr"): pictures.psnr(logs[name]) for name in ("mse", "val_mse")}


def save_each_epoch(model, stage):
    """The callback that saves everything that training changes to a stage of `run.Run`, in a file that appears whole.

    Keras' BackupAndRestore writes two files in place; a process may be killed between them.
    """

    def save(epoch, logs):
        partial = stage.folder / "partial.weights.h5"
        model.save_weights(partial)
        os.replace(partial, stage.weights(epoch + 1))
        stage.weights(epoch).unlink(missing_ok=True)

    return keras.callbacks.LambdaCallback(on_epoch_end=save)


def log_scores(refiner, batches):
    """The callback that logs what the critic of a second stage says of images, as "score_NAME": the mean logit of the whole.

    Where held-out images score as drawn ones do, and training images above both, the critic has memorized them (Karras et al.
    2020, arXiv:2006.06676). batches: by name, of `pipeline.first_batch`; drawn ones are added.
    """

    def score(epoch, logs):
        drawn = {name: values[:256] for name, values in refiner.pool.items()}
        drawn["images"] = refiner.decode(drawn["z"], drawn)
        for name, batch in (batches | {"drawn": drawn}).items():
            judged = apply(refiner.critic, images=batch["images"], label=batch.get("label"))
            logs[f"score_{name}"] = float(np.mean(judged["logits"][0]))

    return keras.callbacks.LambdaCallback(on_epoch_end=score)


class Progress(keras.callbacks.Callback):
    """A bar over the steps of an epoch, where stderr is a terminal, and a line for each epoch with the time that is left.

    end: the last epoch of the stage. later: epochs of the stage after it, which take about three times as long.
    """

    def __init__(self, end, later):
        super().__init__()
        self.end, self.later, self.spent = end, later, []

    def on_epoch_begin(self, epoch, logs=None):
        # disable=None: no bar in a log file
        self.bar = tqdm(total=self.params["steps"], unit="step", disable=None, dynamic_ncols=True, leave=False)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        self.spent.append(logs["seconds"])
        left = np.mean(self.spent) * (self.end - epoch - 1 + 3 * self.later)
        # a plain autoencoder has no posterior
        kl = f"  KL {logs['val_kl']:6.1f}" if "z_log_var" in self.model.encoder.output else ""
        print(
            f"epoch {epoch + 1:3d}/{self.end + self.later}  {'negative ELBO' if kl else 'reconstruction'} "
            f"{logs['neg_elbo']:9.1f} nats  held out {logs['val_neg_elbo']:9.1f}{kl}  PSNR {logs['val_psnr']:5.2f} dB  "
            f"{logs['seconds']:5.1f} s  {left / 60:4.1f} min left",
            flush=True,
        )


class Preview(keras.callbacks.Callback):
    """Held-out originals, their reconstructions and samples, in preview.png and for TensorBoard; drawn each 30 seconds.

    The codes of the samples have the mean and covariance of those of `batch`, of `pipeline.first_batch`, and come from the same
    random numbers each time: N(0, I) would be far from the codes of a model without KL, and of one that begins.
    """

    def __init__(self, run, batch, seed):
        super().__init__()
        self.run, self.batch, self.drawn = run, batch, -math.inf
        self.shown = {name: values[:8] for name, values in batch.items()}
        n = len(batch["images"])
        self.noise = np.random.default_rng(seed).normal(size=(min(8, n), n)).astype("float32") / math.sqrt(n)

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch
        if time.monotonic() - self.drawn >= 30:
            self.draw()

    def on_train_end(self, logs=None):
        self.draw()

    def draw(self):
        z = np.asarray(self.model.encode(self.batch)["z_mean"])
        mean = z.mean(axis=0)
        decoded = [self.model.decode(codes, self.shown) for codes in (z[: len(self.noise)], mean + self.noise @ (z - mean))]
        rows = [np.asarray(row, "float32") for row in (self.shown["images"], *decoded)]
        pixels = pictures.to_uint8(np.concatenate(rows))
        scale = max(1, 64 // pixels.shape[1])
        page = pictures.grid(pixels.repeat(scale, axis=1).repeat(scale, axis=2), len(rows[0]))
        pictures.write_png(self.run.preview, page)
        with tf.summary.create_file_writer(str(self.run.tensorboard / "pictures")).as_default(step=self.epoch):
            tf.summary.image("originals, reconstructions, samples", page[None])
        self.drawn = time.monotonic()
