"""Codes improved for one image at a time, by gradient descent through an exported decoder.

An encoder answers at once, and for images unlike its training images not well: the distance from its code to the best one is
the amortization gap (Cremer et al. 2018, arXiv:1801.03558). A few steps on the code itself close most of it.
"""

import numpy as np

from keras_ae.codes.batches import batched

BATCH = 32
# of Adam: step size as a share of the deviation of the codes, and decays
RATE = 0.05
DECAYS = 0.9, 0.99


def _descent(decode, rate, steps):
    """A TensorFlow function: codes, images, labels or None -> the best of the codes on the way of Adam (Kingma & Ba 2015)."""
    import tensorflow as tf

    def errors(z, images, label):
        return tf.reduce_sum(tf.square(decode(z, label) - images), axis=[1, 2, 3])

    @tf.function(reduce_retracing=True)
    def descend(z, images, label):
        best, least = z, tf.fill(tf.shape(z)[:1], np.inf)
        first, second = tf.zeros_like(z), tf.zeros_like(z)
        for step in tf.range(1, steps + 1):
            with tf.GradientTape() as tape:
                tape.watch(z)
                error = errors(z, images, label)
            gradient = tape.gradient(error, z)
            better = error < least
            best, least = tf.where(better[:, None], z, best), tf.minimum(error, least)
            first = DECAYS[0] * first + (1 - DECAYS[0]) * gradient
            second = DECAYS[1] * second + (1 - DECAYS[1]) * tf.square(gradient)
            count = tf.cast(step, tf.float32)
            size = tf.sqrt(second / (1 - DECAYS[1] ** count)) + 1e-12
            z -= rate * first / (1 - DECAYS[0] ** count) / size
        return tf.where((errors(z, images, label) < least)[:, None], z, best)

    return descend


def refined(decode, z, images, steps, labels=None, progress=None):
    """Codes from which images are rebuilt with less squared error than from z; a code that does not improve stays as it is.

    decode: a differentiable TensorFlow function, (z, labels or None) -> images. z: float32 (n, latent_dim). images: float32
    (n, H, W, C). labels: class numbers (n,) of a conditional model. progress: text of a progress bar on stderr.
    """
    if not steps or not len(z):
        return z
    descend = _descent(decode, RATE * max(float(np.std(z)), 1e-6), steps)

    def on_rows(rows):
        return descend(z[rows], images[rows], None if labels is None else labels[rows])

    return batched(on_rows, np.arange(len(z)), BATCH, progress)
