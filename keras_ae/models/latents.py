"""Latent layers: from features (batch, width) to codes, a dict of float32 tensors of shape (batch, latent_dim).

`z` is the code that is decoded in training, `z_mean` the code that stands for the picture afterwards, `kl` the divergence
of each dimension from N(0, 1) in nats. To add a latent, write a layer and name it in `LATENTS`.
"""

import keras
from keras import layers, ops

from keras_ae.errors import UserError
from keras_ae.models.losses import gaussian_kl


@keras.saving.register_keras_serializable("keras_ae")
class Point(layers.Layer):
    """The code of a plain autoencoder: one point, no divergence."""

    def __init__(self, seed=None, *, dim: int = 128):
        super().__init__(name="codes", dtype="float32")
        self.dim = dim
        self.project = layers.Dense(dim, dtype="float32")

    def call(self, features):
        z = self.project(features)
        return {"z": z, "z_mean": z, "kl": ops.zeros_like(z)}


@keras.saving.register_keras_serializable("keras_ae")
class Gaussian(layers.Layer):
    """A diagonal normal posterior, drawn by the reparameterization trick z = z_mean + exp(z_log_var / 2) * epsilon.

    Kingma & Welling 2014 (arXiv:1312.6114). The log-variance is bounded to [-12, 6]: low precision diverges without.
    """

    def __init__(self, seed=None, *, dim: int = 128):
        super().__init__(name="codes", dtype="float32")
        self.dim = dim
        self.project_mean = layers.Dense(dim, dtype="float32")
        self.project_log_var = layers.Dense(dim, dtype="float32")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, features):
        z_mean = self.project_mean(features)
        z_log_var = ops.clip(self.project_log_var(features), -12, 6)
        epsilon = keras.random.normal(ops.shape(z_mean), seed=self.seed_generator)
        z = z_mean + ops.exp(z_log_var / 2) * epsilon
        return {"z": z, "z_mean": z_mean, "z_log_var": z_log_var, "kl": gaussian_kl(z_mean, z_log_var)}


@keras.saving.register_keras_serializable("keras_ae")
class Features(layers.Layer):
    """The features are the code as they are: for encoders that end in `dim` of them, such as `spatial`."""

    def __init__(self, seed=None, *, dim: int = 128):
        super().__init__(name="codes", dtype="float32")
        self.dim = dim

    def call(self, features):
        if features.shape[-1] != self.dim:
            raise UserError(f"the latent 'features' has latent.dim {self.dim}, but the encoder ends in {features.shape[-1]}")
        return {"z": features, "z_mean": features, "kl": ops.zeros_like(features)}


LATENTS = {"point": Point, "gaussian": Gaussian, "features": Features}
