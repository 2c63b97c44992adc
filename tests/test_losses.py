import math

import keras
import numpy as np
import pytest
from scipy import stats

from keras_ae.models import losses

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (5, 6, 6, 3)).astype("float32")
REBUILT = np.clip(IMAGES + RANDOM.normal(0, 0.3, IMAGES.shape), -0.99, 0.99).astype("float32")


@pytest.mark.parametrize("name", losses.RECONSTRUCTIONS)
def test_every_likelihood_gives_one_number_per_example_and_prefers_the_original(name):
    likelihood = losses.RECONSTRUCTIONS[name]
    far, near = np.asarray(likelihood(IMAGES, REBUILT)), np.asarray(likelihood(IMAGES, (IMAGES + 9 * REBUILT) / 10))
    assert far.shape == (5,)
    assert np.mean(np.asarray(likelihood(IMAGES, IMAGES * 0.99))) < np.mean(near) < np.mean(far)


WHITE = np.sign(IMAGES)
DENSITIES = {
    "laplace": (losses.laplace(IMAGES, REBUILT, scale=0.2), stats.laplace.logpdf(IMAGES, REBUILT, 0.2)),
    "gaussian": (losses.gaussian(IMAGES, REBUILT, variance=0.05), stats.norm.logpdf(IMAGES, REBUILT, math.sqrt(0.05))),
    "bernoulli": (losses.bernoulli(WHITE, REBUILT), stats.bernoulli.logpmf((WHITE + 1) / 2, (REBUILT + 1) / 2)),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_likelihoods_equal_those_of_scipy(name):
    found, log_density = DENSITIES[name]
    np.testing.assert_allclose(
        found, -log_density.reshape(len(IMAGES), -1).sum(axis=1), rtol=1e-4 if name == "bernoulli" else 1e-5
    )


def test_the_optimal_variance_is_better_than_any_other():
    best = float(np.mean(losses.gaussian_optimal_variance(IMAGES, REBUILT)))
    variance = float(np.mean((IMAGES - REBUILT) ** 2))
    assert best == pytest.approx(float(np.mean(losses.gaussian(IMAGES, REBUILT, variance=variance))), rel=1e-5)
    for factor in (0.8, 0.95, 1.05, 1.2):
        assert best < float(np.mean(losses.gaussian(IMAGES, REBUILT, variance=factor * variance)))


def test_a_likelihood_is_made_again_from_its_configuration_and_an_unknown_one_names_those_that_exist():
    likelihood = losses.Likelihood("laplace", scale=0.2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    np.testing.assert_array_equal(again(IMAGES, REBUILT), losses.laplace(IMAGES, REBUILT, scale=0.2))
    with pytest.raises(ValueError, match="unknown likelihood 'gausian'; choose one of bernoulli, "):
        losses.Likelihood("gausian")
