"""A learned prior: a flow that turns normal noise into codes, trained by flow matching.

The velocity of a point on its way from noise e (time 0) to a whitened code u (time 1), whose straight path is
x = (1 - t) e + t u, is known for normally distributed codes; a network learns the difference from it (Lipman et al. 2023,
arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003). Drawing follows the velocity from noise to a code. Before training, a flow
is the normal distribution with the mean and covariance of the codes.
"""

import dataclasses
import functools
import math
from typing import Annotated, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt
from keras import layers, ops
from numpy.typing import ArrayLike
from tqdm import trange

from keras_ae.priors.philox import BLOCK, STEPS, advance, normal_velocity

Width = Annotated[int, Ge(8), Le(4096)]
Blocks = Annotated[int, Ge(1), Le(32)]
Steps = Annotated[int, Ge(1), Le(1_000_000)]
Rate = Annotated[float, Gt(0), Le(1)]
Decay = Annotated[float, Ge(0), Lt(1)]
Number: TypeAlias = float | tf.Tensor


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
        codes: ArrayLike,
        seed: int = 0,
        labels: ArrayLike | None = None,
        classes: int | None = None,
        codebook: ArrayLike | None = None,
        *,
        width: Width = 320,
        blocks: Blocks = 3,
        steps: Steps = 4000,
        learning_rate: Rate = 2e-3,
        weight_decay: Decay = 0.01,
    ) -> Self:
        """Train a flow on codes (n, latent_dim), or (views, n, latent_dim) of several views of each image.

        labels: class numbers (n,) of a conditional model, or None. classes: how many the model has; by default as many as the
        labels say. The codebook plays no role. AdamW with cosine decay over `steps` steps; of the moving averages of the
        weights, the one with the least loss on a held-out twentieth of the images is kept. A progress bar is shown on stderr.
        """
        codes = np.asarray(codes, "float64")
        codes = codes.reshape(-1, *codes.shape[-2:])
        mean, scale, whitened = _whiten(codes)
        classes = 0 if labels is None else classes or int(np.max(labels)) + 1
        network = velocity_network(codes.shape[-1], width, blocks, classes, dropout=0.1, seed=seed)
        weights = _train(network, whitened, labels, seed, steps, learning_rate, weight_decay)
        return cls(mean.astype("float32"), scale.astype("float32"), width, blocks, classes, weights)

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return len(self.mean)

    def velocity(self) -> keras.Model:
        """The trained network, as `velocity_network` describes it."""
        network = velocity_network(self.latent_dim, self.width, self.blocks, self.classes)
        network.set_weights(unpack(self.weights, network))
        return network

    def sample(
        self, n: Number, seed: Number = 0, temperature: Number = 1.0, first: Number = 0, label: ArrayLike | None = None
    ) -> tf.Tensor:
        """Draw codes `first` ... `first + n - 1` of the endless sequence of `seed`: a tensor (n, latent_dim), float32.

        Code i depends on (seed, i) alone, and on its label, so a long sequence can be drawn in pieces. `temperature` scales the
        noise at the beginning: lower values give more typical codes. label: of a conditional model, one or (n,). The arguments
        are numbers or TensorFlow tensors.
        """
        labels = tf.broadcast_to(tf.convert_to_tensor(0 if label is None else label, tf.int32), (n,))
        return self._draw(n, seed, temperature, first, labels)

    def pool(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Draw n codes (n, latent_dim) at once, for training: many times as fast as `sample`, and other codes.

        label: of a conditional model, class numbers (n,).
        """
        noise = np.random.default_rng((n, seed)).normal(size=(n, self.latent_dim)).astype("float32")
        return np.asarray(self._follow(self.velocity(), tf.constant(noise), label))

    def _follow(self, network, x, labels):
        """The codes to which noise (n, latent_dim) flows."""

        def velocity(x, t):
            inputs = [x, tf.fill((tf.shape(x)[0], 1), t), *([labels] if self.classes else [])]
            return normal_velocity(x, t) + network(inputs)

        # a loop in the graph: it contains the network twice, not twenty times
        for step in tf.range(STEPS):
            x = advance(velocity, x, tf.cast(step, tf.float32))
        return self.mean + x @ self.scale.T

    @functools.cached_property
    def _draw(self):
        # outside of a graph that draws: it would create the variables again in each
        with tf.init_scope():
            network = velocity_network(self.latent_dim, self.width, self.blocks, self.classes)

        def prepare():
            weights = unpack(self.weights, network)

            def evaluate(inputs):
                return network.stateless_call(weights, [], inputs)[0]

            def draw_block(seeds, temperature, labels):
                noise = [tf.random.stateless_normal((self.latent_dim,), seeds[row]) for row in range(BLOCK)]
                return self._follow(evaluate, temperature * tf.stack(noise), labels)

            return draw_block

        return draw_in_blocks(prepare, self.latent_dim)


def hold_out(values, labels):
    """Tensors of all views of most images and their classes, and arrays of one view of a twentieth of them, and theirs.

    values: (views, n, ...), in the order of the digests of the images, which is random. labels: (n,), or None for zeros.
    """
    views, n = values.shape[:2]
    labels = np.zeros(n, "int32") if labels is None else np.asarray(labels, "int32")
    held_out = np.arange(n) % 20 == 0 if n >= 40 else np.zeros(n, bool)
    training = values[:, ~held_out].reshape(-1, *values.shape[2:]), np.tile(labels[~held_out], views)
    return *map(tf.constant, training), values[0, held_out], labels[held_out]


def unpack(weights, network):
    """The weights of a network, a list of tensors, from all of them in one row of float16, which they stay in graphs."""
    shapes = [tuple(variable.shape) for variable in network.weights]
    parts = tf.split(tf.cast(tf.constant(weights), tf.float32), [math.prod(shape) for shape in shapes])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def draw_in_blocks(prepare, latent_dim):
    """The function (n, seed, temperature, first, labels) -> codes (n, latent_dim) of a prior that draws whole blocks.

    prepare: called once in the graph; returns a function (seeds (BLOCK, 2), temperature, labels (BLOCK,)) -> codes of a block.
    """
    number, real, numbers = tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32), tf.TensorSpec((None,), tf.int32)

    @tf.function(input_signature=[number, number, real, number, numbers])
    def draw(n, seed, temperature, first, labels):
        draw_block = prepare()
        begin = first // BLOCK
        blocks = (first + n - 1) // BLOCK - begin + 1
        before = first - begin * BLOCK
        labels = tf.pad(labels, [[before, blocks * BLOCK - before - n]])

        def draw_one(index):
            numbers = (begin + index) * BLOCK + tf.range(BLOCK)
            seeds = tf.stack([tf.fill((BLOCK,), seed), numbers], axis=1)
            return draw_block(seeds, temperature, tf.slice(labels, [index * BLOCK], [BLOCK]))

        spec = tf.TensorSpec((BLOCK, latent_dim), tf.float32)
        codes = tf.map_fn(draw_one, tf.range(blocks), fn_output_signature=spec)
        return tf.reshape(codes, (-1, latent_dim))[before : before + n]

    return draw


def velocity_network(latent_dim, width, blocks, classes=0, dropout=0.0, seed=0):
    """The network [x (batch, latent_dim), t (batch, 1)] -> velocity (batch, latent_dim) as a functional model.

    A residual MLP: each block is scaled and shifted by the time and, where there are `classes`, by a third input, the label
    (batch,). The last layer begins with zeros.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))

    def dense(units, zeros=False):
        initializer = "zeros" if zeros else keras.initializers.GlorotUniform(next(seeds))
        return layers.Dense(units, kernel_initializer=initializer, dtype="float32")

    def norm():
        return layers.LayerNormalization(center=False, scale=False, dtype="float32")

    x, time = keras.Input((latent_dim,), name="x"), keras.Input((1,), name="t")
    angles = time * (math.pi * 2.0 ** np.linspace(-1, 5, 32, dtype="float32"))
    condition = dense(128)(ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1))
    inputs = [x, time]
    if classes:
        inputs.append(keras.Input((), name="label", dtype="int32"))
        condition = condition + layers.Embedding(classes, 128, dtype="float32")(inputs[-1])
    condition = ops.silu(condition)
    h = dense(width)(x)
    for _ in range(blocks):
        scale, shift = ops.split(dense(2 * width, zeros=True)(condition), 2, axis=-1)
        inner = ops.silu(dense(width)(ops.silu(norm()(h) * (1 + scale) + shift)))
        if dropout:
            inner = layers.Dropout(dropout, seed=next(seeds), dtype="float32")(inner)
        h = h + dense(width, zeros=True)(inner)
    return keras.Model(inputs, dense(latent_dim, zeros=True)(norm()(h)), name="velocity")


