"""Latent layers: from features (batch, width) to the parameters of a code, float32 tensors (batch, latent_dim).

A layer returns a dict: `z_mean`, the code that represents the image, and `z_log_var` where the code has a posterior. Layers are
deterministic; `keras_ae.models.vae.VAE` draws from the posterior. To add a latent, write a layer and name it in `LATENTS`.
"""

import math
from typing import Annotated, Any

import keras
import tensorflow as tf
from annotated_types import Ge, Le
from keras import layers, ops

from keras_ae.errors import UserError

Dim = Annotated[int, Ge(1), Le(65536)]


class Latent(layers.Layer):
    """What latent layers share: the number of dimensions, float32, and a configuration that loads again.

    dim: length of a code. kwargs: those of `keras.layers.Layer`.
    """

    def __init__(self, dim: Dim = 128, name: str = "codes", dtype: str = "float32", **kwargs: Any):
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.dim = dim

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dim": self.dim}


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
    """The features themselves are the code, flattened: for encoders that end in `dim` of them, such as `spatial_encoder`.

    map_shape: the shape of the features without the batch, set when the layer is built.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.map_shape = tuple(input_shape[1:])
        # not in `call`: Keras adds lines to the messages of errors there
        if (size := math.prod(self.map_shape)) != self.dim:
            raise UserError(f"the latent 'features' has latent.dim {self.dim}, but the encoder ends in {size}")

    def call(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z_mean": ops.reshape(ops.cast(features, "float32"), (-1, self.dim))}


LATENTS = {"point": Point, "gaussian": Gaussian, "features": Features}
