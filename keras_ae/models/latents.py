"""Latent layers: from features (batch, width) to the parameters of a code, float32 tensors (batch, latent_dim).

A layer returns a dict: `z_mean`, the code that represents the image, and `z_log_var` where the code has a posterior. Layers are
deterministic; `keras_ae.models.vae.VAE` draws from the posterior. To add a latent, write a layer and name it in `LATENTS`.

A discrete code is a row of cells, and each cell has the values of an entry of a codebook. The code is these values and not the
numbers of entries: it is what the decoder takes, and it can be moved and interpolated like any other code.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from keras import layers, ops

from keras_ae.errors import UserError

Dim = Annotated[int, Ge(1), Le(65536)]
Levels = Annotated[Sequence[Annotated[int, Ge(2), Le(256)]], MinLen(1), MaxLen(16)]
Entries = Annotated[int, Ge(2), Le(65536)]


class Latent(layers.Layer):
    """What latent layers share: `dim`, the length of a code, and float32. kwargs: those of `keras.layers.Layer`."""

    def __init__(self, dim: Dim = 128, name: str = "codes", dtype: str = "float32", **kwargs: Any):
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.dim = dim


@keras.saving.register_keras_serializable("keras_ae")
class Point(Latent):
    """The code of a plain autoencoder: one point."""

    def __init__(self, dim: Dim = 128, **kwargs: Any):
        super().__init__(dim, **kwargs)
        self.project = layers.Dense(dim, dtype="float32", trainable=self.trainable)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.project.build(input_shape)

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z_mean": self.project(features)}


@keras.saving.register_keras_serializable("keras_ae")
class Gaussian(Latent):
    """A diagonal normal posterior N(z_mean, exp(z_log_var)): Kingma & Welling 2014 (arXiv:1312.6114).

    The log-variance is clipped to [-12, 6]: training in low precision diverges without it.
    """

    def __init__(self, dim: Dim = 128, **kwargs: Any):
        super().__init__(dim, **kwargs)
        self.project_mean = layers.Dense(dim, dtype="float32", trainable=self.trainable)
        self.project_log_var = layers.Dense(dim, dtype="float32", trainable=self.trainable)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.project_mean.build(input_shape)
        self.project_log_var.build(input_shape)

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        z_log_var = ops.clip(self.project_log_var(features), -12, 6)
        return {"z_mean": self.project_mean(features), "z_log_var": z_log_var}


@keras.saving.register_keras_serializable("keras_ae")
class Features(Latent):
    """The features themselves are the code, flattened: for encoders that end in `dim` of them, such as `spatial_encoder`."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.map_shape = tuple(input_shape[1:])
        # not in `call`: Keras adds lines to the messages of errors there
        if (size := math.prod(self.map_shape)) != self.dim:
            name = type(self).__name__.lower()
            raise UserError(f"the latent '{name}' has latent.dim {self.dim}, but the encoder ends in {size}")

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z_mean": ops.reshape(ops.cast(features, "float32"), (-1, self.dim))}


