"""The networks of vae.toml in the loop of https://keras.io/examples/generative/vae/, with its optimizer and batch size."""

import clock
import keras
import numpy as np
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.judge.judge import Candidate
from keras_ae.priors.space import batched
from keras_ae.training import experiment

BATCH = 128


def plain_model(encoder, decoder, reconstruction, optimizer):
    """Two networks in the shortest custom Keras model that trains a VAE. reconstruction: images, decoded -> (batch,)."""

    class Plain(keras.Model):
        def train_step(self, batch):
            images = batch["images"]
            with tf.GradientTape() as tape:
                codes = encoder(images, training=True)
                terms = reconstruction(images, decoder(codes["z"], training=True))
                loss = tf.reduce_mean(terms + tf.reduce_sum(codes["kl"], axis=1))
            weights = encoder.trainable_variables + decoder.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Plain()
    model.encoder, model.decoder = encoder, decoder
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def _squared(images, decoded):
    return tf.reduce_sum(tf.square(images - decoded), axis=(1, 2, 3))


def train(image_set, seed, limits):
    """The encoder and the decoder, trained for squared error and KL until the clock `limits` ends it."""
    vae = experiment.read("experiments/vae.toml", [f"training.seed={seed}"])
    keras.utils.set_random_seed(seed)
    encoder, decoder = vae.networks(image_set.shape, precision=vae.precision)
    model = plain_model(encoder, decoder, _squared, keras.optimizers.Adam())
    stream = pipeline.training(image_set, BATCH, seed)
    clock.fit(model, stream, image_set.n_train // BATCH, lambda images: decoder(encoder(images)["z_mean"]).numpy(), limits)
    return encoder, decoder


def peer(image_set, minutes, seed):
    """The candidate of the judge that trains for so many minutes; codes are drawn from N(0, I)."""
    encoder, decoder = train(image_set, seed, clock.Clock(60 * minutes))
    (latent_dim,) = encoder.output["z"].shape[1:]

    def codes(images):
        found = {name: values.numpy() for name, values in encoder(images).items()}
        return {"z": found["z_mean"], "z_mean": found["z_mean"], "z_log_var": found["z_log_var"]}

    def decode(z):
        return batched(lambda rows: decoder(tf.constant(rows, tf.float32)), z)

    def generate(n, seed):
        return np.clip(decode(tf.random.stateless_normal((n, latent_dim), (seed, 0)).numpy()), -1, 1)

    return Candidate("plain Keras VAE", latent_dim, lambda images: batched(codes, images), decode, generate)
