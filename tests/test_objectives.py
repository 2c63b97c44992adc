"""Every objective against NumPy or a closed form, with the keys of experiment files."""

import math
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from keras_ae.models import losses, objectives
from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.networks import dense_decoder, dense_encoder
from keras_ae.models.objectives import OBJECTIVES, FactorVAE, dip, infovae, iwae, rae, wae
from keras_ae.models.vae import VAE
from keras_ae.priors.mixture import Mixture
from keras_ae.training import experiment

SHAPE, LATENT_DIM = (4, 4, 1), 3
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (16, *SHAPE)).astype("float32")
Z, Z_MEAN, Z_LOG_VAR = (RANDOM.normal(size=(50, LATENT_DIM)).astype("float32") for _ in range(3))


def built(name, latent=Gaussian, **arguments):
    keras.utils.set_random_seed(0)
    encoder = dense_encoder(SHAPE, latent(LATENT_DIM), widths=[8])
    model = OBJECTIVES[name](encoder, dense_decoder(SHAPE, LATENT_DIM, widths=[8]), "gaussian", **arguments)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), jit_compile=False)
    return model


def mmd(x, y):
    """`losses.squared_mmd`, pair by pair."""

    def kernel(a, b):
        constants = 2 * len(a) * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10])
        return np.sum(constants / (constants + np.sum((a - b) ** 2)))

    n, pairs = len(x), [(i, j) for i in range(len(x)) for j in range(len(x))]
    same = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs if i != j) / (n * (n - 1))
    return same - 2 * sum(kernel(x[i], y[j]) for i, j in pairs) / n**2


def normals(shape, seed=0):
    """What a model with this seed draws first, and an object with its generator."""
    generator = keras.random.SeedGenerator(seed)
    return np.asarray(keras.random.normal(shape, seed=keras.random.SeedGenerator(seed))), generator


def test_the_discrepancy_is_that_of_its_pairs_and_about_zero_for_equal_distributions():
    assert float(losses.squared_mmd(Z, Z_MEAN + 1)) == pytest.approx(mmd(Z, Z_MEAN + 1), rel=1e-4)
    # two points far apart: each of the seven kernels is 1 within and 0 between
    apart = losses.squared_mmd(np.zeros((2, 1), "float32"), np.full((2, 1), 1e6, "float32"))
    assert float(apart) == pytest.approx(14, abs=1e-3)
    x, y = RANDOM.normal(size=(2, 500, 2)).astype("float32")
    assert abs(float(losses.squared_mmd(x, y))) < 0.05 < float(losses.squared_mmd(x, y + 1))


