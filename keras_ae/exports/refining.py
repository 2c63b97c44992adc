"""Codes improved for one image at a time, by gradient descent through an exported decoder.

An encoder answers at once, and for images unlike its training images not well: the distance from its code to the best one is
the amortization gap (Cremer et al. 2018, arXiv:1801.03558). A few steps on the code itself close most of it.
"""

import numpy as np

# codes that are improved together
BATCH = 32
# of Adam: step size as a share of the deviation of the numbers of a code, or of half their size, and decays
RATE = 0.05
DECAYS = 0.9, 0.99


def descent(decode, latent_dim, shape, conditional):
    """Gradient descent on codes: a TensorFlow function of codes, images, the number of steps and, if conditional, labels.

    decode: a differentiable TensorFlow function, (z[, labels]) -> images (n, *shape). The descent returns, for each code, the
    one with the least squared error on the way of Adam (Kingma & Ba 2015); it begins with the code itself.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, latent_dim)), tf.TensorSpec((None, *shape)), tf.TensorSpec((), tf.int32)]

    def errors(z, images, label):
        return tf.reduce_sum(tf.square(decode(z, *label) - images), axis=[1, 2, 3])

    @tf.function(input_signature=[*signature, *([tf.TensorSpec((None,), tf.int32)] * conditional)])
    def descend(z, images, steps, *label):
        deviation = tf.math.reduce_std(z, axis=1, keepdims=True)
        # the numbers of a short code may be alike
        rate = RATE * tf.maximum(deviation, tf.sqrt(tf.reduce_mean(tf.square(z), axis=1, keepdims=True)) / 2) + 1e-6
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
