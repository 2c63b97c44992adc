"""Tasks: what the encoder is shown of a picture that must come out whole.

A task takes images (batch, H, W, C) in [-1, 1] and a seed (2,) int32, and returns the inputs of the encoder, in [-1, 1] too.
The same seed gives the same inputs. To add one, write a function and name it in `TASKS`.
"""

import tensorflow as tf


def identity(images, seed):
    """The picture itself: an autoencoder."""
    return images


def add_noise(images, seed, *, mean: float = 0.0, deviation: float = 0.5):
    """Normal noise on every value, clipped to [-1, 1]: a denoising autoencoder (Vincent et al. 2008)."""
    noise = tf.random.stateless_normal(tf.shape(images), seed, mean, deviation)
    return tf.clip_by_value(images + noise, -1.0, 1.0)


def downscale(images, seed, *, factor: int = 2):
    """A `factor` times smaller picture, bicubic with antialiasing: super-resolution."""
    _, height, width, _ = images.shape
    small = tf.image.resize(images, (height // factor, width // factor), method="bicubic", antialias=True)
    return tf.clip_by_value(small, -1.0, 1.0)


def unlearned(inputs, shape):
    """What inputs are worth without a model: enlarged bicubically to `shape` (H, W, C); as they are where they fit."""
    if tuple(inputs.shape[1:3]) == tuple(shape[:2]):
        return inputs
    return tf.clip_by_value(tf.image.resize(inputs, shape[:2], method="bicubic"), -1.0, 1.0)


TASKS = {"identity": identity, "add_noise": add_noise, "downscale": downscale}
