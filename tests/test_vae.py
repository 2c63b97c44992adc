import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import Batches

from keras_ae.models import losses
from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.networks import dense_decoder, dense_encoder, on_label
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


@pytest.fixture(scope="module")
def model():
    """A plain autoencoder as it was made, for every test of what Keras' methods take; its graphs are traced once."""
    return built(Point, losses.gaussian)


@pytest.fixture
def untrained(model, untrained_weights):
    model.set_weights(untrained_weights)
    model.reset_metrics()
    return model


@pytest.fixture(scope="module")
def untrained_weights(model):
    return model.get_weights()


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
        model.fit(train.repeat(12), verbose=0, shuffle=False)
        codes = model.encoder(blobs(512))
        return float(losses.total_correlation(draw(codes, model.seed_generator), **codes))

    assert correlation_of(20.0) < correlation_of(0.0) - 0.1


def test_the_total_correlation_needs_posteriors():
    with pytest.raises(ValueError, match="total_correlation needs a Gaussian latent. Received: a point"):
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


def test_calling_the_model_rebuilds_from_mean_codes(model):
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
        draws.append(np.asarray(nats) + np.asarray(losses.kl(z_mean, z_log_var)))
    assert np.mean(draws) == pytest.approx(-np.mean(evidence), abs=0.01)


def test_draws_have_the_posterior_s_mean_and_variance_and_follow_the_seed():
    codes = {"z_mean": tf.fill((200_000, 2), 0.7), "z_log_var": tf.fill((200_000, 2), -1.0)}
    first, again, other = (np.asarray(draw(codes, keras.random.SeedGenerator(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    np.testing.assert_allclose(first.mean(axis=0), 0.7, atol=0.01)
    np.testing.assert_allclose(first.var(axis=0), np.exp(-1), rtol=0.02)


def generator(images):
    while True:
        yield images[:16], images[:16]
        yield images[16:], images[16:]


# what Keras takes: the arguments of fit, evaluate and predict for 32 images
FORMS = {
    "array": lambda images: {"x": images},
    "arrays": lambda images: {"x": images, "y": images},
    "tensor": lambda images: {"x": tf.constant(images)},
    "dict": lambda images: {"x": {"images": images}},
    "dataset": lambda images: {"x": batches(images, 16)},
    "dataset of dicts": lambda images: {"x": batches({"image": images}, 16)},
    "generator": lambda images: {"x": generator(images), "steps": 2},
    "PyDataset": lambda images: {"x": Batches([(half, half) for half in (images[:16], images[16:])])},
}


@pytest.mark.parametrize("form", FORMS)
def test_keras_methods_take_images_in_every_form_and_agree(untrained, form):
    images, model = blobs(32), untrained

    def arguments(name):
        given = FORMS[form](images)
        if name == "fit" and "steps" in given:
            given["steps_per_epoch"] = given.pop("steps")
        batch = {"batch_size": 16} if not {"steps", "steps_per_epoch"} & set(given) and "data" not in form.lower() else {}
        return given | batch | {"verbose": 0}

    expected = model.evaluate(images, return_dict=True, verbose=0)
    found = model.evaluate(**arguments("evaluate"), return_dict=True)
    assert found == pytest.approx(expected, rel=1e-4)
    rebuilt = model.predict(**{name: value for name, value in arguments("predict").items() if name != "y"})
    np.testing.assert_allclose(rebuilt, model(images), atol=1e-5)
    assert model.fit(**arguments("fit"), epochs=3, shuffle=False).history["loss"][-1] < expected["loss"]


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}], ids=str)
def test_options_of_compile_train_alike(options):
    images = blobs(64)

    def losses_of(**options):
        model = built(Point, losses.gaussian)
        model.compile(optimizer=keras.optimizers.SGD(1e-3), **options)
        return model.fit(images, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]

    assert losses_of(**options) == pytest.approx(losses_of(), rel=1e-4)


def test_metrics_of_compile_compare_images_with_reconstructions():
    model, images = built(Point), blobs(40)
    model.compile(optimizer="adam", metrics=["mae"])
    found = model.evaluate(images, batch_size=32, return_dict=True, verbose=0)
    assert found["mae"] == pytest.approx(float(np.abs(images - model(images)).mean()), rel=1e-5)
    assert {"val_mae", "val_loss"} <= set(model.fit(images, validation_data=(images,), verbose=0).history)


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_weights_of_examples_multiply_their_terms(model, shape):
    images = blobs(40)
    weights = np.repeat([2.0, 0.0], 20).astype("float32")
    found = model.evaluate(images, images, sample_weight=weights.reshape(shape), batch_size=40, return_dict=True, verbose=0)
    assert found["reconstruction"] == pytest.approx(model.evaluate(images[:20], return_dict=True, verbose=0)["reconstruction"])


@pytest.mark.parametrize("remake", ["save", "clone", "config"])
def test_models_are_made_again(remake, tmp_path):
    model, images = built(beta=3.0, warmup_steps=7, likelihood="laplace"), blobs(8)
    model.fit(images, epochs=1, verbose=0)
    if remake == "save":
        model.save(tmp_path / "vae.keras")
        again = keras.saving.load_model(tmp_path / "vae.keras")
        for ours, theirs in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    else:
        again = keras.models.clone_model(model) if remake == "clone" else VAE.from_config(model.get_config())
        again.set_weights(model.get_weights())
    assert (type(again), again.beta, again.warmup_steps, again.reconstruction.name) == (VAE, 3.0, 7, "laplace")
    np.testing.assert_allclose(again(images), model(images), atol=1e-6)


# what would train silently wrong: the data, and what the error says
REFUSED = {
    "0 to 255": (lambda images: 127.5 * (images + 1), "must lie in .-1, 1.*scale them with images / 127.5 - 1"),
    "NaN": (lambda images: np.where(images > 0.4, np.nan, images), "must lie in .-1, 1."),
    "8-bit": (
        lambda images: (127.5 * (images + 1)).astype("uint8"),
        "Received: 8-bit images; scale them with images / 127.5 - 1",
    ),
    "class labels as targets": (lambda images: batches((images, np.zeros(len(images)))), "leave class labels out"),
    "no images": (lambda images: {"label": np.zeros(len(images))}, 'a batch needs "images"'),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_what_would_train_silently_wrong_is_refused(untrained, case, method):
    make, advice = REFUSED[case]
    if (case, method) == ("class labels as targets", "predict"):
        pytest.skip("predict ignores targets")
    with pytest.raises(ValueError, match=advice):
        getattr(untrained, method)(make(blobs(8)), verbose=0)


def test_a_conditional_model_needs_known_labels():
    encoder, decoder = on_label(
        lambda latent, planes: dense_encoder((8, 8, 1 + planes), latent, widths=[8]),
        lambda latent_dim: dense_decoder(SHAPE, latent_dim, widths=[8]),
        Gaussian(2),
        3,
    )
    model, images = VAE(encoder, decoder), blobs(6)
    model.compile()
    assert model.fit({"images": images, "label": np.arange(6) % 3}, verbose=0).history["loss"]
    with pytest.raises(ValueError, match="a conditional model needs labels"):
        model.fit(images, verbose=0)
    with pytest.raises(ValueError, match=r"the labels must lie in \[0, 2\]"):
        model.fit({"images": images, "label": np.arange(6)}, verbose=0)
