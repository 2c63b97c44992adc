"""The one model class: an encoder, a decoder, and the negative evidence lower bound that joins them."""

import keras
import tensorflow as tf
from keras import ops

from keras_ae.models.losses import with_free_bits
from keras_ae.models.networks import apply


@keras.saving.register_keras_serializable("keras_ae")
class VAE(keras.Model):
    """Minimises reconstruction + beta * KL, in nats per example; with a `point` latent it is a plain autoencoder.

    encoder: images (batch, H, W, C) in [-1, 1] -> codes {"z", "z_mean", "kl", ...}, each (batch, latent_dim).
    decoder: z (batch, latent_dim) -> images (batch, H, W, C) in [-1, 1].
    reconstruction: a likelihood of `keras_ae.losses`: images, reconstructions -> nats, (batch,).
    beta: weight of the KL; 1 is the evidence lower bound (Kingma & Welling 2014), more is a beta-VAE (Higgins et al. 2017).
    warmup_steps: the weight rises linearly from 0 to beta over this many steps.
    free_bits: nats per dimension below which the KL is not pushed (Kingma et al. 2016).

    Batches are dicts with "image"; "inputs" where the encoder sees something else, "label" where both networks are told it.
    `neg_elbo`, what callbacks watch, is the bound at the full beta without free bits: `loss` changes its meaning while the
    weight warms up.
    """

    def __init__(self, encoder, decoder, reconstruction, *, beta: float = 1.0, warmup_steps: int = 0, free_bits: float = 0.0):
        super().__init__(name="vae")
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction = reconstruction
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.free_bits = free_bits
        self.trackers = [keras.metrics.Mean(name) for name in ("loss", "neg_elbo", "reconstruction", "kl", "mse")]

    @property
    def metrics(self):
        return self.trackers

    def call(self, batch):
        """Rebuild the images of a batch from their mean codes."""
        return self.decode(self.encode(batch)["z_mean"], batch)

    def encode(self, batch, training=False):
        """The codes of a batch."""
        return apply(self.encoder, training, images=batch.get("inputs", batch["image"]), label=batch.get("label"))

    def decode(self, z, batch, training=False):
        """Images of codes z with the labels of the batch."""
        return apply(self.decoder, training, z=z, label=batch.get("label"))

    def terms(self, batch, training):
        """Terms of the objective on one batch: a dict of scalars in nats per example (mse: per pixel, on [-1, 1])."""
        images, codes = batch["image"], self.encode(batch, training)
        reconstructions = self.decode(codes["z"], batch, training)
        reconstruction = ops.mean(self.reconstruction(images, reconstructions))
        kl = ops.mean(ops.sum(codes["kl"], axis=-1))
        step = ops.cast(self.optimizer.iterations, "float32")
        weight = self.beta * ops.minimum(1.0, (step + 1) / max(self.warmup_steps, 1))
        return {
            "loss": reconstruction + weight * with_free_bits(codes["kl"], self.free_bits),
            "neg_elbo": reconstruction + self.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "mse": ops.mean(ops.square(images - reconstructions)),
        }

    def train_step(self, data):
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            terms = self.terms(batch, training=True)
        gradients = tape.gradient(terms["loss"], self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._recorded(terms, batch)

    def test_step(self, data):
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._recorded(self.terms(batch, training=False), batch)

    def _recorded(self, terms, batch):
        # the last batch of an evaluation is smaller and must count for less
        examples = ops.shape(batch["image"])[0]
        told = [tracker for tracker in self.trackers if tracker.name in terms]
        for tracker in told:
            tracker.update_state(terms[tracker.name], sample_weight=examples)
        return {tracker.name: tracker.result() for tracker in told}

    def state(self):
        """Every variable that training changes, in a fixed order: what a resumed run needs."""
        self.optimizer.build(self.trainable_variables)
        # `variables` of the networks holds the seed generators' states too
        return [*self.encoder.variables, *self.decoder.variables, *self.optimizer.variables]

    def keeps(self, neg_elbo, least):
        """Whether weights with this held-out bound replace those of the least so far."""
        return neg_elbo < least
