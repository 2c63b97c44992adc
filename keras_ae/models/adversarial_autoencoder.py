"""Models with a discriminator of codes: the adversarial autoencoder, which has it instead of the KL, and FactorVAE."""

from typing import Annotated, Any

import keras
import tensorflow as tf
from annotated_types import Ge, Le
from keras import layers, ops

from keras_ae.models.losses import Reconstruction
from keras_ae.models.optimizers import Rate
from keras_ae.models.vae import VAE, Batch, Tensors, shared

Weight = Annotated[float, Ge(0), Le(1e9)]


def discriminator(latent_dim, widths=(512, 512)):
    """Distinguishes draws, such as those of N(0, I), from codes: z (batch, latent_dim) -> logits (batch, 1), > 0 for draws."""
    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    return keras.Model(z, layers.Dense(1, dtype="float32")(x), name="discriminator")


@keras.saving.register_keras_serializable("keras_ae")
class AdversarialAutoencoder(VAE):
    """Minimizes reconstruction + weight * adversarial loss of the codes: Makhzani et al. 2015 (arXiv:1511.05644).

    encoder, decoder, reconstruction, seed: as for `VAE`, like the data.
    weight: nats for which the adversarial loss counts, beside the reconstruction likelihood.
    discriminator_learning_rate: of the discriminator's Adam, with a momentum of 0.5.

    The KL of a `Gaussian` latent is logged and is part of `neg_elbo`, but not of the loss. Adversarial losses do not compare
    between epochs, because the discriminator changes: the last epoch's weights count.
    """

    monitor = None
    # in the loss
    kl_weight = 0.0
    logged = (*VAE.logged, "adversarial", "discriminator")
    numbers = ("weight", "discriminator_learning_rate", "seed")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        weight: Weight = 5.0,
        discriminator_learning_rate: Rate = 5e-4,
        seed: int = 0,
    ):
        super().__init__(encoder, decoder, reconstruction, beta=self.kl_weight, seed=seed)
        self.weight = weight
        self.discriminator_learning_rate = discriminator_learning_rate
        self.discriminator = discriminator(decoder.inputs[0].shape[1])
        self.discriminator_optimizer = keras.optimizers.Adam(discriminator_learning_rate, beta_1=0.5)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of the two networks: the discriminator has an optimizer of its own."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """As for `VAE`, with the loss reconstruction + weight * adversarial, which weights of examples leave as it is."""
        terms, codes, decoded = super().terms(batch, training)
        return terms | {"loss": terms["loss"] + self.weight * self.adversarial(codes["z"])}, codes, decoded

    def draw(self, z: tf.Tensor) -> tf.Tensor:
        """What the discriminator is to distinguish codes z from: as many draws of N(0, I)."""
        return keras.random.normal(ops.shape(z), seed=self.seed_generator)

    def adversarial(self, z: tf.Tensor) -> tf.Tensor:
        """The loss of codes z (batch, latent_dim) that should be classified as draws of N(0, I), a scalar."""
        return ops.mean(ops.softplus(-self.discriminator(z)))

    def train_step(self, data: Any) -> Tensors:
        batch = self.named_batch(data)
        with tf.GradientTape(persistent=True) as tape:
            terms, codes, decoded = self.terms(batch, training=True)
            loss = self.optimizer.scale_loss(shared(terms["loss"]))
            z = tf.stop_gradient(codes["z"])
            of_draws, of_codes = self.discriminator(self.draw(z)), self.discriminator(z)
            confusion = ops.mean(ops.softplus(-of_draws)) + ops.mean(ops.softplus(of_codes))
            discriminator_loss = shared(confusion)
        gradients = tape.gradient(loss, self.trainable_variables)
        discriminating = tape.gradient(discriminator_loss, self.discriminator.trainable_variables)
        del tape
        # before the step of the discriminator: the loss that the encoder was trained with
        terms |= {"adversarial": self.adversarial(codes["z"]), "discriminator": confusion}
        self.optimizer.apply(gradients, self.trainable_variables)
        self.discriminator_optimizer.apply(discriminating, self.discriminator.trainable_variables)
        return self.log(terms, batch, decoded)


@keras.saving.register_keras_serializable("keras_ae")
class FactorVAE(AdversarialAutoencoder):
    """Minimizes the negative ELBO + weight * total correlation of the codes: Kim & Mnih 2018 (arXiv:1802.05983).

    The discriminator distinguishes the codes of a batch from codes whose numbers each come from another of its images. Its
    logit is then the logarithm of a ratio of densities, whose mean over codes is minus the total correlation. The arguments are
    those of `AdversarialAutoencoder`.
    """

    kl_weight = 1.0

    def draw(self, z: tf.Tensor) -> tf.Tensor:
        """Codes z with each of their numbers permuted over the batch."""
        order = ops.argsort(keras.random.uniform(ops.shape(z), seed=self.seed_generator), axis=0)
        return ops.take_along_axis(z, order, axis=0)

    def adversarial(self, z: tf.Tensor) -> tf.Tensor:
        """The total correlation of codes z (batch, latent_dim) in nats, as the discriminator estimates it, a scalar."""
        return -ops.mean(self.discriminator(z))
