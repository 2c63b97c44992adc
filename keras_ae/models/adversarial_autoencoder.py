"""The adversarial autoencoder: a discriminator instead of the KL makes the distribution of all codes match N(0, I)."""

from typing import Annotated, Any

import keras
import tensorflow as tf
from annotated_types import Ge, Le
from keras import layers, ops

from keras_ae.models import replicas
from keras_ae.models.losses import Reconstruction
from keras_ae.models.optimizers import Rate
from keras_ae.models.vae import VAE, Tensors

Weight = Annotated[float, Ge(0), Le(1e9)]


def discriminator(latent_dim, widths=(512, 512)):
    """Tells draws of N(0, I) from codes: z (batch, latent_dim) -> logits (batch, 1), positive for draws."""
    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    return keras.Model(z, layers.Dense(1, dtype="float32")(x), name="discriminator")


@keras.saving.register_keras_serializable("keras_ae")
class AdversarialAutoencoder(VAE):
    """Minimizes reconstruction + weight * adversarial loss of the codes: Makhzani et al. 2015 (arXiv:1511.05644).

    encoder, decoder, reconstruction: as for `VAE`, like the data.
    weight: nats for which the adversarial loss counts, beside the reconstruction likelihood.
    discriminator_learning_rate: of the discriminator's Adam, with a momentum of 0.5.

    The KL of a `Gaussian` latent is logged and is part of `neg_elbo`, but not of the loss. Adversarial losses do not compare
    between epochs, because the discriminator changes: the last epoch's weights count.
    """

    NUMBERS = ("weight", "discriminator_learning_rate")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        weight: Weight = 5.0,
        discriminator_learning_rate: Rate = 5e-4,
    ):
        super().__init__(encoder, decoder, reconstruction)
        self.weight = weight
        self.discriminator_learning_rate = discriminator_learning_rate
        self.discriminator = discriminator(decoder.inputs[0].shape[1])
        self.discriminator_optimizer = keras.optimizers.Adam(discriminator_learning_rate, beta_1=0.5)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.trackers += [keras.metrics.Mean(name) for name in ("adversarial", "discriminator")]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of the two networks: the discriminator has an optimizer of its own."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def objective(self, terms: Tensors, codes: Tensors, training: bool) -> tf.Tensor:
        """The loss, a scalar: reconstruction + weight * adversarial loss, which weights of examples leave as it is."""
        return terms["reconstruction"] + self.weight * self.adversarial(codes["z"]) + sum(self.losses)

    def adversarial(self, z: tf.Tensor) -> tf.Tensor:
        """The loss of codes z (batch, latent_dim) that should be classified as draws of N(0, I), a scalar."""
        return replicas.mean(ops.softplus(-self.discriminator(z)))

    def train_step(self, data: Any) -> Tensors:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch_of(x, y)
        step = ops.cast(self.optimizer.iterations, "int32")
        with tf.GradientTape(persistent=True) as tape:
            codes = self.encode(batch, training=True)
            terms = self.terms(batch, codes, self.decode(codes["z"], batch, training=True), weights)
            loss = self.objective(terms, codes, training=True)
            scaled = self.optimizer.scale_loss(loss)
            drawn = replicas.rows(lambda shape: tf.random.stateless_normal(shape, tf.stack([step, 0])), ops.shape(codes["z"]))
            logits = self.discriminator(tf.concat([drawn, tf.stop_gradient(codes["z"])], axis=0))
            of_draws, of_codes = tf.split(logits, 2)
            mistaken = replicas.mean(ops.softplus(-of_draws)) + replicas.mean(ops.softplus(of_codes))
        judge = self.discriminator.trainable_variables
        gradients, judging = tape.gradient(scaled, self.trainable_variables), tape.gradient(mistaken, judge)
        del tape
        # of the discriminator that the encoder was trained with, also where the objective has none of it
        adversarial = self.adversarial(codes["z"])
        replicas.step(self.optimizer, gradients, self.trainable_variables)
        replicas.step(self.discriminator_optimizer, judging, judge)
        return self.logged({"loss": loss, **terms, "adversarial": adversarial, "discriminator": mistaken}, batch)

    def state(self) -> list[keras.Variable]:
        parts = (self.discriminator, self.discriminator_optimizer)
        return [*super().state(), *(variable for part in parts for variable in part.variables)]

    def improves(self, loss: float, least: float) -> bool:
        """Always: the last epoch's weights count."""
        return True
