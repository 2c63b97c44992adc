import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_ae.priors import gaussian

RANDOM = np.random.default_rng(0)


def test_kl_is_zero_at_the_prior():
    assert np.all(gaussian.kl(np.zeros((2, 3)), np.zeros((2, 3))) == 0)


def test_kl_equals_a_monte_carlo_estimate():
    z_mean, z_log_var = np.float32([[0.7, -1.5, 0.0]]), np.float32([[-1.0, 0.5, -3.0]])
    scale = np.exp(z_log_var / 2)
    z = z_mean + scale * RANDOM.normal(size=(400_000, 3))
    estimate = np.mean(stats.norm.logpdf(z, z_mean, scale) - stats.norm.logpdf(z), axis=0)
    np.testing.assert_allclose(gaussian.kl(z_mean, z_log_var)[0], estimate, atol=0.01)


def test_kl_of_tensors_equals_that_of_arrays():
    z_mean, z_log_var = RANDOM.normal(size=(2, 4, 3)).astype("float32")
    tensors = ops.convert_to_tensor(z_mean), ops.convert_to_tensor(z_log_var)
    np.testing.assert_allclose(gaussian.kl(*tensors, exp=ops.exp), gaussian.kl(z_mean, z_log_var), rtol=1e-5)


@pytest.mark.parametrize("variance", [0.01, 1.0, 7.0])
def test_nats_equal_scipy(variance):
    x, mean = RANDOM.normal(size=(2, 50))
    np.testing.assert_allclose(
        gaussian.nats((x - mean) ** 2, variance), -stats.norm.logpdf(x, mean, np.sqrt(variance)), rtol=1e-9
    )
