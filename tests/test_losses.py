import math

import numpy as np
import pytest
from scipy import stats

from keras_ae.models import losses

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (5, 6, 6, 3)).astype("float32")
REBUILT = np.clip(IMAGES + RANDOM.normal(0, 0.3, IMAGES.shape), -0.99, 0.99).astype("float32")


def summed(log_density):
    return -log_density.reshape(len(IMAGES), -1).sum(axis=1)


@pytest.mark.parametrize("name", losses.RECONSTRUCTIONS)
def test_every_likelihood_gives_one_number_per_example_and_prefers_the_original(name):
    likelihood = losses.RECONSTRUCTIONS[name]
    far, near = np.asarray(likelihood(IMAGES, REBUILT)), np.asarray(likelihood(IMAGES, (IMAGES + 9 * REBUILT) / 10))
    assert far.shape == (5,)
    assert np.mean(np.asarray(likelihood(IMAGES, IMAGES * 0.99))) < np.mean(near) < np.mean(far)


def test_laplace_equals_scipy():
    expected = summed(stats.laplace.logpdf(IMAGES, REBUILT, 0.2))
    np.testing.assert_allclose(losses.laplace(IMAGES, REBUILT, scale=0.2), expected, rtol=1e-5)


def test_gaussian_equals_scipy():
    expected = summed(stats.norm.logpdf(IMAGES, REBUILT, math.sqrt(0.05)))
    np.testing.assert_allclose(losses.gaussian(IMAGES, REBUILT, variance=0.05), expected, rtol=1e-5)


def test_the_optimal_variance_is_better_than_any_other():
    best = float(np.mean(losses.gaussian_optimal_variance(IMAGES, REBUILT)))
    variance = float(np.mean((IMAGES - REBUILT) ** 2))
    assert best == pytest.approx(float(np.mean(losses.gaussian(IMAGES, REBUILT, variance=variance))), rel=1e-5)
    for factor in (0.8, 0.95, 1.05, 1.2):
        assert best < float(np.mean(losses.gaussian(IMAGES, REBUILT, variance=factor * variance)))


def test_bernoulli_equals_scipy_on_black_and_white_pictures():
    black_and_white = np.sign(IMAGES)
    expected = summed(stats.bernoulli.logpmf((black_and_white + 1) / 2, (REBUILT + 1) / 2))
    np.testing.assert_allclose(losses.bernoulli(black_and_white, REBUILT), expected, rtol=1e-4)


def test_kl_is_zero_at_the_prior():
    assert np.allclose(losses.gaussian_kl(np.zeros((2, 3), "float32"), np.zeros((2, 3), "float32")), 0)


def test_kl_equals_a_monte_carlo_estimate():
    z_mean, z_log_var = np.float32([[0.7, -1.5, 0.0]]), np.float32([[-1.0, 0.5, -3.0]])
    scale = np.exp(z_log_var / 2)
    z = z_mean + scale * RANDOM.normal(size=(400_000, 3))
    estimate = np.mean(stats.norm.logpdf(z, z_mean, scale) - stats.norm.logpdf(z), axis=0)
    np.testing.assert_allclose(losses.gaussian_kl(z_mean, z_log_var)[0], estimate, atol=0.01)


def test_free_bits_leave_dimensions_above_them_alone():
    kl = np.float32([[0.1, 2.0], [0.3, 4.0]])
    assert float(losses.with_free_bits(kl, 0.0)) == pytest.approx(3.2)
    assert float(losses.with_free_bits(kl, 0.5)) == pytest.approx(3.5)
