"""Tasks: what the encoder receives instead of the image that it must reconstruct.

A task maps images (batch, H, W, C), floats in [-1, 1], and a seed of two integers to inputs for the encoder, a tensor in
[-1, 1]. The same seed gives the same inputs. To add a task, write a function and add it to `TASKS`. Its signature defines the
keys in experiment files and their bounds.
"""

from typing import Annotated

import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le


def identity(images, seed):
    """The images themselves: an autoencoder."""
    return images


def add_noise(
    images: np.ndarray | tf.Tensor,
    seed: tuple[int, int] | tf.Tensor,
    *,
    mean: Annotated[float, Ge(-2), Le(2)] = 0.0,
    deviation: Annotated[float, Gt(0), Le(10)] = 0.5,
) -> tf.Tensor:
    """Adds normal noise to every value and clips to [-1, 1]: a denoising autoencoder (Vincent et al. 2008)."""
    noise = tf.random.stateless_normal(tf.shape(images), seed, mean, deviation)
    return tf.clip_by_value(images + noise, -1.0, 1.0)


def downscale(
    images: np.ndarray | tf.Tensor,
    seed: tuple[int, int] | tf.Tensor = (0, 0),
    *,
    factor: Annotated[int, Ge(2), Le(16)] = 2,
) -> tf.Tensor:
    """Images `factor` times smaller, bicubic with antialiasing: super-resolution."""
    _, height, width, _ = images.shape
    small = tf.image.resize(images, (height // factor, width // factor), method="bicubic", antialias=True)
    return tf.clip_by_value(small, -1.0, 1.0)


def unlearned(inputs, shape):
    """The baseline without a model: inputs enlarged bicubically to `shape` (H, W, C), or unchanged if they have that size."""
    if tuple(inputs.shape[1:3]) == tuple(shape[:2]):
        return inputs
    return tf.clip_by_value(tf.image.resize(inputs, shape[:2], method="bicubic"), -1.0, 1.0)


TASKS = {"identity": identity, "add_noise": add_noise, "downscale": downscale}
