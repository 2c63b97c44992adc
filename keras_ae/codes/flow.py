"""A learned prior: a flow that turns normal noise into codes, trained by flow matching.

The network gives the velocity of a point on its way from noise e (time 0) to a whitened code u (time 1), whose straight path is
x = (1 - t) e + t u (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003). Drawing follows the velocity from
noise to a code. What the network learns is the difference from the velocity of normally distributed codes, which is known:
before training, a flow is the normal distribution with the mean and covariance of the codes.
"""

import dataclasses
import functools
import math
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt
from keras import layers, ops
from tqdm import trange

FREQUENCIES = 32
# numbers that describe the time, and the label, to each block
CONDITION = 128
BATCH = 512
# every so many steps, the loss of codes that are held out is measured; one code in HELD_OUT is
EVERY = 250
HELD_OUT = 20
# decay of the moving average of the weights, per step
AVERAGE = 0.998
DROPOUT = 0.1
# of Heun's method, each with two calls of the network
HEUN_STEPS = 10
# codes are drawn in whole blocks, so that each is computed in the same way, whichever part of a sequence is asked for
BLOCK = 16


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


def _known(x, t):
    """The velocity at x and t if codes are N(0, I)."""
    return x * (2 * t - 1) / (t * t + (1 - t) * (1 - t))


def _heun(velocity, x):
    """Follow `velocity(x, t)` from time 0 to 1 by Heun's method."""
    step = 1 / HEUN_STEPS

    def advance(index, x):
        time = tf.cast(index, tf.float32) * step
        first = velocity(x, time)
        second = velocity(x + step * first, time + step)
        return index + 1, x + step / 2 * (first + second)

    # a loop: the graph contains the network twice, not twenty times
    return tf.while_loop(lambda index, x: index < HEUN_STEPS, advance, (0, x))[1]


@dataclasses.dataclass(frozen=True)
class Flow:
    """A flow from N(0, I) to codes.

    mean: (latent_dim,) and scale: (latent_dim, latent_dim) of the codes, z = mean + scale u with u whitened. width, blocks,
    classes: of `velocity_network`. weights: all of its weights in one row, float16.
    """

    mean: np.ndarray
    scale: np.ndarray
    width: int
    blocks: int
    classes: int
    weights: np.ndarray
    views = 4

    @classmethod
    def fit(
        cls,
        codes,
        seed=0,
        labels=None,
        *,
        width: Annotated[int, Ge(8), Le(4096)] = 320,
        blocks: Annotated[int, Ge(1), Le(32)] = 3,
        steps: Annotated[int, Ge(1), Le(1_000_000)] = 5000,
        learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3,
        weight_decay: Annotated[float, Ge(0), Lt(1)] = 0.01,
    ):
        """Train a flow on codes (n, latent_dim), or (views, n, latent_dim) of several views of each image.

        labels: class numbers (n,) of a conditional model, or None. AdamW with cosine decay over `steps` steps; of the moving
        averages of the weights, the one with the least loss on a held-out twentieth of the images is kept. A progress bar is
        shown on stderr.
        """
        codes = np.asarray(codes, "float64")
        codes = codes.reshape(-1, *codes.shape[-2:])
        mean, scale, whitened = _whitened(codes)
        labels = None if labels is None else np.asarray(labels, "int32")
        classes = 0 if labels is None else int(labels.max()) + 1
        network = velocity_network(codes.shape[-1], width, blocks, classes, DROPOUT, seed)
        weights = _trained(network, whitened, labels, seed, steps, learning_rate, weight_decay)
        weights = np.concatenate([np.ravel(array) for array in weights]).astype("float16")
        return cls(mean.astype("float32"), scale.astype("float32"), width, blocks, classes, weights)

    @property
    def latent_dim(self):
        """Length of a code."""
        return len(self.mean)

    def arrays(self):
        """The arrays that make this prior again: {name: array}."""
        return dataclasses.asdict(self)

    def sample(self, n, seed=0, temperature=1.0, first=0, label=None):
        """Draw codes `first` ... `first + n - 1` of the endless sequence of `seed`: a tensor (n, latent_dim), float32.

        Code i depends on (seed, i) alone, and on its label, so a long sequence can be drawn in pieces. `temperature` scales the
        noise at the beginning: lower values give more typical codes. label: of a conditional model, one or (n,). The arguments
        are numbers or TensorFlow tensors.
        """
        n, seed, first = (tf.convert_to_tensor(value, tf.int32) for value in (n, seed, first))
        label = tf.broadcast_to(tf.convert_to_tensor(0 if label is None else label, tf.int32), (n,))
        return self._draw(n, seed, tf.convert_to_tensor(temperature, tf.float32), first, label)

    @functools.cached_property
    def _network(self):
        # outside of a graph that draws: it would create the variables again in each
        with tf.init_scope():
            return velocity_network(self.latent_dim, int(self.width), int(self.blocks), int(self.classes))

    @functools.cached_property
    def _draw(self):
        number, real = tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32)
        return tf.function(self._drawn, [number, number, real, number, tf.TensorSpec((None,), tf.int32)])

    def _drawn(self, n, seed, temperature, first, label):
        network = self._network
        shapes = [tuple(variable.shape) for variable in network.trainable_variables]
        flat = tf.cast(tf.constant(self.weights), tf.float32)
        parts = tf.split(flat, [math.prod(shape) for shape in shapes])
        weights = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        begin = first // BLOCK
        # labels of whole blocks
        blocks = (first + n - 1) // BLOCK - begin + 1
        before = first - begin * BLOCK
        labels = tf.pad(label, [[before, blocks * BLOCK - before - n]])

        def block(index):
            numbers = (begin + index) * BLOCK + tf.range(BLOCK)
            noise = [tf.random.stateless_normal((self.latent_dim,), tf.stack([seed, numbers[row]])) for row in range(BLOCK)]
            own = tf.slice(labels, [index * BLOCK], [BLOCK])

            def velocity(x, t):
                time = tf.fill((BLOCK, 1), t)
                inputs = [x, time, own][: len(network.inputs)]
                return _known(x, t) + network.stateless_call(weights, [], inputs)[0]

            return self.mean + _heun(velocity, temperature * tf.stack(noise)) @ self.scale.T

        codes = tf.map_fn(block, tf.range(blocks), fn_output_signature=tf.TensorSpec((BLOCK, self.latent_dim), tf.float32))
        return tf.reshape(codes, (-1, self.latent_dim))[before : before + n]


