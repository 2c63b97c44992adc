"""preview.png of a run: what the model makes of held-out images while it learns."""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_ae import outputs
from keras_ae.media import images

# images of a row; pixels of the side of an image in the file, at least
COLUMNS = 8
SIDE = 64
# of the time of training
SHARE = 0.02


class Preview(keras.callbacks.Callback):
    """Rows of held-out originals, their reconstructions and fixed-seed samples from N(0, I), replaced after an epoch.

    The picture takes at most `SHARE` of the time: where epochs are short, some epochs have none. The first and the last of a
    stage have one. Training is not changed: random layers continue as if nothing had been drawn.

    path: of the file. batch: of `pipeline.first_batch`. show: whether to open the picture when it is first drawn.
    """

    def __init__(self, path, batch, latent_dim, seed, show=False):
        super().__init__()
        self.path, self.show = path, show
        self.batch = {name: values[:COLUMNS] for name, values in batch.items()}
        self.began, self.spent = time.monotonic(), 0.0
        self.codes = tf.random.stateless_normal((len(self.batch["images"]), latent_dim), (seed, 0))

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
        encoder = self.model.encoder
        weights = {id(variable) for variable in encoder.weights}
        random = [(variable, variable.numpy()) for variable in encoder.variables if id(variable) not in weights]
        rows = [self.batch["images"], self.model(self.batch), self.model.decode(self.codes, self.batch)]
        for variable, value in random:
            variable.assign(value)
        pixels = np.concatenate([images.to_uint8(np.asarray(row, "float32")) for row in rows])
        scale = max(1, SIDE // pixels.shape[1])
        enlarged = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
        images.write_png(self.path, images.grid(enlarged, len(self.batch["images"])))
        if self.show:
            outputs.show(self.path)
            self.show = False
