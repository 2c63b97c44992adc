"""A learned prior: a flow that turns normal noise into codes, trained by flow matching.

The velocity of a point on its way from noise e (time 0) to a whitened code u (time 1), whose straight path is
x = (1 - t) e + t u, is known for normally distributed codes; a network learns the difference from it. Drawing follows the
velocity from noise to a code. Before training, a flow is the normal distribution with the mean and covariance of the codes.
"""

import dataclasses
import functools
import math
from typing import Annotated, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import ArrayLike

from keras_ae.priors import matching
from keras_ae.priors.drawn import BLOCK, of_normal
from keras_ae.priors.velocities import followed, velocity_network

Width = Annotated[int, Ge(8), Le(4096)]
Blocks = Annotated[int, Ge(1), Le(32)]
Steps = Annotated[int, Ge(1), Le(1_000_000)]
Rate = Annotated[float, Gt(0), Le(1)]
Decay = Annotated[float, Ge(0), Lt(1)]
DROPOUT = 0.1
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
        *,
        width: Width = 320,
        blocks: Blocks = 3,
        steps: Steps = 4000,
        learning_rate: Rate = 2e-3,
        weight_decay: Decay = 0.01,
    ) -> Self:
        """Train a flow on codes (n, latent_dim), or (views, n, latent_dim) of several views of each image.

        labels: class numbers (n,) of a conditional model, or None. classes: how many the model has; by default as many as the
        labels say. AdamW with cosine decay over `steps` steps; of the moving averages of the weights, the one with the least
        loss on a held-out twentieth of the images is kept. A progress bar is shown on stderr.
        """
        codes = np.asarray(codes, "float64")
        codes = codes.reshape(-1, *codes.shape[-2:])
        mean, scale, whitened = _whitened(codes)
        labels = None if labels is None else np.asarray(labels, "int32")
        classes = 0 if labels is None else classes or int(labels.max()) + 1
        network = velocity_network(codes.shape[-1], width, blocks, classes, DROPOUT, seed)
        weights = matching.trained(network, whitened, labels, seed, steps, learning_rate, weight_decay)
        weights = np.concatenate([np.ravel(array) for array in weights]).astype("float16")
        return cls(mean.astype("float32"), scale.astype("float32"), width, blocks, classes, weights)

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return len(self.mean)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that make this prior again: {name: array}."""
        return dataclasses.asdict(self)

    def sample(
        self, n: Number, seed: Number = 0, temperature: Number = 1.0, first: Number = 0, label: ArrayLike | None = None
    ) -> tf.Tensor:
        """Draw codes `first` ... `first + n - 1` of the endless sequence of `seed`: a tensor (n, latent_dim), float32.

        Code i depends on (seed, i) alone, and on its label, so a long sequence can be drawn in pieces. `temperature` scales the
        noise at the beginning: lower values give more typical codes. label: of a conditional model, one or (n,). The arguments
        are numbers or TensorFlow tensors.
        """
        rows = n if isinstance(n, int) else None
        n, seed, first = (tf.convert_to_tensor(value, tf.int32) for value in (n, seed, first))
        label = tf.broadcast_to(tf.convert_to_tensor(0 if label is None else label, tf.int32), (n,))
        codes = self._draw(n, seed, tf.convert_to_tensor(temperature, tf.float32), first, label)
        return tf.ensure_shape(codes, (rows, self.latent_dim))

    @functools.cached_property
    def _network(self):
        # outside of a graph that draws: it would create the variables again in each
        with tf.init_scope():
            return velocity_network(self.latent_dim, int(self.width), int(self.blocks), int(self.classes))

    def velocity(self) -> keras.Model:
        """The trained network, as `codes.velocities.velocity_network` describes it."""
        network = velocity_network(self.latent_dim, int(self.width), int(self.blocks), int(self.classes))
        sizes = np.cumsum([math.prod(variable.shape) for variable in network.weights])[:-1]
        parts = zip(np.split(self.weights.astype("float32"), sizes), network.weights, strict=True)
        network.set_weights([part.reshape(variable.shape) for part, variable in parts])
        return network

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
                return of_normal(x, t) + network.stateless_call(weights, [], inputs)[0]

            return self.mean + followed(velocity, temperature * tf.stack(noise)) @ self.scale.T

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
