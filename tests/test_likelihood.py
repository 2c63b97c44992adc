import math

import numpy as np
import pytest
from scipy import stats

from keras_ae.judging import likelihood

RANDOM = np.random.default_rng(0)
VARIANCE = 0.3


def linear_gaussian(latent_dim, n=40):
    """x = z W + noise: W, pictures, the means and covariance of their exact posteriors, their exact log-likelihoods."""
    weights = RANDOM.normal(size=(latent_dim, 5))
    x = RANDOM.normal(size=(n, latent_dim)) @ weights + math.sqrt(VARIANCE) * RANDOM.normal(size=(n, 5))
    covariance = np.linalg.inv(np.eye(latent_dim) + weights @ weights.T / VARIANCE)
    means = x @ weights.T @ covariance / VARIANCE
    exact = stats.multivariate_normal(np.zeros(5), weights.T @ weights + VARIANCE * np.eye(5)).logpdf(x)
    return weights, x, means, covariance, exact


def bounds_of(weights, x, means, log_var, draws, ks):
    def nats_of(image, z):
        return 0.5 * (np.square(image - z @ weights) / VARIANCE + math.log(2 * math.pi * VARIANCE)).sum(axis=1)

    rng = np.random.default_rng(1)
    found = [likelihood.log_weights(image, mean, log_var, nats_of, draws, rng) for image, mean in zip(x, means, strict=True)]
    return likelihood.bounds(np.stack(found), ks)


def test_the_bounds_of_a_linear_gaussian_vae_rise_to_its_exact_likelihood():
    weights, x, means, covariance, exact = linear_gaussian(2)
    # a diagonal posterior cannot be the exact one, so that the lower bound is strict
    log_var = np.log(np.diag(covariance))
    bounds = bounds_of(weights, x, means, log_var, 5000, (1, 50, 5000))
    assert bounds[1].mean() < bounds[50].mean() - 0.01 < bounds[5000].mean()
    assert bounds[5000].mean() == pytest.approx(exact.mean(), abs=0.02)
    precision = np.linalg.inv(covariance)
    # KL of the diagonal posterior from the exact one is what the lower bound loses
    gap = 0.5 * (np.trace(precision @ np.diag(np.exp(log_var))) - 2 - log_var.sum() + np.linalg.slogdet(covariance)[1])
    assert (exact - bounds[1]).mean() == pytest.approx(gap, abs=0.02)


def test_with_one_latent_dimension_every_bound_is_exact():
    weights, x, means, covariance, exact = linear_gaussian(1, n=10)
    for bound in bounds_of(weights, x, means, np.log(np.diag(covariance)), 20, (1, 20)).values():
        np.testing.assert_allclose(bound, exact, atol=1e-6)


def test_a_picture_of_uniform_bytes_takes_eight_bits():
    nats = 12 * math.log(2)  # uniform on [-1, 1] in 12 dimensions
    assert likelihood.bits_per_dimension(nats, 12) == pytest.approx(math.log2(255))


def test_usage_counts_dimensions_and_measures_the_aggregate():
    z_mean = np.concatenate([RANDOM.normal(size=(50_000, 2)) * 0.8, np.zeros((50_000, 1))], axis=1)
    variance = np.array([0.36, 0.36, 1.0])
    used = likelihood.usage(z_mean, np.broadcast_to(np.log(variance), z_mean.shape))
    assert used["active_units"] == 2
    assert used["aggregate_kl"] == pytest.approx(0, abs=1e-3)
    shifted = likelihood.usage(z_mean + [0, 0, 3], np.broadcast_to(np.log(variance), z_mean.shape))
    assert shifted["aggregate_kl"] == pytest.approx(4.5, abs=1e-2)