class Discrete(Features):
    """What discrete codes share: features are cells, of `channels` adjacent values each, and are replaced by entries.

    A subclass has `channels`, `codebook` (entries, channels), and `discretize`: cells (n, channels) -> their entries, and what
    has the gradient of these (straight-through: Bengio et al. 2013, arXiv:1308.3432).
    """

    def call(self, features: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        cells = ops.reshape(ops.cast(features, "float32"), (-1, self.channels))
        entries, cells = self.discretize(cells, training)
        # in this order the values are exactly those of the entries
        z = ops.stop_gradient(entries) + (cells - ops.stop_gradient(cells))
        return {"z_mean": ops.reshape(z, (-1, self.dim))}


@keras.saving.register_keras_serializable("keras_ae")
class FSQ(Discrete):
    """Finite scalar quantization: Mentzer et al. 2023 (arXiv:2309.15505).

    Each value of a cell, bounded by tanh, is rounded to one of so many `levels`, which are spread evenly over [-1, 1], ends
    included; in the paper, an even number of them lies around another middle. Every combination is an entry. Raises UserError
    where `dim` is no multiple of the number of levels, and for more than 65,536 entries.
    """

    def __init__(self, dim: Dim = 128, levels: Levels = (8, 5, 5, 5), **kwargs: Any):
        super().__init__(dim, **kwargs)
        self.levels, self.channels = tuple(levels), len(levels)
        if math.prod(levels) > 65536:
            raise UserError(f"latent.levels make at most 65,536 entries. Received: {math.prod(levels):,}")
        if dim % len(levels):
            raise UserError(f"latent.dim must be a multiple of the {len(levels)} latent.levels of a cell. Received: {dim}")

    @property
    def codebook(self) -> np.ndarray:
        """The values of each entry, float32 (entries, channels)."""
        values = np.meshgrid(*[np.linspace(-1, 1, count) for count in self.levels], indexing="ij")
        return np.stack(values, axis=-1).reshape(-1, self.channels).astype("float32")

    def discretize(self, cells: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        bounded = ops.tanh(cells)
        half = (np.array(self.levels, "float32") - 1) / 2
        return ops.round((bounded + 1) * half) / half - 1, bounded


@keras.saving.register_keras_serializable("keras_ae")
class VQ(Discrete):
    """Vector quantization: van den Oord et al. 2017 (arXiv:1711.00937).

    Each cell, the last axis of the features, becomes the nearest entry of a codebook. Entries are moving averages of the cells
    that they are nearest to (appendix A.1). The loss has `commitment` times the squared distance of the cells from their
    entries, summed over a code. An entry that stands for less than `restart` times the mean number of cells is replaced by a
    cell of the batch (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1); in the first step, all are.
    """

    def __init__(
        self,
        dim: Dim = 128,
        entries: Entries = 512,
        commitment: Annotated[float, Ge(0), Le(1e6)] = 0.25,
        decay: Annotated[float, Gt(0), Lt(1)] = 0.99,
        restart: Annotated[float, Ge(0), Lt(1)] = 0.05,
        **kwargs: Any,
    ):
        super().__init__(dim, **kwargs)
        self.entries, self.commitment, self.decay, self.restart = entries, commitment, decay, restart
        self.seed_generator = keras.random.SeedGenerator(0)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.channels = input_shape[-1]
        options = {"trainable": False, "dtype": "float32", "aggregation": "mean"}
        self.counts = self.add_weight(shape=(self.entries,), initializer="zeros", name="counts", **options)
        initial = keras.initializers.RandomNormal(1.0, seed=0)
        self.sums = self.add_weight(shape=(self.entries, self.channels), initializer=initial, name="sums", **options)

    @property
    def codebook(self) -> tf.Tensor:
        """The values of each entry, float32 (entries, channels)."""
        return self.sums / ops.where(self.counts > 0, self.counts, 1.0)[:, None]

    def discretize(self, cells: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        codebook = ops.stop_gradient(self.codebook)
        # of the squared distance, what differs between entries; Keras' argmin has no ONNX form
        nearest = tf.argmin(ops.sum(ops.square(codebook), axis=1) - 2 * ops.matmul(cells, ops.transpose(codebook)), axis=1)
        entries = ops.take(codebook, nearest, axis=0)
        if training and self.trainable:
            distance = ops.mean(ops.square(cells - entries))
            self.add_loss(self.commitment * self.dim * distance)
            self.update(ops.stop_gradient(cells), nearest)
        return entries, cells

    def update(self, cells: tf.Tensor, nearest: tf.Tensor) -> None:
        """Move the entries towards cells (n, channels), of which each is nearest to the entry of a number, (n,)."""
        n = ops.shape(cells)[0]
        mean = ops.cast(n, "float32") / self.entries
        found = ops.segment_sum(ops.ones_like(cells[:, 0]), nearest, self.entries)
        counts = self.decay * self.counts + (1 - self.decay) * found
        sums = self.decay * self.sums + (1 - self.decay) * ops.segment_sum(cells, nearest, self.entries)
        dead = (self.counts == 0) | (counts < self.restart * mean)
        others = ops.take(cells, keras.random.randint((self.entries,), 0, n, seed=self.seed_generator), axis=0)
        self.counts.assign(ops.where(dead, mean, counts))
        self.sums.assign(ops.where(dead[:, None], mean * others, sums))


LATENTS = {"point": Point, "gaussian": Gaussian, "features": Features, "fsq": FSQ, "vq": VQ}
