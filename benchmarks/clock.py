"""What everything that trains for benchmarks/peers.py and race.py shares: a clock, and the first stage of vae.toml."""

import time

import keras
import numpy as np

from keras_ae.data import pipeline
from keras_ae.training import experiment


class Clock:
    """Stops training after `limit` seconds, or once held-out images are rebuilt with `target` dB.

    It stands still while it measures. held_out: images (n, H, W, C), or None to measure nothing.
    """

    def __init__(self, limit, held_out=None, target=float("inf")):
        self.limit = limit
        self.held_out = held_out
        self.target = target
        self.seconds = self.psnr = 0.0
        self.began = time.perf_counter()

    def start(self):
        """Start to count."""
        self.began = time.perf_counter()

    def done(self, rebuild):
        """Whether training ends here; called after each epoch. rebuild: images (n, H, W, C) -> reconstructions."""
        self.seconds += time.perf_counter() - self.began
        if self.held_out is not None:
            self.psnr = max(self.psnr, self._measured(rebuild))
        self.start()
        return self.psnr >= self.target or self.seconds >= self.limit

    def _measured(self, rebuild):
        squared = 0.0
        for row in range(0, len(self.held_out), 128):
            images = self.held_out[row : row + 128]
            squared += float(np.square(images - np.clip(rebuild(images), -1, 1), dtype="float64").sum())
        return 10 * np.log10(4 * self.held_out.size / squared)


def first_stage(image_set, seed):
    """The experiment vae.toml, the stream of its first stage and the number of steps of an epoch."""
    vae = experiment.read("experiments/vae.toml", [f"training.seed={seed}"])
    batch = vae.training.batch
    stream = pipeline.training(image_set, batch, seed, variation=vae.data.variation)
    return vae, stream, image_set.n_train // batch


def fit(model, stream, steps, rebuild, clock):
    """Train a Keras model, `steps` of the stream in an epoch, until the clock ends it."""

    class Until(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = clock.done(rebuild)

    clock.start()
    model.fit(stream, steps_per_epoch=steps, epochs=10_000, shuffle=False, verbose=0, callbacks=[Until()])
