"""Pictures of a model while it learns: preview.png of a run, and TensorBoard's."""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_ae import outputs
from keras_ae.images import pictures

# held-out images whose codes say where codes lie
CODES = 64
# images of a row of preview.png, and of TensorBoard; pixels of the side of an image in preview.png, at least
COLUMNS, LOGGED = 8, 16
SIDE = 64
# of the time of training
SHARE = 0.02


class Rows:
    """Rows of held-out originals, their reconstructions and samples, of the same length.

    The codes of the samples are drawn from the normal distribution with the mean and covariance of the codes of `batch`, with
    the same random numbers each time. N(0, I) would be far from the codes of a model without KL, and of one that begins.

    batch: of `pipeline.first_batch`.
    """

    def __init__(self, batch, columns, seed):
        self.batch = batch
        self.shown = {name: values[:columns] for name, values in batch.items()}
        n = len(batch["images"])
        self.noise = tf.random.stateless_normal((min(columns, n), n), (seed, 0)) / n**0.5

    def of(self, model):
        """The three rows of a model, each (columns, H, W, C) in [-1, 1]."""
        z = model.encode(self.batch)["z_mean"]
        mean = tf.reduce_mean(z, axis=0)
        rows = [model.decode(codes, self.shown) for codes in (z[: len(self.noise)], mean + self.noise @ (z - mean))]
        return [np.asarray(row, "float32") for row in (self.shown["images"], *rows)]


class Preview(keras.callbacks.Callback):
    """preview.png with `Rows`, replaced after an epoch.

    The picture takes at most `SHARE` of the time: where epochs are short, some epochs have none. The first and the last of a
    stage have one.

    path: of the file. batch: of `pipeline.first_batch`. show: whether to open the picture when it is first drawn.
    """

    def __init__(self, path, batch, seed, show=False):
        super().__init__()
        self.path, self.show = path, show
        self.rows = Rows(batch, COLUMNS, seed)
        self.began, self.spent = time.monotonic(), 0.0

    def on_epoch_end(self, epoch, logs=None):
        began = time.monotonic()
        if self.spent <= SHARE * (began - self.began):
            self.write()
            # the first picture is slow, and not a measure of the next ones
            self.spent = self.spent + time.monotonic() - began if self.spent else 1e-9

    def on_train_end(self, logs=None):
        self.write()

    def write(self):
        """Draw and replace the picture."""
        rows = self.rows.of(self.model)
        pixels = pictures.to_uint8(np.concatenate(rows))
        scale = max(1, SIDE // pixels.shape[1])
        enlarged = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
        pictures.write_png(self.path, pictures.grid(enlarged, len(rows[0])))
        if self.show:
            outputs.show(self.path)
            self.show = False


class ImageLogger(keras.callbacks.Callback):
    """`Rows` every five epochs, for TensorBoard. run: of which they are. batch: as for `Preview`."""

    def __init__(self, run, batch, seed):
        super().__init__()
        self.run = run
        self.rows = Rows(batch, LOGGED, seed)

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 5 == 0:
            originals, rebuilt, samples = self.rows.of(self.model)
            with tf.summary.create_file_writer(str(self.run.tensorboard / "pictures")).as_default(step=epoch + 1):
                for name, rows in {"reconstructions": [originals, rebuilt], "samples": [samples]}.items():
                    tf.summary.image(name, pictures.grid(pictures.to_uint8(np.concatenate(rows)), len(originals))[None])
