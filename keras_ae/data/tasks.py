"""What is done to images at random, after the cache: variation of training images, and tasks.

A variation mirrors, shifts, enlarges and turns images, uint8 or float32 (n, H, W, C). A task maps images (n, H, W, C), floats
in [-1, 1], and a seed of two integers to what the encoder receives instead, a tensor in [-1, 1]. To add a task, add a function
to `TASKS`; its signature defines the keys in experiment files and their bounds.
"""

import dataclasses
import math
from typing import Annotated

import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le

from keras_ae.images.pictures import floats, scale


@dataclasses.dataclass(frozen=True)
class Variation:
    """How training images are varied, so that a model sees more than there are.

    flip: half of each batch is mirrored. shift: in pixels. scale: a share, such as 0.06. rotation: in degrees. Each image is
    moved, enlarged and turned around its centre by its own random amounts up to these, bilinear; but with whole pixels of
    `shift` alone, all images of a batch are shifted alike. Edges are mirrored.
    """

    flip: bool = False
    shift: Annotated[float, Ge(0), Le(64)] = 0
    scale: Annotated[float, Ge(0), Le(0.5)] = 0.0
    rotation: Annotated[float, Ge(0), Le(180)] = 0.0

    @property
    def sharp(self):
        """What of it leaves pixels as they are: interpolation takes a quarter of the sharpness of small images."""
        return Variation(flip=self.flip, shift=int(self.shift))

    def views(self, most):
        """How many different views of each image `pipeline.batches` has, up to `most`."""
        return most if self.shift or self.scale or self.rotation else min(most, 1 + self.flip)


UNVARIED = Variation()


def mirror(images):
    """Images with left and right exchanged."""
    return tf.reverse(images, [2])


def mirror_half(images, step):
    """A shuffled batch whose second half is mirrored; of an odd number, the one in the middle in every second step."""
    half = (tf.shape(images)[0] + tf.cast(step % 2, tf.int32)) // 2
    # several times as fast as a choice for each image
    return tf.concat([images[:half], mirror(images[half:])], axis=0)


def move(images, variation, seed):
    """Images shifted, enlarged and turned by random amounts; mirroring is apart. seed: (2,) int32."""
    if variation.scale or variation.rotation or variation.shift % 1:
        return _warp(images, variation, seed)
    if shift := int(variation.shift):
        offsets = tf.random.stateless_uniform((2,), seed, 0, 2 * shift + 1, tf.int32)
        for axis, offset in zip((1, 2), tf.unstack(offsets), strict=True):
            # edges are joined: tf.pad with mirrored edges takes three times as long
            edge, size = tf.range(shift), tf.shape(images)
            first, last = (tf.gather(images, rows, axis=axis) for rows in (edge[::-1], size[axis] - 1 - edge))
            images = tf.slice(tf.concat([first, images, last], axis), tf.one_hot(axis, 4, offset, 0), size)
    return images


def _warp(images, variation, seed):
    """Each image moved, enlarged and turned by its own random amounts, float32 from 0 to 255."""
    # data sets can be read with every backend of Keras
    import keras

    n, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    amounts = [variation.shift, variation.shift, variation.scale, math.radians(variation.rotation)]
    numbers = tf.random.stateless_uniform((4, n), seed, -1, 1)
    down, right, grown, angle = tf.unstack(numbers * tf.constant(amounts)[:, None])
    # from a pixel of the result to the point of the image that it shows
    cosine, sine = tf.cos(angle) / (1 + grown), tf.sin(angle) / (1 + grown)
    y, x = (height - 1) / 2, (width - 1) / 2
    first = x + right - cosine * x + sine * y
    second = y + down - sine * x - cosine * y
    rows = [cosine, -sine, first, sine, cosine, second, tf.zeros(n), tf.zeros(n)]
    images, shape = tf.cast(images, tf.float32), images.shape
    warped = keras.ops.image.affine_transform(
        images, tf.stack(rows, axis=1), interpolation="bilinear", fill_mode="reflect", data_format="channels_last"
    )
    return tf.ensure_shape(warped, shape)


def assert_within(values, least, most, bounds, message):
    """A tensor whose graph fails with `message`, `least` and `most`, its extremes, unless these lie within `bounds`."""
    low, high = bounds
    # a comparison with NaN is false
    with tf.control_dependencies([tf.debugging.Assert((least >= low) & (most <= high), [message, least, most])]):
        return tf.identity(values)


def _checked(images):
    """Images as float32 in [-1, 1], from uint8 too. Raises UserError for others; in a graph, an assertion fails."""
    if not tf.is_symbolic_tensor(images):
        return tf.convert_to_tensor(floats(np.asarray(images)), tf.float32)
    if images.dtype == tf.uint8:
        images = scale(tf.cast(images, tf.float32))
    least, most = tf.reduce_min(images), tf.reduce_max(images)
    return tf.cast(assert_within(images, least, most, (-1.01, 1.01), "the images must lie in [-1, 1]"), tf.float32)


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
    """Adds normal noise to every value and clips to [-1, 1]: a denoising autoencoder (Vincent et al. 2008).

    images: (n, H, W, C), uint8 or floats in [-1, 1]. seed: two whole numbers. Raises UserError for images of another range.
    """
    images = _checked(images)
    noise = tf.random.stateless_normal(tf.shape(images), seed, mean, deviation)
    return tf.clip_by_value(images + noise, -1.0, 1.0)


def downscale(
    images: np.ndarray | tf.Tensor,
    seed: tuple[int, int] | tf.Tensor = (0, 0),
    *,
    factor: Annotated[int, Ge(2), Le(16)] = 2,
) -> tf.Tensor:
    """Images `factor` times smaller, bicubic with antialiasing: super-resolution. The arguments are those of `add_noise`."""
    images = _checked(images)
    _, height, width, _ = images.shape
    small = tf.image.resize(images, (height // factor, width // factor), method="bicubic", antialias=True)
    return tf.clip_by_value(small, -1.0, 1.0)


def enlarge(inputs, shape):
    """The baseline without a model: inputs enlarged bicubically to `shape` (H, W, C), or unchanged if they have that size."""
    if tuple(inputs.shape[1:3]) == tuple(shape[:2]):
        return inputs
    return tf.clip_by_value(tf.image.resize(inputs, shape[:2], method="bicubic"), -1.0, 1.0)


TASKS = {"identity": identity, "add_noise": add_noise, "downscale": downscale}
