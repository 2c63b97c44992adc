import numpy as np
import pytest
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.models.latents import FSQ, LATENTS, VQ, Features, Gaussian

FEATURES = np.random.default_rng(0).normal(size=(6, 20)).astype("float32")


@pytest.mark.parametrize("name", LATENTS)
def test_every_latent_is_deterministic_and_is_made_again_from_its_configuration(name):
    latent = LATENTS[name](8)
    codes, again = latent(FEATURES[:, :8]), latent(FEATURES[:, :8])
    assert set(codes) == ({"z_mean", "z_log_var"} if name == "gaussian" else {"z_mean"})
    for key, code in codes.items():
        assert (code.shape, code.dtype) == ((6, 8), "float32")
        np.testing.assert_array_equal(code, again[key])
    copy = type(latent).from_config(latent.get_config())
    assert (copy.dim, copy.name) == (8, "codes")
    assert copy.get_config() == latent.get_config()
    log_var = Gaussian(3)(1e6 * FEATURES)["z_log_var"]
    assert -12 <= np.min(log_var) < np.max(log_var) <= 6


def test_features_are_the_code_flattened():
    assert np.array_equal(Features(20)(FEATURES)["z_mean"], FEATURES)
    layer = Features(20)
    assert np.array_equal(layer(FEATURES.reshape(6, 2, 2, 5))["z_mean"], FEATURES)
    assert layer.map_shape == (2, 2, 5)
    with pytest.raises(UserError, match="has latent.dim 7, but the encoder ends in 20"):
        Features(7)(FEATURES)


def test_fsq_rounds_to_levels_that_are_spread_evenly_with_the_gradient_of_tanh():
    layer, cells = FSQ(6, [2, 3, 5]), tf.constant([[-9, 0.1, 0.3, 9, 0.6, -0.8], [-0.1, -0.5, 1.2, 0.1, 9, -9]])
    with tf.GradientTape() as tape:
        tape.watch(cells)
        z = layer(cells, training=True)["z_mean"]
    np.testing.assert_array_equal(z, [[-1, 0, 0.5, 1, 1, -0.5], [-1, 0, 1, 1, 1, -1]])
    np.testing.assert_allclose(tape.gradient(z, cells), 1 / np.cosh(cells) ** 2, rtol=1e-5, atol=1e-6)
    assert layer.codebook.shape == (30, 3)
    assert sorted({*layer.codebook[:, 2]}) == [-1, -0.5, 0, 0.5, 1]
    # every cell is an entry, also where thirds have no exact float
    layer = FSQ(20, [4, 7])
    cells = np.reshape(layer(3 * FEATURES)["z_mean"], (-1, 1, 2))
    assert np.abs(cells - layer.codebook).max(axis=2).min(axis=1).max() < 1e-6
    for arguments, message in (((7, [3, 3]), "multiple of the 2"), ((3, [256] * 3), "65,536 entries. Received: 16,777,216")):
        with pytest.raises(UserError, match=message):
            FSQ(*arguments)


def test_vq_moves_entries_towards_the_cells_nearest_to_them():
    layer = VQ(4, entries=2, decay=0.75, commitment=0.5, restart=0.0)
    layer.build((None, 2, 1, 2))
    layer.counts.assign([2.0, 2.0])
    layer.sums.assign([[2.0, 0.0], [-2.0, 0.0]])
    maps = tf.constant([[[[1.0, 1.0]], [[3.0, 0.0]]], [[[2.0, 2.0]], [[-1.0, 2.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        z = layer(maps, training=True)["z_mean"]
    np.testing.assert_array_equal(z, [[1, 0, 1, 0], [1, 0, -1, 0]])
    np.testing.assert_array_equal(tape.gradient(z, maps), np.ones((2, 2, 1, 2)))
    # 0.5 x the sum over a code of the squared distances 1, 4, 5 and 4, a mean over two codes
    np.testing.assert_allclose(layer.losses, [0.5 * 14 / 2])
    np.testing.assert_allclose(layer.counts, [0.75 * 2 + 0.25 * 3, 0.75 * 2 + 0.25 * 1])
    np.testing.assert_allclose(layer.codebook[0], np.divide([0.75 * 2 + 0.25 * 6, 0.25 * 3], 2.25))
    # neither outside of training nor where it is frozen
    kept = layer.get_weights()
    layer(maps)
    layer.trainable = False
    layer(maps, training=True)
    assert all(map(np.array_equal, layer.get_weights(), kept)) and not layer.losses


def test_vq_restarts_dead_entries_at_cells_of_the_batch():
    layer, cells = VQ(2, entries=8, restart=0.5), FEATURES.reshape(60, 2)
    layer(cells, training=True)
    starts = np.asarray(layer.codebook)
    assert np.abs(starts[:, None] - cells).max(axis=2).min(axis=1).max() < 1e-6
    layer.counts.assign([0.1] * 4 + [9.0] * 4)
    layer.sums.assign(np.repeat([[0.1 * 99, 0], [0, 0]], 4, axis=0))
    layer(cells, training=True)
    # the unused ones came back, with the mean count
    assert np.abs(layer.codebook).max() < 5
    np.testing.assert_allclose(layer.counts[:4], 60 / 8)
