"""Features in which sets of images are compared: float32 (batch, H, W, C) in [-1, 1] -> (batch, d).

`gabor` needs no download: the energies of a bank of Gabor filters on a coarse grid and four scales, known as the gist of a
scene (Oliva & Torralba 2001), with the mean colours of the grid's cells. It is a convolutional network whose weights are a
formula, part of this package and its version. `learned` adds features that a network learns on the training images.
`inception` is the pool layer of InceptionV3; distances in it are called FID and KID. To add features, write a function of an
`ImageSet` that returns them and name it in `FEATURES`.
"""

import numpy as np
import tensorflow as tf

from keras_ae.codes.batches import batched
from keras_ae.data import pipeline
from keras_ae.judging import applications
from keras_ae.judging.altered import in_colour, trained

GRID = 4
SCALES = 4
ORIENTATIONS = 4
# energies far below this count as equal; about the noise of a JPEG file
FLOOR = 0.02
# training images whose features' spread makes features of different kinds comparable
SPREAD_IMAGES = 2000
# JPEG's luminance and two colour differences
LUMINANCE_AND_COLOURS = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]], "float32")


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


def gabor(image_set=None):
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


def _spread(extract, images):
    """The total standard deviation of the features of NumPy images."""
    compiled = tf.function(extract, reduce_retracing=True)
    return float(np.sqrt(batched(lambda part: compiled(tf.constant(part)), images, 128).var(axis=0).sum()))


def learned(image_set):
    """Those of `gabor`, and 128 features that tell altered training images apart (`altered`): (batch, 432).

    Each of the two kinds is divided by its total standard deviation over training images.
    """
    kinds = (gabor(), trained(image_set))
    images = pipeline.examples(image_set, "train", SPREAD_IMAGES)
    spreads = [_spread(extract, images) for extract in kinds]
    return lambda images: tf.concat([extract(images) / spread for extract, spread in zip(kinds, spreads, strict=True)], axis=1)


def inception(image_set=None):
    """The last pooling layer of InceptionV3 trained on ImageNet, (batch, 2048), from keras.applications.

    Its weights (88 MB) are downloaded unless they are in Keras' cache; raises UserError if that fails. They are Keras' own, not
    those of the original FID code: compare numbers of this package with each other only.
    """
    network = applications.built("InceptionV3", "--features learned", include_top=False, pooling="avg")

    def extract(images):
        images = tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images
        return network(tf.image.resize(images, (299, 299), antialias=True), training=False)

    return extract


def inception_is_present():
    """Whether the weights of InceptionV3 are in Keras' cache."""
    return applications.is_present("inception_v3*notop*")


FEATURES = {"learned": learned, "gabor": gabor, "inception": inception}


def extractor(name, image_set=None):
    """The features of that name as a function of any number of images: NumPy (n, H, W, C) -> float64 (n, d).

    image_set: whose training images "learned" learns from; the others need none.
    """
    compiled = tf.function(FEATURES[name](image_set), reduce_retracing=True)

    def features(images, batch=128):
        return batched(lambda part: compiled(tf.constant(part)), images, batch).astype("float64")

    return features