def test_the_log_density_is_that_of_scipy():
    expected = norm.logpdf(Z, Z_MEAN, np.exp(Z_LOG_VAR / 2)).sum(axis=1)
    np.testing.assert_allclose(losses.log_normal(Z, Z_MEAN, Z_LOG_VAR), expected, rtol=1e-4)
    np.testing.assert_allclose(losses.log_normal(Z), norm.logpdf(Z).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", ["wae", "infovae"])
def test_losses_with_a_discrepancy_from_draws_of_the_prior(name):
    drawn, generator = normals(Z.shape)
    model, expected = types.SimpleNamespace(seed_generator=generator), mmd(Z, drawn)
    if name == "wae":
        assert float(wae(model, 100.0, Z, weight=30.0)) == pytest.approx(100 + 30 * expected, rel=1e-4)
    else:
        # (1 - alpha) KL + (alpha + lambda - 1) MMD
        found = infovae(model, 100.0, 7.0, Z, share=0.2, weight=30.0)
        assert float(found) == pytest.approx(100 + 0.8 * 7 + 29.2 * expected, rel=1e-4)


@pytest.mark.parametrize("form", [1, 2])
def test_the_losses_of_dip_vae_are_of_covariances(form):
    covariance = np.cov(Z_MEAN.T, bias=True) + (form == 2) * np.diag(np.exp(Z_LOG_VAR).mean(axis=0))
    off = np.sum(covariance**2) - np.sum(np.diag(covariance) ** 2)
    expected = 100 + 7 + 3 * off + 5 * np.sum((np.diag(covariance) - 1) ** 2)
    assert float(dip(100.0, 7.0, Z_MEAN, Z_LOG_VAR, form=form, off=3.0, on=5.0)) == pytest.approx(expected, rel=1e-4)


def linear_model(latent_dim, seed=0):
    """A stand-in for a model whose decoder is z -> z @ weights, and those, (latent_dim, 16)."""
    weights = np.random.default_rng(seed).normal(size=(latent_dim, 16)).astype("float32")
    decoder = types.SimpleNamespace(trainable_variables=[tf.constant(weights)])
    return weights, types.SimpleNamespace(
        decoder=decoder,
        seed_generator=keras.random.SeedGenerator(0),
        decode=lambda z, batch, training: tf.reshape(tf.matmul(z, weights), (-1, *SHAPE)),
        reconstruction=lambda images, decoded: losses.gaussian(images, decoded, variance=0.3),
        mean=lambda values, batch: tf.reduce_mean(values),
        log_prior=losses.log_normal,
    )


def test_the_regularized_loss_has_norms_of_codes_and_weights_and_the_jacobian_of_the_decoder():
    weights, model = linear_model(LATENT_DIM)
    base = {"norm": 2.0, "decay": 0.5}
    expected = 100 + np.mean(np.sum(Z**2, axis=1)) + 0.5 * np.sum(weights**2)
    assert float(rae(model, {}, False, 100.0, tf.constant(Z), **base)) == pytest.approx(expected, rel=1e-5)
    # the Jacobian of a linear decoder is its weights; the estimate is a mean over draws
    many = tf.zeros((20_000, LATENT_DIM))
    found = rae(model, {}, False, 100.0, many, norm=0.0, decay=0.0, penalty=0.1)
    assert float(found) == pytest.approx(100 + 0.1 * np.sum(weights**2), rel=0.02)


@pytest.mark.parametrize("draws", [1, 7])
def test_with_the_exact_posterior_the_importance_weighted_bound_is_the_log_likelihood(draws):
    weights, model = linear_model(1)
    covariance = 0.3 * np.eye(16) + weights.T @ weights
    x = IMAGES.reshape(-1, 16)
    variance = 1 / (1 + np.sum(weights**2) / 0.3)
    z_mean = variance * x @ weights.T / 0.3
    z_log_var = np.full_like(z_mean, math.log(variance))
    expected = -multivariate_normal(np.zeros(16), covariance).logpdf(x).mean()
    found = iwae(model, {"images": IMAGES}, False, z_mean, z_log_var, draws=draws)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_more_draws_tighten_the_bound():
    terms = {}
    for draws in (1, 100):
        model = built("iwae", draws=draws)
        terms[draws], *_ = model.terms(model.named_batch(np.tile(IMAGES, (20, 1, 1, 1))))
    assert float(terms[100]["loss"]) < float(terms[1]["loss"]) - 0.1
    # with one draw it is the negative ELBO, of another draw
    assert float(terms[1]["loss"]) == pytest.approx(float(terms[1]["neg_elbo"]), abs=0.5)


def test_the_prior_of_pseudo_inputs_is_the_mixture_of_their_posteriors():
    model = built("vamp", pseudo_inputs=5)
    batch = model.named_batch(IMAGES)
    terms, codes, _ = model.terms(batch)
    encoded = {name: np.asarray(values) for name, values in model.encoder(np.clip(model.images, -1, 1)).items()}
    codes = {name: np.asarray(values) for name, values in codes.items()}

    def log_normal(z, z_mean, z_log_var):
        return norm.logpdf(z, z_mean, np.exp(z_log_var / 2)).sum(axis=-1)

    density = logsumexp(log_normal(codes["z"][:, None], **encoded), axis=1) - np.log(5)
    divergence = np.mean(log_normal(**codes) - density)
    assert float(terms["kl"]) == pytest.approx(divergence, rel=1e-4)
    assert float(terms["loss"]) == float(terms["neg_elbo"]) == pytest.approx(float(terms["reconstruction"]) + divergence)
    prior = model.learned_prior()
    assert isinstance(prior, Mixture)
    drawn = prior.pool(20_000)
    variance = encoded["z_mean"].var(axis=0) + np.exp(encoded["z_log_var"]).mean(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), encoded["z_mean"].mean(axis=0), atol=0.05)
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.05)


