import math

import numpy as np
import pytest
from scipy import stats

from keras_ae.judge import likelihood
from keras_ae.judge.judge import Candidate
from keras_ae.models.losses import Likelihood

RANDOM = np.random.default_rng(0)
VARIANCE = 0.3


def linear_gaussian(latent_dim, n=40):
    """x = z W + noise: W, images, the means and covariance of their exact posteriors, their exact log-likelihoods."""
    weights = RANDOM.normal(size=(latent_dim, 5))
    x = RANDOM.normal(size=(n, latent_dim)) @ weights + math.sqrt(VARIANCE) * RANDOM.normal(size=(n, 5))
    covariance = np.linalg.inv(np.eye(latent_dim) + weights @ weights.T / VARIANCE)
    means = x @ weights.T @ covariance / VARIANCE
    exact = stats.multivariate_normal(np.zeros(5), weights.T @ weights + VARIANCE * np.eye(5)).logpdf(x)
    return weights, x, means, covariance, exact


def estimates(weights, x, means, log_var, draws, ks):
    def nats(image, z):
        return 0.5 * (np.square(image - z @ weights) / VARIANCE + math.log(2 * math.pi * VARIANCE)).sum(axis=1)

    rng = np.random.default_rng(1)
    found = [likelihood.log_weights(image, mean, log_var, nats, draws, rng) for image, mean in zip(x, means, strict=True)]
    return likelihood.neg_importance_weighted(np.stack(found), ks)


def test_the_estimates_of_a_linear_gaussian_vae_fall_to_its_exact_negative_log_likelihood():
    weights, x, means, covariance, exact = linear_gaussian(2)
    # a diagonal posterior cannot be the exact one, so that the negative ELBO is strictly larger
    log_var = np.log(np.diag(covariance))
    found = estimates(weights, x, means, log_var, 5000, (1, 50, 5000))
    assert found[1].mean() > found[50].mean() + 0.01 > found[5000].mean()
    assert found[5000].mean() == pytest.approx(-exact.mean(), abs=0.02)
    precision = np.linalg.inv(covariance)
    # the KL of the diagonal posterior from the exact one is the gap
    gap = 0.5 * (np.trace(precision @ np.diag(np.exp(log_var))) - 2 - log_var.sum() + np.linalg.slogdet(covariance)[1])
    assert (found[1] + exact).mean() == pytest.approx(gap, abs=0.02)


def test_with_one_latent_dimension_every_estimate_is_exact():
    weights, x, means, covariance, exact = linear_gaussian(1, n=10)
    for found in estimates(weights, x, means, np.log(np.diag(covariance)), 20, (1, 20)).values():
        np.testing.assert_allclose(found, -exact, atol=1e-6)


def linear_candidate(weights, covariance, nats=None):
    """The linear Gaussian model as a candidate whose images are (n, 1, 5, 1)."""
    log_var = np.log(np.diag(covariance))

    def encode(images):
        posterior = images.reshape(-1, 5) @ weights.T @ covariance / VARIANCE
        return {"z": posterior, "z_mean": posterior, "z_log_var": np.broadcast_to(log_var, posterior.shape)}

    def decode(z):
        return (z @ weights).reshape(-1, 1, 5, 1).astype("float32")

    return Candidate("linear", len(weights), encode, decode, None, nats)


def test_measure_reports_the_negative_elbo_of_all_images_and_estimates_of_the_first_beside_their_own():
    weights, x, means, covariance, exact = linear_gaussian(2, n=400)
    images = x.reshape(-1, 1, 5, 1)

    def nats(images, rebuilt):
        return 0.5 * (np.square(images - rebuilt) / VARIANCE + math.log(2 * math.pi * VARIANCE)).sum(axis=(1, 2, 3))

    candidate = linear_candidate(weights, covariance, nats)
    numbers = dict(likelihood.measure(candidate, images, images, 0, n=20, draws=1000, ks=(1000,)))
    assert numbers["n"] == 400
    assert numbers["variance"] is None
    assert numbers["neg_elbo"] == pytest.approx(numbers["distortion"] + numbers["rate"])
    assert numbers["intervals"]["neg_elbo"][1] >= -exact.mean()
    assert sum(numbers["kl_per_dimension"]) == pytest.approx(numbers["rate"])
    weighted = numbers["importance_weighted"]
    assert (weighted["n"], weighted["draws"]) == (20, 1000)
    assert weighted["neg_importance_weighted_1000"] == pytest.approx(-exact[:20].mean(), abs=0.05)
    assert weighted["neg_elbo"] > weighted["neg_importance_weighted_1000"]


def test_an_image_of_uniform_bytes_takes_eight_bits_and_a_cross_entropy_has_none():
    # uniform on [-1, 1] in 12 dimensions
    assert likelihood.bits_per_dimension(12 * math.log(2), 12) == pytest.approx(math.log2(255))
    weights, x, _, covariance, _ = linear_gaussian(2, n=20)
    images = np.sign(x).reshape(-1, 1, 5, 1).astype("float32")
    for name, density in (("bernoulli", False), ("gaussian", True)):
        candidate = linear_candidate(weights, covariance, Likelihood(name))
        numbers = dict(likelihood.measure(candidate, images, images, 0, n=5, draws=50, ks=(50,)))
        assert ("bits_per_dimension" in numbers["importance_weighted"]) == density


def test_without_a_likelihood_of_its_own_a_candidate_gets_a_gaussian_with_the_error_on_training_images():
    weights, x, means, covariance, _ = linear_gaussian(2, n=3000)
    images = x.reshape(-1, 1, 5, 1)
    numbers = dict(likelihood.measure(linear_candidate(weights, covariance), images[:50], images, 0, n=5, draws=50))
    # the error of the mean codes, and the variance that the drawn codes add
    expected = np.mean(np.square(x - means @ weights)) + np.mean(np.diag(covariance) @ np.square(weights))
    assert numbers["variance"] == pytest.approx(expected, rel=0.05)
    assert "neg_importance_weighted_50" in numbers["importance_weighted"]
    assert "neg_importance_weighted_500" not in numbers["importance_weighted"]


def test_usage_counts_dimensions_and_measures_the_aggregate():
    z_mean = np.concatenate([RANDOM.normal(size=(50_000, 2)) * 0.8, np.zeros((50_000, 1))], axis=1)
    variance = np.array([0.36, 0.36, 1.0])
    used = likelihood.usage(z_mean, np.broadcast_to(np.log(variance), z_mean.shape))
    assert used["active_units"] == 2
    assert used["aggregate_kl"] == pytest.approx(0, abs=1e-3)
    shifted = likelihood.usage(z_mean + [0, 0, 3], np.broadcast_to(np.log(variance), z_mean.shape))
    assert shifted["aggregate_kl"] == pytest.approx(4.5, abs=1e-2)
