import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.models import losses
from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.networks import dense_decoder, dense_encoder
from keras_ae.models.vae import VAE, draw

SHAPE = (8, 8, 1)
RANDOM = np.random.default_rng(0)


def blobs(n):
    """Pictures of one bright spot: three numbers tell all about each."""
    centre_x, centre_y, width = RANDOM.uniform(2, 6, n), RANDOM.uniform(2, 6, n), RANDOM.uniform(1, 2, n)
    y, x = np.mgrid[:8, :8]
    squared = (x - centre_x[:, None, None]) ** 2 + (y - centre_y[:, None, None]) ** 2
    return (np.exp(-squared / (2 * width[:, None, None] ** 2)) - 0.5)[..., None].astype("float32")


def built(latent=Gaussian, likelihood=losses.gaussian_optimal_variance, learning_rate=2e-3, **objective):
    keras.utils.set_random_seed(0)
    encoder = dense_encoder(SHAPE, latent(4), widths=[64])
    model = VAE(encoder, dense_decoder(SHAPE, 4, widths=[64]), likelihood, **objective)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=False)
    return model


def batches(images, batch=32):
    return tf.data.Dataset.from_tensor_slices(images).batch(batch)


@pytest.mark.parametrize(("latent", "likelihood"), [(Gaussian, losses.gaussian_optimal_variance), (Point, losses.gaussian)])
def test_training_learns(latent, likelihood):
    model = built(latent, likelihood)
    train, test = batches(blobs(512)), batches(blobs(128))
    before = model.evaluate(test, verbose=0, return_dict=True)
    # one long epoch: each begins with a pause
    model.fit(train.repeat(40), shuffle=False, verbose=0)
    after = model.evaluate(test, verbose=0, return_dict=True)
    assert after["neg_elbo"] < before["neg_elbo"] - 3
    # far better than the best constant picture
    assert after["mse"] < 0.25 * np.var(blobs(512))


def evaluated(model, images, batch=32):
    """The terms of a model; tracing a graph takes longer than to compute them."""
    model.run_eagerly = True
    return model.evaluate(batches(images, batch), verbose=0, return_dict=True)


def test_the_loss_is_reconstruction_plus_beta_times_kl():
    terms = evaluated(built(beta=3.0), blobs(64))
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 3 * terms["kl"], rel=1e-5)
    # whatever beta is
    assert terms["neg_elbo"] == pytest.approx(terms["reconstruction"] + terms["kl"], rel=1e-5)
    # a point latent is a plain autoencoder
    terms = evaluated(built(Point), blobs(32))
    assert terms["kl"] == 0 and terms["loss"] == terms["reconstruction"]


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
        model.fit(train.repeat(12), verbose=0, shuffle=False)
        codes = model.encoder(blobs(512))
        return float(losses.total_correlation(draw(codes, model.seed_generator), **codes))

    assert correlation_of(20.0) < correlation_of(0.0) - 0.1


def test_the_kl_weight_warms_up_in_training_but_not_in_evaluation():
    model = built(beta=2.0, warmup_steps=4, learning_rate=0.0)
    images = blobs(32)
    shares, model.run_eagerly = [], True
    for _ in range(6):
        model.reset_metrics()
        terms = model.train_on_batch(images, return_dict=True)
        shares.append(float((terms["loss"] - terms["reconstruction"]) / terms["kl"]))
        assert float(terms["neg_elbo"]) == pytest.approx(float(terms["reconstruction"] + terms["kl"]), rel=1e-5)
    np.testing.assert_allclose(shares, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0], rtol=5e-3)
    terms = evaluated(built(beta=2.0, warmup_steps=4), images)
    assert terms["loss"] == pytest.approx(terms["reconstruction"] + 2 * terms["kl"], rel=1e-5)


def test_smaller_last_batches_count_less_and_a_call_rebuilds_from_mean_codes():
    model, images = built(Point, losses.laplace), blobs(40)
    assert evaluated(model, images, 32)["loss"] == pytest.approx(evaluated(model, images, 40)["loss"], rel=1e-5)
    model = built()
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
        draws.append(np.asarray(nats) + np.asarray(losses.kl(z_mean, z_log_var)))
    assert np.mean(draws) == pytest.approx(-np.mean(evidence), abs=0.01)


def test_draws_have_the_posterior_s_mean_and_variance_and_follow_the_seed():
    codes = {"z_mean": tf.fill((200_000, 2), 0.7), "z_log_var": tf.fill((200_000, 2), -1.0)}
    first, again, other = (np.asarray(draw(codes, keras.random.SeedGenerator(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    np.testing.assert_allclose(first.mean(axis=0), 0.7, atol=0.01)
    np.testing.assert_allclose(first.var(axis=0), np.exp(-1), rtol=0.02)


def test_options_of_compile_train_alike():
    images = blobs(64)

    def losses_of(**options):
        model = built(Point, losses.gaussian)
        model.compile(optimizer=keras.optimizers.SGD(1e-3), **options)
        return model.fit(images, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]

    expected = losses_of()
    for options in ({"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}):
        assert losses_of(**options) == pytest.approx(expected, rel=1e-4), options


def test_metrics_of_compile_compare_images_with_reconstructions():
    model, images = built(Point), blobs(40)
    model.compile(optimizer="adam", metrics=["mae"])
    found = model.evaluate(images, batch_size=32, return_dict=True, verbose=0)
    assert found["mae"] == pytest.approx(float(np.abs(images - model(images)).mean()), rel=1e-5)
    assert {"val_mae", "val_loss"} <= set(model.fit(images, validation_data=(images,), verbose=0).history)


def test_models_are_made_again(tmp_path):
    model, images = built(beta=3.0, warmup_steps=7, likelihood="laplace"), blobs(8)
    model.fit(images, epochs=1, verbose=0)
    model.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for again in (loaded, keras.models.clone_model(model), VAE.from_config(model.get_config())):
        again.set_weights(model.get_weights())
        assert (type(again), again.beta, again.warmup_steps, again.reconstruction.name) == (VAE, 3.0, 7, "laplace")
        np.testing.assert_allclose(again(images), model(images), atol=1e-6)
