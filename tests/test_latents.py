import numpy as np
import pytest

from keras_ae.errors import UserError
from keras_ae.models.latents import LATENTS, Gaussian

FEATURES = np.random.default_rng(0).normal(size=(6, 20)).astype("float32")


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_gives_codes_of_its_size_in_float32(name):
    codes = LATENTS[name](7, seed=0)(FEATURES[:, :7])
    assert {"z", "z_mean", "kl"} <= set(codes)
    assert all(code.shape == (6, 7) and code.dtype == "float32" for code in codes.values())


def test_features_are_the_code():
    assert np.array_equal(LATENTS["features"](20)(FEATURES)["z"], FEATURES)
    with pytest.raises(UserError, match="has latent.dim 7, but the encoder ends in 20"):
        LATENTS["features"](7)(FEATURES)


def test_a_point_has_no_divergence_and_no_randomness():
    codes = LATENTS["point"](7)(FEATURES)
    assert np.all(np.asarray(codes["kl"]) == 0)
    assert np.array_equal(codes["z"], codes["z_mean"])


def test_gaussian_codes_have_the_posterior_s_mean_and_variance():
    latent = Gaussian(2, seed=3)
    z_mean, z_log_var = (np.asarray(latent(FEATURES[:1])[name])[0] for name in ("z_mean", "z_log_var"))
    drawn = np.asarray(latent(np.repeat(FEATURES[:1], 200_000, axis=0))["z"])
    np.testing.assert_allclose(drawn.mean(axis=0), z_mean, atol=0.02)
    np.testing.assert_allclose(drawn.var(axis=0), np.exp(z_log_var), rtol=0.03)


def test_the_log_variance_is_bounded():
    latent = Gaussian(3, seed=0)
    assert np.max(latent(1e6 * FEATURES)["z_log_var"]) <= 6
    assert np.min(latent(1e6 * FEATURES)["z_log_var"]) >= -12


def test_the_seed_decides_the_codes():
    def drawn(seed):
        latent = Gaussian(4, seed=seed)
        latent(FEATURES)
        for weights in latent.trainable_variables:
            weights.assign(np.ones(weights.shape) * 0.1)
        return np.asarray(latent(FEATURES)["z"])

    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_is_made_again_from_its_configuration(name):
    latent = LATENTS[name](7, seed=3)
    again = type(latent).from_config(latent.get_config())
    assert (again.dim, again.seed, again.name) == (7, 3, "codes")
