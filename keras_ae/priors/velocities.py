"""Velocities of a flow from noise to codes: that of normally distributed codes, and a network for the difference from it."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from keras_ae.priors.drawn import STEPS, advanced

FREQUENCIES = 32
# numbers that describe the time, and the label, to each block
CONDITION = 128


def velocity_network(latent_dim, width, blocks, classes=0, dropout=0.0, seed=0):
    """The network [x (batch, latent_dim), t (batch, 1)] -> velocity (batch, latent_dim) as a functional model.

    A residual MLP: each block is scaled and shifted by the time and, where there are `classes`, by a third input, the label
    (batch,). The last layer begins with zeros.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def dense(units, kernel="glorot_uniform"):
        made = keras.initializers.get(kernel).clone() if kernel == "zeros" else keras.initializers.GlorotUniform(next(seeds))
        return layers.Dense(units, kernel_initializer=made, dtype="float32")

    def norm():
        return layers.LayerNormalization(center=False, scale=False, dtype="float32")

    x, time = keras.Input((latent_dim,), name="x"), keras.Input((1,), name="t")
    angles = time * (math.pi * 2.0 ** np.linspace(-1, 5, FREQUENCIES, dtype="float32"))
    given = dense(CONDITION)(ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1))
    inputs = [x, time]
    if classes:
        inputs.append(keras.Input((), name="label", dtype="int32"))
        given = given + layers.Embedding(classes, CONDITION, dtype="float32")(inputs[-1])
    given = ops.silu(given)
    h = dense(width)(x)
    for _ in range(blocks):
        scale, shift = ops.split(dense(2 * width, "zeros")(given), 2, axis=-1)
        inner = dense(width)(ops.silu(norm()(h) * (1 + scale) + shift))
        inner = ops.silu(inner)
        if dropout:
            inner = layers.Dropout(dropout, seed=next(seeds), dtype="float32")(inner)
        h = h + dense(width, "zeros")(inner)
    return keras.Model(inputs, dense(latent_dim, "zeros")(norm()(h)), name="velocity")


def followed(velocity, x):
    """Follow `velocity(x, t)` from time 0 to 1 by Heun's method."""

    def advance(index, x):
        return index + 1, advanced(velocity, x, tf.cast(index, tf.float32))

    # a loop: the graph contains the network twice, not twenty times
    return tf.while_loop(lambda index, x: index < STEPS, advance, (0, x))[1]