def test_the_discriminator_of_factor_vae_gives_the_total_correlation_of_codes():
    model, correlation = built("factor"), 0.8
    z = RANDOM.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 20_000).astype("float32")
    permuted = np.asarray(model.draw(z))
    np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(z, axis=0))
    assert abs(np.corrcoef(permuted.T)[0, 1]) < 0.03
    # the best logit, log N(z | 0, I) - log N(z | 0, covariance), is known
    joint = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    logits = norm.logpdf(z).sum(axis=1) - joint.logpdf(z)
    stand = types.SimpleNamespace(discriminator=lambda z: tf.constant(logits[:, None]))
    assert float(FactorVAE.adversarial(stand, z)) == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=0.02)


def test_the_loss_of_factor_vae_is_the_negative_elbo_and_the_weighted_correlation():
    model = built("factor", weight=3.0)
    terms, codes, _ = model.terms(model.named_batch(IMAGES))
    expected = terms["neg_elbo"] + 3 * model.adversarial(codes["z"])
    assert float(terms["loss"]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_and_is_made_again(name):
    asked = experiment.complete("mine", {"objective": {"name": name}})
    arguments = {key: value for key, value in asked.tables["objective"].items() if key != "name"}
    few = {"draws": 2} if name == "iwae" else {"penalty": 0.1} if name == "rae" else {}
    model = built(name, Point if name == "rae" else Gaussian, **arguments | few)
    # tracing a step takes longer than a step
    model.run_eagerly, before = True, [weights.numpy().copy() for weights in model.trainable_variables]
    assert np.isfinite(model.train_on_batch(IMAGES, return_dict=True)["loss"])
    assert all(np.any(old != new) for old, new in zip(before, model.trainable_variables, strict=True))
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    kept = {key: value for key, value in again.get_config().items() if key not in VAE.parts}
    assert kept == {key: value for key, value in model.get_config().items() if key not in VAE.parts}
    assert set(arguments) <= set(kept)
    np.testing.assert_allclose(again(IMAGES), model(IMAGES), atol=1e-6)


def test_a_loss_of_somebody_s_own_is_a_function_and_a_name(monkeypatch):
    def plain(reconstruction, *, factor: objectives.Weight = 2.0):
        return factor * reconstruction

    monkeypatch.setattr(objectives, "VARIANTS", dict(objectives.VARIANTS))
    monkeypatch.setitem(OBJECTIVES, "plain", objectives.variant(plain))
    assert experiment.complete("mine", {"objective": {"name": "plain"}}).tables["objective"]["factor"] == 2.0
    model = built("plain", factor=3.0)
    terms, *_ = model.terms(model.named_batch(IMAGES))
    assert float(terms["loss"]) == pytest.approx(3 * float(terms["reconstruction"]))


@pytest.mark.parametrize("name", ["dip", "iwae", "vamp"])
def test_what_needs_posteriors_refuses_points(name):
    with pytest.raises(ValueError, match=f"{name} needs a Gaussian latent. Received: a point"):
        built(name, Point)
    with pytest.raises(ValueError, match="total_correlation needs a Gaussian latent. Received: a point"):
        built("vae", Point, total_correlation=2.0)
