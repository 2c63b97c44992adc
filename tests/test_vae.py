import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.models import losses
from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.networks import conv_decoder, conv_encoder
from keras_ae.models.vae import VAE
from keras_ae.priors import space

SHAPE = (16, 16, 1)
RANDOM = np.random.default_rng(0)


def blobs(n):
    """Pictures of one bright spot: three numbers tell all about each."""
    centre_x, centre_y, width = RANDOM.uniform(4, 12, n), RANDOM.uniform(4, 12, n), RANDOM.uniform(1.5, 3, n)
    y, x = np.mgrid[:16, :16]
    squared = (x - centre_x[:, None, None]) ** 2 + (y - centre_y[:, None, None]) ** 2
    return (np.exp(-squared / (2 * width[:, None, None] ** 2)) - 0.5)[..., None].astype("float32")


def built(latent=Gaussian, likelihood=losses.gaussian_optimal_variance, dim=4, learning_rate=2e-3, **objective):
    keras.utils.set_random_seed(0)
    encoder = conv_encoder(SHAPE, latent(dim, seed=0), widths=[16, 32])
    model = VAE(encoder, conv_decoder(SHAPE, dim, widths=[16, 32]), likelihood, **objective)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=False)
    return model


def batches(images, batch=32):
    return tf.data.Dataset.from_tensor_slices(images).batch(batch)


@pytest.mark.parametrize(("latent", "likelihood"), [(Gaussian, losses.gaussian_optimal_variance), (Point, losses.gaussian)])
def test_training_learns(latent, likelihood):
    model = built(latent, likelihood)
    train, test = batches(blobs(512)), batches(blobs(128))
    before = model.evaluate(test, verbose=0, return_dict=True)
    history = model.fit(train, validation_data=test, epochs=30, shuffle=False, verbose=0).history
    variance = np.var(blobs(512))
    assert history["val_neg_elbo"][-1] < before["neg_elbo"] - 10
    # far better than the best constant picture
    assert history["val_mse"][-1] < 0.25 * variance


def test_the_loss_is_reconstruction_plus_beta_times_kl():
    model = built(beta=3.0)
    terms = model.evaluate(batches(blobs(64)), verbose=0, return_dict=True)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 3 * terms["kl"], rel=1e-5)
    # whatever beta is
    assert terms["neg_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"], rel=1e-5)


def test_the_total_correlation_of_normal_codes_is_that_of_their_correlation():
    # draws of posteriors with variance 0.3 around means with variance 0.7
    correlation, n = 0.8, 2000
    for shared in (0.0, correlation):
        z_mean = RANDOM.multivariate_normal([0, 0], 0.7 * np.array([[1, shared / 0.7], [shared / 0.7, 1]]), n, "ignore")
        z_log_var = np.full((n, 2), np.log(0.3))
        z = z_mean + np.sqrt(0.3) * RANDOM.normal(size=(n, 2))
        found = losses.total_correlation(*(tf.constant(values, tf.float32) for values in (z, z_mean, z_log_var)))
        actual = np.corrcoef(z.T)[0, 1]
        assert float(found) == pytest.approx(-0.5 * np.log(1 - actual**2), abs=0.05)


def test_the_weight_of_the_total_correlation_makes_numbers_independent():
    train = batches(blobs(1024), 128)

    def correlation_of(weight):
        model = built(beta=0.1, total_correlation=weight, likelihood=losses.gaussian)
        model.fit(train, epochs=12, verbose=0, shuffle=False)
        codes = model.encoder.predict(blobs(512), verbose=0)
        return float(losses.total_correlation(codes["z"], codes["z_mean"], codes["z_log_var"]))

    assert correlation_of(20.0) < correlation_of(0.0) - 0.1


def test_a_step_is_traced_once(monkeypatch):
    model, traced, step = built(), [], VAE.train_step
    monkeypatch.setattr(VAE, "train_step", lambda self, data: traced.append(1) or step(self, data))
    model.fit(batches(blobs(32)), epochs=2, verbose=0)
    assert len(traced) == 1


def test_the_total_correlation_needs_posteriors():
    with pytest.raises(ValueError, match="total_correlation needs a Gaussian latent. Received: 2 with a point"):
        built(Point, total_correlation=2.0)


def test_the_kl_weight_warms_up_in_training_but_not_in_evaluation():
    model = built(beta=2.0, warmup_steps=4, learning_rate=0.0)
    images = blobs(32)
    shares = []
    for _ in range(6):
        model.reset_metrics()
        terms = model.train_on_batch(images, return_dict=True)
        shares.append(float((terms["loss"] - terms["reconstruction"]) / terms["kl"]))
        assert float(terms["neg_elbo"]) == pytest.approx(float(terms["reconstruction"] + terms["kl"]), rel=1e-5)
    np.testing.assert_allclose(shares, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0], rtol=5e-3)
    terms = built(beta=2.0, warmup_steps=4).evaluate(batches(images), verbose=0, return_dict=True)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 2 * terms["kl"], rel=1e-5)


def test_a_point_latent_is_a_plain_autoencoder():
    terms = built(Point).evaluate(batches(blobs(32)), verbose=0, return_dict=True)
    assert terms["kl"] == 0
    assert terms["loss"] == terms["reconstruction"]


def test_smaller_last_batches_count_less():
    model = built(Point, losses.laplace)
    images = blobs(40)
    whole = model.evaluate(batches(images, 40), verbose=0, return_dict=True)
    parts = model.evaluate(batches(images, 32), verbose=0, return_dict=True)
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)


def test_calling_the_model_rebuilds_from_mean_codes():
    model = built()
    images = blobs(3)
    np.testing.assert_array_equal(model(images), model.decoder(model.encoder(images)["z_mean"]))


def test_the_elbo_bounds_the_likelihood_of_a_linear_gaussian_model():
    """A linear model's evidence is known; at its exact posterior the bound touches it (Tipping & Bishop 1999)."""
    variance, direction = 0.3, RANDOM.normal(size=4).astype("float32")
    x = RANDOM.normal(size=(2000, 4)).astype("float32")
    covariance = np.outer(direction, direction) + variance * np.eye(4)
    evidence = -0.5 * (
        4 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + np.sum(x @ np.linalg.inv(covariance) * x, axis=1)
    )
    precision = 1 + direction @ direction / variance
    z_mean = (x @ direction / variance / precision)[:, None]
    z_log_var = np.full_like(z_mean, -np.log(precision))
    draws = []
    for _ in range(200):
        z = z_mean + np.exp(z_log_var / 2) * RANDOM.normal(size=z_mean.shape)
        rebuilt = (z * direction).astype("float32")
        nats = losses.gaussian(x.reshape(-1, 2, 2, 1), rebuilt.reshape(-1, 2, 2, 1), variance=variance)
        draws.append(np.asarray(nats) + np.sum(space.kl(z_mean, z_log_var), axis=1))
    assert np.mean(draws) == pytest.approx(-np.mean(evidence), abs=0.01)
