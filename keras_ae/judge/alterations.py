"""Faults of pictures, made on purpose: a network that tells them apart learns what real images of a data set are like.

Each alteration is a function of images (n, side, side, 3) in [-1, 1], of as many other images, and of a seed (2,) int32; it
returns images of the same shape. How strongly an image is altered is random.
"""

import numpy as np
import tensorflow as tf
from keras import ops

PARTS = 4


def _uniform(images, seed, least, most):
    """One random number for each image, (n, 1, 1, 1)."""
    return tf.random.stateless_uniform((images.shape[0], 1, 1, 1), seed, least, most)


def _blur(images, deviation=1.5):
    """Convolution with a Gaussian; edges are mirrored."""
    reach = round(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).astype("float32")
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "REFLECT")
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        kernel = np.tile(weights.reshape(shape), (1, 1, images.shape[-1], 1))
        padded = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    return padded


def unaltered(images, others, seed):
    """The images as they are."""
    return images


def halves_exchanged(images, others, seed):
    """The right or the lower half of another image."""
    side = images.shape[1]
    later = tf.cast(tf.range(side) >= side // 2, images.dtype)
    beside = tf.random.stateless_uniform((images.shape[0], 1, 1, 1), seed) < 0.5
    mask = tf.where(beside, later[None, None, :, None], later[None, :, None, None])
    return images + mask * (others - images)


def parts_exchanged(images, others, seed):
    """About half of 4x4 parts are those of another image."""
    n, side = images.shape[0], images.shape[1]
    chosen = tf.random.stateless_uniform((n, PARTS, PARTS, 1), seed) < 0.5
    mask = tf.repeat(tf.repeat(tf.cast(chosen, images.dtype), side // PARTS, axis=1), side // PARTS, axis=2)
    return images + mask * (others - images)


def blurred(images, others, seed):
    """Convolved with a Gaussian, by a share of 0.3 to 1."""
    return images + _uniform(images, seed, 0.3, 1.0) * (_blur(images) - images)


def sharpened(images, others, seed):
    """Fine detail strengthened by 0.5 to 1.5."""
    return images + _uniform(images, seed, 0.5, 1.5) * (images - _blur(images, 1.0))


def noisy(images, others, seed):
    """Normal noise with a standard deviation of 0.03 to 0.15."""
    return images + _uniform(images, seed + [0, 1], 0.03, 0.15) * tf.random.stateless_normal(images.shape, seed)


def averaged(images, others, seed):
    """Two images on top of each other, with 0.3 to 0.5 of the other one."""
    return images + _uniform(images, seed, 0.3, 0.5) * (others - images)


def bent(images, others, seed):
    """Each pixel from a place up to 3 to 8 pixels away; places change smoothly."""
    n, side = images.shape[0], images.shape[1]
    coarse = tf.random.stateless_uniform((n, PARTS, PARTS, 2), seed, -1, 1)
    moves = tf.image.resize(coarse, (side, side), "bicubic") * _uniform(images, seed + [0, 1], 3.0, 8.0)
    index, y, x = tf.meshgrid(*(tf.range(size, dtype=tf.float32) for size in (n, side, side)), indexing="ij")
    places = [index, y + moves[..., 0], x + moves[..., 1]]
    channels = tf.unstack(images, axis=-1)
    return tf.stack([ops.image.map_coordinates(values, places, 1, "nearest") for values in channels], axis=-1)


ALTERATIONS = (unaltered, halves_exchanged, parts_exchanged, blurred, sharpened, noisy, averaged, bent)


def altered(images, seed):
    """A batch in as many equal groups as there are alterations, each altered in its own way, and their numbers (batch,)."""
    groups = tf.split(images, len(ALTERATIONS))
    # a group's others are the next group
    pairs = zip(ALTERATIONS, groups, groups[1:] + groups[:1], strict=True)
    changed = [alter(group, others, seed + [0, 2 * kind]) for kind, (alter, group, others) in enumerate(pairs)]
    return tf.clip_by_value(tf.concat(changed, axis=0), -1, 1), np.repeat(np.arange(len(groups)), groups[0].shape[0])
