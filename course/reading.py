"""Networks that read the number factors of drawn cats from pixels. Not a study: it has no `run`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_ae.data.sets.cat_drawing import drawn
from keras_ae.data.sets.cat_factors import RANGES, factor_value
from keras_ae.images.pictures import to_float
from keras_ae.models.networks import stages
from keras_ae.models.optimizers import cosine, muon
from keras_ae.priors.space import batched

BATCH = 64
WIDTHS = (32, 64, 128, 128)


def standardised(factors):
    """The number factors in standard deviations of their uniform distributions, from the middle of their ranges: (n, 18)."""
    values = np.array([[factor_value(one, name) for name in RANGES] for one in factors])
    low, high = np.array(list(RANGES.values())).T
    return (values - (low + high) / 2) / ((high - low) / np.sqrt(12))


def reader(shape, seed, *, cats, epochs):
    """A function images (n, H, W, C) -> their number factors (n, 18): a convolutional network that sees drawn cats alone.

    seed: of the cats, and of the first weights. cats, epochs: how many cats it sees, how many times.
    """
    keras.utils.set_random_seed(seed)
    factors, pixels = drawn(cats, shape, seed)
    images = keras.Input(shape)
    x = images
    for _, width in stages(shape, WIDTHS):
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Dropout(0.2)(layers.Dense(256, activation="relu")(layers.Flatten()(x)))
    network = keras.Model(images, layers.Dense(len(RANGES))(x), name="reader")
    rate, _ = cosine(cats // BATCH, epochs, learning_rate=2e-3, warmup_steps=100)
    network.compile(muon(rate, clip_norm=1.0), "mse", jit_compile=False)
    network.fit(to_float(pixels), standardised(factors).astype("float32"), BATCH, epochs, shuffle=True, verbose=0)
    compiled = tf.function(network, reduce_retracing=True)
    return lambda images: batched(lambda part: compiled(tf.constant(part)), np.asarray(images, "float32"), 200)
