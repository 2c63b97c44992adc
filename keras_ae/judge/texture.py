"""How unusual the texture is that a model does not reproduce, among that of usual images.

A model that has only seen cats rebuilds anything as softly as a cat. What is missing then has the texture of a cat's fur, or of
something else.
"""

import numpy as np
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.judge.gist import gabor
from keras_ae.priors.space import batched

# of the mean variance, added to every variance: few images do not determine 304 x 304 covariances
SHRINKAGE = 0.1
LEAST = 20


class Texture:
    """The squared Mahalanobis distance of an image's missing texture from that of usual images.

    Compare Lee et al. 2018 (arXiv:1807.03888), who use it on features of a classifier. Missing texture: `gist.gabor` of the
    image less that of its reconstruction. images, rebuilt: usual images and what the model makes of them, float32 (n, H, W, C)
    in [-1, 1]. Raises UserError for fewer than 20.
    """

    def __init__(self, images, rebuilt):
        if len(images) < LEAST:
            raise UserError(f"{len(images)} usual images are too few; name a folder of at least {LEAST} with --reference")
        self._extract = tf.function(gabor(), reduce_retracing=True)
        missing = self._missing(images, rebuilt)
        self._mean = missing.mean(axis=0)
        covariance = np.cov(missing.T)
        ridge = SHRINKAGE * np.trace(covariance) / len(covariance)
        self._root = np.linalg.cholesky(np.linalg.inv(covariance + ridge * np.eye(len(covariance))))

    def _missing(self, images, rebuilt):
        def on_rows(rows):
            return self._extract(tf.constant(images[rows])) - self._extract(tf.constant(rebuilt[rows]))

        return batched(on_rows, np.arange(len(images))).astype("float64")

    def __call__(self, images, rebuilt):
        """Squared distances (n,); for usual images their mean is about the number of features that vary, at most 304."""
        return np.square((self._missing(images, rebuilt) - self._mean) @ self._root).sum(axis=1)
