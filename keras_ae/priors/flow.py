"""A learned prior: a flow that turns normal noise into codes, trained by flow matching.

The velocity of a point on its way from noise e (time 0) to a whitened code u (time 1), whose straight path is
x = (1 - t) e + t u, is known for normally distributed codes; a network learns the difference from it (Lipman et al. 2023,
arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003). Drawing follows the velocity from noise to a code. Before training, a flow
is the normal distribution with the mean and covariance of the codes.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import ArrayLike

from keras_ae.priors.draws import BLOCK, STEPS, advance, normal_velocity
from keras_ae.priors.prior import Blocks, Decay, Learned, Rate, Steps, Width, as_labels, minimize


@dataclasses.dataclass(frozen=True)
class Flow(Learned):
    """A flow from N(0, I) to codes.

    mean: (latent_dim,) and scale: (latent_dim, latent_dim) of the codes, z = mean + scale u with u whitened. width, blocks,
    classes: of `velocity_network`. weights: all of its weights in one row, float16. Temperature scales the noise.
    """

    mean: np.ndarray
    scale: np.ndarray
    width: int
    blocks: int
    classes: int
    weights: np.ndarray

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
        mean, scale, whitened = _whiten(codes.reshape(-1, *codes.shape[-2:]))
        classes = 0 if labels is None else classes or int(np.max(labels)) + 1
        network = velocity_network(len(mean), width, blocks, classes, dropout=0.1, seed=seed)

        def squared_error(network, training, codes, labels, noise, time):
            x = (1 - time) * noise + time * codes
            velocity = normal_velocity(x, time) + network([x, time, labels][: len(network.inputs)], training=training)
            return tf.reduce_mean(tf.square(codes - noise - velocity))

        def loss(codes, labels, numbers):
            noise = tf.random.stateless_normal(codes.shape, numbers + [1, 0])
            # more often in the middle of the way: Esser et al. 2024 (arXiv:2403.03206)
            time = tf.sigmoid(tf.random.stateless_normal((len(codes), 1), numbers + [2, 0]))
            return squared_error(network, True, codes, labels, noise, time)

        def test(network, codes, labels):
            random, repeats = np.random.default_rng(seed), -(-4096 // len(codes))
            codes, labels = np.repeat(codes, repeats, axis=0), np.repeat(labels, repeats)
            noise, time = random.normal(size=codes.shape), random.uniform(size=(len(codes), 1))
            others = noise.astype("float32"), time.astype("float32")
            return squared_error(network, False, *map(tf.constant, (codes, labels, *others)))

        weights = minimize(network, loss, test, whitened, labels, 512, seed, steps, learning_rate, weight_decay)
        return cls(mean.astype("float32"), scale.astype("float32"), width, blocks, classes, weights)

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return len(self.mean)

    def drawing_network(self) -> keras.Model:
        """The trained network, as `velocity_network` describes it."""
        return self.load_weights(velocity_network(self.latent_dim, self.width, self.blocks, self.classes))

    def pool(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Draw n codes (n, latent_dim) at once, for training: many times as fast as `sample`, and other codes."""
        noise = np.random.default_rng((n, seed)).normal(size=(n, self.latent_dim)).astype("float32")
        return np.asarray(self._follow(self.drawing_network(), tf.constant(noise), as_labels(label, n)))

    def _follow(self, network, x, labels):
        """The codes to which noise (n, latent_dim) flows."""

        def velocity(x, t):
            inputs = [x, tf.fill((tf.shape(x)[0], 1), t), *([labels] if self.classes else [])]
            return normal_velocity(x, t) + network(inputs)

        # a loop in the graph: it contains the network twice, not twenty times
        for step in tf.range(STEPS):
            x = advance(velocity, x, tf.cast(step, tf.float32))
        return self.mean + x @ self.scale.T

    def draw_block(
        self, evaluate: Callable[..., Any], seeds: tf.Tensor, temperature: tf.Tensor, labels: tf.Tensor
    ) -> tf.Tensor:
        noise = [tf.random.stateless_normal((self.latent_dim,), seeds[row]) for row in range(BLOCK)]
        return self._follow(evaluate, temperature * tf.stack(noise), labels)


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
        initializer = keras.initializers.RandomUniform(seed=seed)
        condition = condition + layers.Embedding(classes, 128, initializer, dtype="float32")(inputs[-1])
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
