import numpy as np
import pytest

from keras_ae.errors import UserError
from keras_ae.models.latents import LATENTS, Features, Gaussian

FEATURES = np.random.default_rng(0).normal(size=(6, 20)).astype("float32")


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_is_deterministic_and_is_made_again_from_its_configuration(name):
    latent = LATENTS[name](7)
    codes, again = latent(FEATURES[:, :7]), latent(FEATURES[:, :7])
    assert set(codes) == ({"z_mean", "z_log_var"} if name == "gaussian" else {"z_mean"})
    for key, code in codes.items():
        assert (code.shape, code.dtype) == ((6, 7), "float32")
        np.testing.assert_array_equal(code, again[key])
    copy = type(latent).from_config(latent.get_config())
    assert (copy.dim, copy.name) == (7, "codes")


def test_features_are_the_code_flattened():
    assert np.array_equal(Features(20)(FEATURES)["z_mean"], FEATURES)
    layer = Features(20)
    assert np.array_equal(layer(FEATURES.reshape(6, 2, 2, 5))["z_mean"], FEATURES)
    assert layer.map_shape == (2, 2, 5)
    with pytest.raises(UserError, match="has latent.dim 7, but the encoder ends in 20"):
        Features(7)(FEATURES)


def test_the_log_variance_is_bounded():
    latent = Gaussian(3)
    assert np.max(latent(1e6 * FEATURES)["z_log_var"]) <= 6
    assert np.min(latent(1e6 * FEATURES)["z_log_var"]) >= -12
