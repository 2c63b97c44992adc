"""Features in which sets of images are compared: float32 (batch, H, W, C) in [-1, 1] -> (batch, d).

`gabor` is the gist of a scene, energies of Gabor filters and mean colours on a coarse grid (Oliva & Torralba 2001): a
convolutional network whose weights are a formula, without training or download. `inception` is the pool layer of InceptionV3;
distances in it are called FID and KID. To add features, write a function that returns them and name it in `FEATURES`.
"""

import keras
import numpy as np
import tensorflow as tf
from sklearn.covariance import ShrunkCovariance

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


def gabor(scales=4):
    """Log energies of Gabor filters and mean colours on a 4x4 grid: (batch, 304). Images are resized to 64x64 first."""
    filters = gabor_filters()
    margin = filters.shape[0] // 2
    edges = [[0, 0], [margin, margin], [margin, margin], [0, 0]]

    def energies(luminance):
        waves = tf.nn.conv2d(tf.pad(luminance, edges, "REFLECT"), filters, 1, "VALID")
        pairs = tf.reshape(waves, (-1, *waves.shape[1:3], ORIENTATIONS, 2))
        return tf.sqrt(tf.reduce_sum(tf.square(pairs), axis=-1) + 1e-8)

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

    Its weights (88 MB) are downloaded unless they are in Keras' cache; raises UserError if that fails. They are Keras' own, not
    those of the original FID code: compare numbers of this package with each other only.
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


class Texture:
    """How unusual the texture is that a model does not reproduce: the squared Mahalanobis distance from that of usual images.

    A model that has only seen cats rebuilds anything as softly as a cat. What is missing then, the `gabor` features of the
    image less those of its reconstruction, has the texture of a cat's fur, or of something else. Compare Lee et al. 2018
    (arXiv:1807.03888), who use the distance on features of a classifier.

    images, rebuilt: usual images and what the model makes of them, float32 (n, H, W, C) in [-1, 1]. Few images do not determine
    304 x 304 covariances, which are therefore shrunk by a tenth. Raises UserError for fewer than 20 images.
    """

    def __init__(self, images, rebuilt):
        if len(images) < 20:
            raise UserError(f"{len(images)} usual images are too few; name a folder of at least 20 with `reference`")
        self._extract = extractor("gabor")
        self._usual = ShrunkCovariance(shrinkage=0.1).fit(self._missing(images, rebuilt))

    def _missing(self, images, rebuilt):
        return self._extract(images) - self._extract(rebuilt)

    def __call__(self, images, rebuilt):
        """Squared distances (n,); for usual images their mean is about the number of features that vary, at most 304."""
        return self._usual.mahalanobis(self._missing(images, rebuilt))
