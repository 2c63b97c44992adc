"""What a network trained on ImageNet sees: EfficientNetV2B0 of keras.applications, a second opinion for who has its weights.

It names one of 1,000 things, and compares an image with its reconstruction as people do rather than pixel by pixel.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_ae.judge import applications
from keras_ae.priors.space import batched

# images are enlarged to this side
SIDE = 224
# ends of stages, from edges to whole things
LAYERS = ("block1a_project_activation", "block2b_add", "block3b_add", "block5e_add", "top_activation")
# of the real images, that the classes which count as recognized must cover
COVERED = 0.9


def is_present():
    """Whether the weights of the network are in Keras' cache."""
    return applications.is_present("efficientnetv2-b0.h5")


def network():
    """Images (batch, H, W, C) in [-1, 1] -> {"class": (batch,), each of LAYERS: a map}, as a function.

    Its weights (29 MB) are downloaded unless they are in Keras' cache; raises UserError if that fails.
    """
    whole = applications.built("EfficientNetV2B0", "--recognition off")
    outputs = {"class": whole.output} | {name: whole.get_layer(name).output for name in LAYERS}
    model = keras.Model(whole.input, outputs)

    @tf.function(reduce_retracing=True)
    def seen(images):
        images = tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images
        # its own first layers scale from [0, 255]
        found = model(tf.image.resize((images + 1) * 127.5, (SIDE, SIDE), "bicubic"), training=False)
        return found | {"class": tf.argmax(found["class"], axis=-1)}

    return seen


class Recognition:
    """The classes that real images are given, and what share of other images is given one of them.

    real: images (n, H, W, C) in [-1, 1]. The classes that count are the commonest ones that together cover 90 % of them: for
    faces of cats, breeds of cats.
    """

    def __init__(self, real):
        self._seen = network()
        counts = np.bincount(self._classes(real))
        order = np.argsort(-counts, kind="stable")
        enough = int(np.searchsorted(np.cumsum(counts[order]), COVERED * len(real))) + 1
        self.classes = np.sort(order[:enough])

    def _classes(self, images):
        return batched(lambda part: self._seen(tf.constant(part))["class"], images, 32)

    def recognized(self, images):
        """1 for each image that is given one of the classes of real images, 0 for others: (n,)."""
        return np.isin(self._classes(images), self.classes).astype("float64")

    def compared(self, images, rebuilt):
        """Both opinions of reconstructions: {"perceptual": (n,), "recognized": (n,)}."""
        return {"perceptual": self.perceptual(images, rebuilt), "recognized": self.recognized(rebuilt)}

    def perceptual(self, images, rebuilt):
        """Perceptual distance of each image from its reconstruction, (n,).

        Mean squared difference of features of unit length at each place, summed over five layers: Zhang et al. 2018
        (arXiv:1801.03924), eq. 1, without learned weights.
        """

        def distances(rows):
            pair = [self._seen(tf.constant(part[rows])) for part in (images, rebuilt)]
            unit = [{name: tf.math.l2_normalize(maps[name], axis=-1) for name in LAYERS} for maps in pair]
            squares = [tf.reduce_sum(tf.square(unit[0][name] - unit[1][name]), axis=-1) for name in LAYERS]
            return sum(tf.reduce_mean(square, axis=(1, 2)) for square in squares)

        return batched(distances, np.arange(len(images)), 32)
