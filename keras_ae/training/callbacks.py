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

    Noise depends on `seed` and the epoch alone. Callbacks that Keras resets when training begins, EarlyStopping and
    ReduceLROnPlateau, learn what they knew from `rows`, those of the history of earlier epochs. Must come after these in the
    list, and before those that write logs: seconds, learning rate, and PSNR in dB are added.
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


class Save(keras.callbacks.Callback):
    """After each epoch, everything that training changes. The file appears whole, then that of the epoch before goes.

    Keras' BackupAndRestore writes weights and the number of the epoch to two files in place; a process may be killed between
    them. stage: of `run.Run`.
    """

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def on_epoch_end(self, epoch, logs=None):
        partial = self.stage.folder / "partial.weights.h5"
        self.model.save_weights(partial)
        os.replace(partial, self.stage.weights(epoch + 1))
        self.stage.weights(epoch).unlink(missing_ok=True)


class Scores(keras.callbacks.Callback):
    """Logs what the critic of a second stage says of images, as "score_NAME": the mean of its logit for the whole image.

    Where held-out images score as drawn ones do, and training images above both, the critic has memorized them (Karras et al.
    2020, arXiv:2006.06676). images: by name, batches of `pipeline.first_batch`; drawn ones are added.
    """

    def __init__(self, images):
        super().__init__()
        self.images = images

    def on_epoch_end(self, epoch, logs=None):
        drawn = {name: values[:256] for name, values in self.model.pool.items()}
        batches = self.images | {"drawn": drawn | {"images": self.model.decode(drawn["z"], drawn)}}
        for name, batch in batches.items():
            judged = apply(self.model.critic, images=batch["images"], label=batch.get("label"))
            logs[f"score_{name}"] = float(np.mean(judged["logits"][0]))


class Progress(keras.callbacks.Callback):
    """A bar over the steps of an epoch, where stderr is a terminal, and a line for each epoch with the time that is left.

    end: the last epoch of the stage. later: epochs of the stage after it, which take about three times as long.
    """

    def __init__(self, end, later=0):
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
    """Held-out originals, their reconstructions and samples, in preview.png and for TensorBoard.

    They are drawn after the first epoch, when 30 seconds have passed since they were drawn, and at the end. The codes of the
    samples have the mean and covariance of the codes of `batch`, and come from the same random numbers each time: N(0, I) would
    be far from the codes of a model without KL, and of one that begins.

    run: of the picture. batch: of `pipeline.first_batch`.
    """

    def __init__(self, run, batch, seed, columns=8):
        super().__init__()
        self.run, self.batch = run, batch
        self.shown = {name: values[:columns] for name, values in batch.items()}
        n = len(batch["images"])
        self.noise = np.random.default_rng(seed).normal(size=(min(columns, n), n)).astype("float32") / math.sqrt(n)
        self.drawn = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch
        if time.monotonic() - self.drawn >= 30:
            self.draw()

    def on_train_end(self, logs=None):
        self.draw()

    def draw(self):
        """Draw and replace the picture."""
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
