"""Latent layers: from features (batch, width) to codes, a dict of float32 tensors of shape (batch, latent_dim).

`z` is the code that is decoded in training, `z_mean` the code that represents the image afterwards, `kl` the divergence of each
dimension from N(0, 1) in nats. To add a latent, write a layer and name it in `LATENTS`.
"""

from typing import Annotated, Any

import keras
import tensorflow as tf
from annotated_types import Ge, Le
from keras import layers, ops

from keras_ae.errors import UserError
from keras_ae.models import replicas
from keras_ae.priors.space import kl

Dim = Annotated[int, Ge(1), Le(65536)]
LOG_VAR_LIMITS = -12, 6


class Latent(layers.Layer):
    """What latent layers share: the number of dimensions, float32, and a configuration that loads again.

    dim: length of a code. seed: of a layer that draws random numbers. kwargs: those of `keras.layers.Layer`.
    """

    def __init__(self, dim: Dim = 128, seed: int | None = None, name: str = "codes", dtype: str = "float32", **kwargs: Any):
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.dim = dim
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dim": self.dim, "seed": self.seed}


@keras.saving.register_keras_serializable("keras_ae")
class Point(Latent):
    """The code of a plain autoencoder: one point, no divergence."""

    def __init__(self, dim: Dim = 128, seed: int | None = None, **kwargs: Any):
        super().__init__(dim, seed, **kwargs)
        self.project = layers.Dense(dim, dtype="float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.project.build(input_shape)

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        z = self.project(features)
        return {"z": z, "z_mean": z, "kl": ops.zeros_like(z)}


@keras.saving.register_keras_serializable("keras_ae")
class Gaussian(Latent):
    """A diagonal normal posterior, drawn by the reparameterization trick z = z_mean + exp(z_log_var / 2) * epsilon.

    Kingma & Welling 2014 (arXiv:1312.6114). The log-variance is clipped to [-12, 6]: training in low precision diverges
    without it.
    """

    def __init__(self, dim: Dim = 128, seed: int | None = None, **kwargs: Any):
        super().__init__(dim, seed, **kwargs)
        self.project_mean = layers.Dense(dim, dtype="float32")
        self.project_log_var = layers.Dense(dim, dtype="float32")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.project_mean.build(input_shape)
        self.project_log_var.build(input_shape)

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        z_mean = self.project_mean(features)
        z_log_var = ops.clip(self.project_log_var(features), *LOG_VAR_LIMITS)
        epsilon = replicas.rows(lambda shape: keras.random.normal(shape, seed=self.seed_generator), ops.shape(z_mean))
        z = z_mean + ops.exp(z_log_var / 2) * epsilon
        return {"z": z, "z_mean": z_mean, "z_log_var": z_log_var, "kl": kl(z_mean, z_log_var, exp=ops.exp)}


@keras.saving.register_keras_serializable("keras_ae")
class Features(Latent):
    """The features themselves are the code: for encoders that end in `dim` of them, such as `spatial_encoder`."""

    # a map that was flattened into features is still a map
    keeps_layout = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        # not in `call`: Keras adds lines to the messages of errors there
        if input_shape[-1] != self.dim:
            raise UserError(f"the latent 'features' has latent.dim {self.dim}, but the encoder ends in {input_shape[-1]}")

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z": features, "z_mean": features, "kl": ops.zeros_like(features)}


LATENTS = {"point": Point, "gaussian": Gaussian, "features": Features}