def _whiten(codes):
    """Mean, scale and whitened codes, of codes (views, n, latent_dim)."""
    flat = codes.reshape(-1, codes.shape[-1])
    mean = flat.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False, bias=True).reshape(len(mean), len(mean)))
    # dimensions that hardly vary stay so
    deviations = np.sqrt(np.maximum(variances, 0) + 1e-6 * variances.mean() + 1e-12)
    return mean, directions * deviations, ((codes - mean) @ directions / deviations).astype("float32")


def _train(network, whitened, labels, seed, steps, learning_rate, weight_decay):
    """The weights of `minimize` for whitened codes (views, n, latent_dim), about N(0, I), with labels (n,), or None."""
    latent_dim = whitened.shape[-1]
    codes, classes, others, other_classes = hold_out(whitened, labels)

    def squared_error(network, training, codes, labels, noise, time):
        x = (1 - time) * noise + time * codes
        velocity = normal_velocity(x, time) + network([x, time, labels][: len(network.inputs)], training=training)
        return tf.reduce_mean(tf.square(codes - noise - velocity))

    def loss(network, index, batch=512):
        numbers = tf.stack([seed, index])
        rows = tf.random.stateless_uniform((batch,), numbers, 0, len(codes), tf.int32)
        noise = tf.random.stateless_normal((batch, latent_dim), numbers + [1, 0])
        # more often in the middle of the way: Esser et al. 2024 (arXiv:2403.03206)
        time = tf.sigmoid(tf.random.stateless_normal((batch, 1), numbers + [2, 0]))
        return squared_error(network, True, tf.gather(codes, rows), tf.gather(classes, rows), noise, time)

    random = np.random.default_rng(seed)
    repeats = max(1, -(-4096 // max(1, len(others))))
    fixed = [np.repeat(others, repeats, axis=0), np.repeat(other_classes, repeats)]
    fixed += [random.normal(size=fixed[0].shape).astype("float32"), random.uniform(size=(len(fixed[0]), 1)).astype("float32")]

    def test(network):
        return squared_error(network, False, *map(tf.constant, fixed))

    return minimize(network, loss, test if len(others) else None, steps, learning_rate, weight_decay)


def minimize(network, loss, test, steps, learning_rate, weight_decay):
    """The moving average of the network's weights with the least held-out loss, see `unpack`; AdamW with cosine decay.

    loss: (network, number of a step) -> the loss of a training batch, a scalar. test: network -> the held-out loss, or None,
    for the last average. A progress bar is shown on stderr.
    """
    decay = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = keras.optimizers.AdamW(decay, weight_decay=weight_decay, global_clipnorm=1.0)
    variables = network.trainable_variables
    optimizer.build(variables)
    average = keras.models.clone_model(network)
    average.set_weights(network.get_weights())

    @tf.function
    def train_step(index):
        with tf.GradientTape() as tape:
            value = loss(network, index)
        optimizer.apply(tape.gradient(value, variables), variables)
        rate = tf.maximum(1 - 0.998, 1 / (tf.cast(index, tf.float32) + 1))
        for averaged, variable in zip(average.trainable_variables, variables, strict=True):
            averaged.assign_add(rate * (variable - averaged))

    test_step = tf.function(lambda: test(average))
    best, least = average.get_weights(), np.inf
    with trange(steps, desc="fitting the prior", unit="step", disable=None, leave=False) as bar:
        for index in bar:
            train_step(tf.constant(index))
            if index % 250 == 249 or index == steps - 1:
                # without held-out codes, the last weights
                value = float(test_step()) if test else -index
                if value < least:
                    best, least = average.get_weights(), value
                if test:
                    bar.set_postfix_str(f"held-out loss {value:.4f}")
    return np.concatenate([np.ravel(array) for array in best]).astype("float16")
