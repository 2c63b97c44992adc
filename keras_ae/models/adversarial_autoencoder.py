"""The adversarial autoencoder: a discriminator instead of the KL makes the codes of all pictures look like N(0, I)."""

import keras
import tensorflow as tf
from keras import layers, ops

from keras_ae.models.vae import VAE


def discriminator(latent_dim, widths=(512, 512)):
    """Tells draws of N(0, I) from codes: z (batch, latent_dim) -> logits (batch, 1), positive for draws."""
    z = keras.Input((latent_dim,), name="z")
    x = z
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    return keras.Model(z, layers.Dense(1, dtype="float32")(x), name="discriminator")


class MatchedAutoencoder(VAE):
    """Minimises reconstruction + weight * (being taken for a draw of N(0, I)); Makhzani et al. 2015 (arXiv:1511.05644).

    weight: nats that the adversarial loss counts for, beside the reconstruction likelihood.
    discriminator_learning_rate: of its Adam, with a momentum of 0.5.
    Batches and reconstruction are those of `VAE`; `neg_elbo` is the reconstruction, for no density of the codes is known.
    """

    def __init__(self, encoder, decoder, reconstruction, *, weight: float = 5.0, discriminator_learning_rate: float = 5e-4):
        super().__init__(encoder, decoder, reconstruction)
        self.weight = weight
        self.discriminator = discriminator(decoder.inputs[0].shape[1])
        self.discriminator_optimizer = keras.optimizers.Adam(discriminator_learning_rate, beta_1=0.5)
        self.trackers += [keras.metrics.Mean(name) for name in ("adversarial", "discriminator")]

    def trained(self):
        """The variables that reconstruct."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def state(self):
        self.optimizer.build(self.trained())
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        parts = (self.encoder, self.decoder, self.discriminator, self.optimizer, self.discriminator_optimizer)
        return [variable for part in parts for variable in part.variables]

    def train_step(self, data):
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        step = ops.cast(self.optimizer.iterations, "int32")
        with tf.GradientTape(persistent=True) as tape:
            images, codes = batch["image"], self.encode(batch, training=True)
            decoded = self.decode(codes["z"], batch, training=True)
            reconstruction = ops.mean(self.reconstruction(images, decoded))
            adversarial = ops.mean(ops.softplus(-self.discriminator(codes["z"])))
            loss = reconstruction + self.weight * adversarial
            drawn = tf.random.stateless_normal(tf.shape(codes["z"]), tf.stack([step, 0]))
            told = self.discriminator(tf.concat([drawn, tf.stop_gradient(codes["z"])], axis=0))
            real, coded = tf.split(told, 2)
            mistaken = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(coded))
        networks, judge = self.trained(), self.discriminator.trainable_variables
        gradients, judging = tape.gradient(loss, networks), tape.gradient(mistaken, judge)
        del tape
        self.optimizer.apply(gradients, networks)
        self.discriminator_optimizer.apply(judging, judge)
        mse = ops.mean(ops.square(images - decoded))
        terms = {"loss": loss, "neg_elbo": reconstruction, "reconstruction": reconstruction, "kl": 0.0, "mse": mse}
        return self._recorded(terms | {"adversarial": adversarial, "discriminator": mistaken}, batch)
