"""Features in which sets of images are compared: float32 (batch, H, W, C) in [-1, 1] -> (batch, d).

`gabor` is the gist of a scene, energies of Gabor filters and mean colours on a coarse grid (Oliva & Torralba 2001), without
training or download. `inception` is the pool layer of InceptionV3; distances in it are called FID and KID. To add features,
name a function that returns them in `FEATURES`.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.images.pictures import LUMINANCE_AND_COLOURS
from keras_ae.priors.space import batched

GRID = 4
ORIENTATIONS = 4
# energies far below this count as equal; about the noise of a JPEG file
FLOOR = 0.02


def _in_colour(images, side):
    """Images as (n, side, side, 3), whatever their size and channels."""
    if tuple(images.shape[1:3]) != (side, side):
        images = tf.image.resize(images, (side, side), antialias=True)
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images


def gabor_filters(side=9, wavelength=3.5, deviation=1.6):
    """Pairs of even and odd filters of each orientation, (side, side, 1, 2 * ORIENTATIONS); flat areas give 0."""
    half = side // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    window = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    filters = []
    for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
        wave = window * np.exp(2j * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
        wave -= window * wave.sum() / window.sum()
        wave /= np.abs(wave).sum()
        filters += [wave.real, wave.imag]
    return np.stack(filters, axis=-1)[:, :, None].astype("float32")


def _cells(maps):
    """The mean over each cell of the grid, flattened."""
    cell = maps.shape[1] // GRID
    pooled = tf.nn.avg_pool2d(maps, cell, cell, "VALID")
    return tf.reshape(pooled, (-1, GRID * GRID * maps.shape[-1]))


def energies(grey):
    """Energies of Gabor filters of each orientation, (n, h, w, ORIENTATIONS), of maps (n, h, w, 1)."""
    filters = gabor_filters()
    margin = filters.shape[0] // 2
    edges = [[0, 0], [margin, margin], [margin, margin], [0, 0]]
    waves = tf.nn.conv2d(tf.pad(grey, edges, "REFLECT"), filters, 1, "VALID")
    pairs = tf.reshape(waves, (-1, *waves.shape[1:3], ORIENTATIONS, 2))
    return tf.sqrt(tf.reduce_sum(tf.square(pairs), axis=-1) + 1e-8)


def gabor(scales=4):
    """Log energies of Gabor filters and mean colours on a 4x4 grid: (batch, 304). Images are resized to 64x64 first."""

    def extract(images):
        maps = tf.tensordot(_in_colour(images, 64), LUMINANCE_AND_COLOURS, 1)
        found = [_cells(maps)]
        luminance = maps[..., :1]
        for _ in range(scales):
            found.append(tf.math.log(_cells(energies(luminance)) + FLOOR))
            luminance = tf.nn.avg_pool2d(luminance, 2, 2, "VALID")
        return tf.concat(found, axis=1)

    return extract


def inception():
    """The last pooling layer of InceptionV3 trained on ImageNet, (batch, 2048), from keras.applications.

    Raises UserError if its weights (88 MB) cannot be downloaded. They are Keras' own, not those of the original FID code:
    compare numbers of this package with each other only.
    """
    try:
        network = keras.applications.InceptionV3(include_top=False, pooling="avg")
    except Exception as error:
        raise UserError(f"the weights of InceptionV3 cannot be downloaded ({error}); use `features` gabor") from error
    return lambda images: network(_in_colour(images, 299), training=False)


FEATURES = {"gabor": gabor, "inception": inception}


def extractor(name):
    """The features of that name as a function of any number of images: NumPy (n, H, W, C) -> float64 (n, d)."""
    compiled = tf.function(FEATURES[name](), reduce_retracing=True)

    def features(images, batch=128):
        return batched(lambda part: compiled(tf.constant(part)), images, batch).astype("float64")

    return features
