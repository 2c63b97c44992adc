import keras
import numpy as np
import tensorflow as tf

from keras_ae.models import losses
from keras_ae.models.adversarial_autoencoder import MatchedAutoencoder
from keras_ae.models.latents import Point
from keras_ae.models.networks import dense_decoder, dense_encoder

SHAPE = (8, 8, 1)


def built(weight):
    keras.utils.set_random_seed(0)
    encoder = dense_encoder(SHAPE, Point(dim=2), widths=[64])
    model = MatchedAutoencoder(
        encoder, dense_decoder(SHAPE, 2, widths=[64]), losses.gaussian, weight=weight, discriminator_learning_rate=2e-3
    )
    model.compile(optimizer=keras.optimizers.Adam(2e-3), jit_compile=False)
    return model


def two_spots(n):
    """Pictures of two numbers, unevenly spread."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] / 8
    a, b = random.uniform(0, 1, (2, n, 1, 1)) ** 2
    return (np.sin(6 * x + 5 * a) * np.cos(6 * y + 5 * b))[..., None].astype("float32")


def test_codes_come_to_look_normal_and_pictures_are_still_rebuilt():
    images = two_spots(1024)
    stream = tf.data.Dataset.from_tensor_slices({"image": images}).batch(64)
    found = {}
    for weight in (0.0, 30.0):
        model = built(weight)
        model.fit(stream, epochs=100, verbose=0, shuffle=False)
        z = model.encoder(images)["z"].numpy()
        error = np.mean(np.square(images - model({"image": images})))
        found[weight] = (np.abs(z.mean(axis=0)).max(), np.abs(np.log(z.std(axis=0))).max(), error)
    (_, free_spread, _), (mean, spread, error) = found[0.0], found[30.0]
    assert mean < 0.3
    assert spread < 0.3 < free_spread
    assert error < 0.3 * images.var()


def test_everything_that_trains_is_in_the_state():
    model = built(30.0)
    state = model.state()
    images = two_spots(64)
    before = [variable.numpy().copy() for variable in state]
    model.train_on_batch({"image": tf.constant(images)})
    changed = {id(variable) for variable, old in zip(state, before, strict=True) if np.any(old != variable.numpy())}
    trained = model.trained() + model.discriminator.trainable_variables
    assert {id(variable) for variable in trained} <= changed