def _whitened(codes):
    """Mean, scale and whitened codes, of codes (views, n, latent_dim)."""
    flat = codes.reshape(-1, codes.shape[-1])
    mean = flat.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False, bias=True).reshape(len(mean), len(mean)))
    # dimensions that hardly vary stay so
    deviations = np.sqrt(np.maximum(variances, 0) + 1e-6 * variances.mean() + 1e-12)
    return mean, directions * deviations, ((codes - mean) @ directions / deviations).astype("float32")


def _trained(network, whitened, labels, seed, steps, learning_rate, weight_decay):
    """The moving average of the network's weights with the least held-out loss, a list of arrays."""
    views, n, latent_dim = whitened.shape
    # codes come in the order of their images' digests, which is random
    held_out = np.arange(n) % HELD_OUT == 0 if n >= 2 * HELD_OUT else np.zeros(n, bool)
    known = tf.constant(whitened[:, ~held_out].reshape(-1, latent_dim))
    classes = tf.constant(np.tile((np.zeros(n, "int32") if labels is None else labels)[~held_out], views))
    inputs = len(network.inputs)
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = keras.optimizers.AdamW(decay, weight_decay=weight_decay, global_clipnorm=1.0)
    variables = network.trainable_variables
    optimizer.build(variables)
    averages = [tf.Variable(variable) for variable in variables]

    def loss(function, codes, labels, noise, time):
        x = (1 - time) * noise + time * codes
        return tf.reduce_mean(tf.square(codes - noise - _known(x, time) - function([x, time, labels][:inputs])))

    @tf.function
    def step(index):
        numbers = tf.stack([seed, index])
        rows = tf.random.stateless_uniform((BATCH,), numbers, 0, len(known), tf.int32)
        noise = tf.random.stateless_normal((BATCH, latent_dim), numbers + [1, 0])
        # more often in the middle of the way: Esser et al. 2024 (arXiv:2403.03206)
        time = tf.sigmoid(tf.random.stateless_normal((BATCH, 1), numbers + [2, 0]))
        with tf.GradientTape() as tape:
            value = loss(lambda x: network(x, training=True), tf.gather(known, rows), tf.gather(classes, rows), noise, time)
        optimizer.apply(tape.gradient(value, variables), variables)
        rate = tf.maximum(1 - AVERAGE, 1 / (tf.cast(index, tf.float32) + 1))
        for average, variable in zip(averages, variables, strict=True):
            average.assign_add(rate * (variable.value - average))

    others = whitened[0, held_out]
    random = np.random.default_rng(seed)
    repeats = max(1, -(-4096 // max(1, len(others))))
    fixed = [np.repeat(others, repeats, axis=0), np.repeat(_held(labels, held_out), repeats)]
    fixed += [random.normal(size=fixed[0].shape).astype("float32"), random.uniform(size=(len(fixed[0]), 1)).astype("float32")]

    @tf.function
    def measured():
        return loss(lambda x: network.stateless_call(averages, network.non_trainable_variables, x)[0], *map(tf.constant, fixed))

    best, least = [np.asarray(average) for average in averages], np.inf
    with trange(steps, desc="fitting the prior", unit="step", disable=None, leave=False) as bar:
        for index in bar:
            step(tf.constant(index))
            if index % EVERY == EVERY - 1 or index == steps - 1:
                value = float(measured()) if len(others) else -index
                if value < least:
                    best, least = [np.asarray(average) for average in averages], value
                bar.set_postfix_str(f"held-out loss {value:.4f}")
    return best


def _held(labels, held_out):
    return np.zeros(held_out.sum(), "int32") if labels is None else labels[held_out]
