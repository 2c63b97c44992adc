"""Features in which sets of images are compared: float32 (batch, H, W, C) in [-1, 1] -> (batch, d).

`gabor` needs no download (`gist`). `learned` adds features that a network learns on the training images.
`inception` is the pool layer of InceptionV3; distances in it are called FID and KID. To add features, write a function of an
`ImageSet` that returns them and name it in `FEATURES`.
"""

import numpy as np
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.judge import applications
from keras_ae.judge.altered import trained
from keras_ae.judge.gist import gabor
from keras_ae.priors.space import batched

# training images whose features' spread makes features of different kinds comparable
SPREAD_IMAGES = 2000


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


FEATURES = {"learned": learned, "gabor": lambda image_set: gabor(), "inception": inception}


def extractor(name, image_set=None):
    """The features of that name as a function of any number of images: NumPy (n, H, W, C) -> float64 (n, d).

    image_set: whose training images "learned" learns from; the others need none.
    """
    compiled = tf.function(FEATURES[name](image_set), reduce_retracing=True)

    def features(images, batch=128):
        return batched(lambda part: compiled(tf.constant(part)), images, batch).astype("float64")

    return features
