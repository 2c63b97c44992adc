import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.losses import Likelihood
from keras_ae.models.networks import dense_decoder, dense_encoder
from keras_ae.models.objectives import AdversarialAutoencoder

SHAPE = (8, 8, 1)


def built(weight, latent=Point, steps=1):
    keras.utils.set_random_seed(0)
    encoder = dense_encoder(SHAPE, latent(2), widths=[64])
    model = AdversarialAutoencoder(
        encoder, dense_decoder(SHAPE, 2, widths=[64]), Likelihood("gaussian"), weight=weight, discriminator_learning_rate=2e-3
    )
    model.compile(optimizer=keras.optimizers.Adam(2e-3), jit_compile=False, steps_per_execution=steps)
    return model


def two_spots(n):
    """Pictures of two numbers, unevenly spread."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] / 8
    a, b = random.uniform(0, 1, (2, n, 1, 1)) ** 2
    return (np.sin(6 * x + 5 * a) * np.cos(6 * y + 5 * b))[..., None].astype("float32")


def test_codes_come_to_look_normal_and_pictures_are_still_rebuilt():
    images = two_spots(1024)
    stream = tf.data.Dataset.from_tensor_slices({"images": images}).batch(64)
    found = {}
    for weight in (0.0, 30.0):
        model = built(weight, steps=16)
        # one long epoch: each begins with a pause
        model.fit(stream.repeat(60 if weight else 15), verbose=0, shuffle=False)
        z = model.encoder(images)["z_mean"].numpy()
        error = np.mean(np.square(images - model(images)))
        found[weight] = (np.abs(z.mean(axis=0)).max(), np.abs(np.log(z.std(axis=0))).max(), error)
    (_, free_spread, _), (mean, spread, error) = found[0.0], found[30.0]
    assert mean < 0.3
    assert spread < 0.3 < free_spread
    assert error < 0.3 * images.var()


def test_the_logged_adversarial_loss_has_no_regularization_loss():
    keras.utils.set_random_seed(0)
    z = keras.Input((2,))
    x = keras.layers.Dense(64, "tanh", kernel_regularizer=keras.regularizers.L2(100.0))(z)
    decoder = keras.Model(z, keras.layers.Reshape(SHAPE)(x))
    model = AdversarialAutoencoder(dense_encoder(SHAPE, Point(2), widths=[8]), decoder, Likelihood("gaussian"), weight=3.0)
    model.compile("adam")
    images = two_spots(64)
    expected = float(model.adversarial(model.encoder(images)["z_mean"]))
    assert float(sum(model.losses)) > 1
    logs = model.train_on_batch(images, return_dict=True)
    assert float(logs["adversarial"]) == pytest.approx(expected, rel=1e-4)


def test_evaluation_reports_the_loss_and_the_kl_that_training_does():
    model = built(3.0, Gaussian)
    model.optimizer.learning_rate = model.discriminator_optimizer.learning_rate = 0.0
    images = two_spots(512)
    trained = model.train_on_batch(images, return_dict=True)
    model.reset_metrics()
    evaluated = model.test_on_batch(images, return_dict=True)
    for name in ("loss", "neg_elbo", "reconstruction", "kl"):
        assert float(trained[name]) == pytest.approx(float(evaluated[name]), rel=0.03), name
    assert float(evaluated["kl"]) > 0
    assert float(evaluated["neg_elbo"]) == pytest.approx(float(evaluated["reconstruction"] + evaluated["kl"]), rel=1e-5)


def test_a_saved_model_goes_on_with_its_discriminator(tmp_path):
    model = built(3.0)
    model.fit(two_spots(128), epochs=2, verbose=0)
    model.save(tmp_path / "aae.keras")
    again = keras.saving.load_model(tmp_path / "aae.keras")
    assert again.weight == 3.0
    parts = [[one.weights, one.optimizer.variables, one.discriminator_optimizer.variables] for one in (model, again)]
    for ours, theirs in zip(*(sum(each, []) for each in parts), strict=True):
        np.testing.assert_array_equal(ours, theirs)
