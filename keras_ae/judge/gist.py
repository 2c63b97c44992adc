"""The gist of a scene: energies of Gabor filters and mean colours on a coarse grid (Oliva & Torralba 2001).

A convolutional network whose weights are a formula. It needs neither training nor a download.
"""

import numpy as np
import tensorflow as tf

SIDE = 64
GRID = 4
SCALES = 4
ORIENTATIONS = 4
# energies far below this count as equal; about the noise of a JPEG file
FLOOR = 0.02
# JPEG's luminance and two colour differences
LUMINANCE_AND_COLOURS = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]], "float32")


def in_colour(images):
    """Images as (n, 64, 64, 3), whatever their size and channels."""
    if images.shape[1] != SIDE:
        images = tf.image.resize(images, (SIDE, SIDE), antialias=True)
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


def gabor():
    """Log energies of Gabor filters and mean colours on a 4x4 grid: (batch, 304). Images are resized to 64x64 first."""
    filters = gabor_filters()
    margin = filters.shape[0] // 2
    edges = [[0, 0], [margin, margin], [margin, margin], [0, 0]]

    def energies(luminance):
        waves = tf.nn.conv2d(tf.pad(luminance, edges, "REFLECT"), filters, 1, "VALID")
        pairs = tf.reshape(waves, (-1, *waves.shape[1:3], ORIENTATIONS, 2))
        return tf.sqrt(tf.reduce_sum(tf.square(pairs), axis=-1) + 1e-8)

    def extract(images):
        # a 1x1 convolution is this product
        maps = tf.tensordot(in_colour(images), LUMINANCE_AND_COLOURS, 1)
        found = [_cells(maps)]
        luminance = maps[..., :1]
        for _ in range(SCALES):
            found.append(tf.math.log(_cells(energies(luminance)) + FLOOR))
            luminance = tf.nn.avg_pool2d(luminance, 2, 2, "VALID")
        return tf.concat(found, axis=1)

    return extract
