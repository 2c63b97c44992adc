"""Features that learn on the training images of a data set, without labels: a network tells which alteration an image has.

To tell a whole face from one whose halves are of two cats, a network must know where eyes and ears belong. Energies of filters
do not. The idea is that of pretext tasks (Doersch et al. 2015, arXiv:1505.05192; Jenni & Favaro 2018, arXiv:1806.05024). Such
features know little of what distinguishes one cat from another, so they are joined with those of `gist`.
"""

import zipfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tqdm import tqdm

from keras_ae.data import pipeline, sources
from keras_ae.data.tasks import Variation
from keras_ae.files import written_whole
from keras_ae.judge.alterations import ALTERATIONS, altered
from keras_ae.judge.gist import SIDE, in_colour

# raise when anything changes what is learned
VERSION = 2
WIDTHS = (32, 64, 128, 128)
DIM = 128
BATCH = 64
# more of them fit these alterations ever better, and order models worse
STEPS = 600
LEARNING_RATE = 1e-3


def networks():
    """The features of images (batch, 64, 64, 3), (batch, 128), and the classifier of alterations that trains them."""
    images = keras.Input((SIDE, SIDE, 3))
    x = images
    for width in WIDTHS:
        x = layers.Conv2D(width, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.1)(layers.BatchNormalization()(x))
    features = layers.Dense(DIM)(layers.Flatten()(x))
    x = layers.Dropout(0.3)(layers.LeakyReLU(0.1)(features))
    return keras.Model(images, features), keras.Model(images, layers.Dense(len(ALTERATIONS))(x))


def _learning(image_set):
    """The features after STEPS on the training images; the same for the same images on the same processor."""
    keras.utils.set_random_seed(0)
    features, classifier = networks()
    batch = min(BATCH, image_set.n_train) // len(ALTERATIONS) * len(ALTERATIONS)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(classifier.trainable_variables)

    @tf.function
    def step(images, number):
        shown, kinds = altered(in_colour(images), tf.stack([0, number * 2 * len(ALTERATIONS)]))
        with tf.GradientTape() as tape:
            logits = classifier(shown, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(kinds, logits))
        variables = classifier.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    stream = pipeline.training(image_set, batch, 0, variation=Variation(flip=True))
    bar = tqdm(stream.take(STEPS), "learning the judge's features", STEPS, unit="step", disable=None, leave=False)
    for number, examples in enumerate(bar):
        step(examples["images"], tf.constant(number))
    return features


def _network(image_set):
    """The trained network, from the cache where these images were judged before."""
    name = f"{image_set.fingerprint[:16]}-{'x'.join(map(str, image_set.shape))}-{STEPS}-v{VERSION}.npz"
    path = sources.cache_root() / "features" / name
    features, _ = networks()
    try:
        with np.load(path) as saved:
            features.set_weights([saved[f"w{index}"] for index in range(len(saved))])
    # missing, truncated, or of other shapes
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        features = _learning(image_set)
        with written_whole(path) as partial, open(partial, "wb") as file:
            np.savez(file, **{f"w{index}": weights for index, weights in enumerate(features.get_weights())})
    return features


def trained(image_set):
    """Images float32 (batch, H, W, C) in [-1, 1] -> features (batch, 128), as a function for graphs.

    The network is trained unless it is in the cache.
    """
    network = _network(image_set)
    return lambda images: network(in_colour(images), training=False)
