import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.judge import features

RANDOM = np.random.default_rng(0)


def waves(angle, period=3.5, side=64):
    y, x = np.mgrid[:side, :side]
    wave = 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat(wave[None, ..., None], 3, axis=-1).astype("float32")


def finest(values):
    """Energies of the finest scale by cell and orientation."""
    cells = features.GRID**2
    return values[0, 3 * cells : (3 + features.ORIENTATIONS) * cells].reshape(cells, features.ORIENTATIONS)


@pytest.mark.parametrize("index", range(features.ORIENTATIONS))
def test_each_orientation_answers_to_its_own_waves(index):
    energies = finest(features.extractor("gabor")(waves(np.pi * index / features.ORIENTATIONS)))
    assert np.all(energies.argmax(axis=1) == index)


def test_flat_images_have_no_energy_and_their_own_colour():
    values = features.extractor("gabor")(np.full((1, 64, 64, 3), 0.5, "float32"))
    np.testing.assert_allclose(finest(values), np.log(features.FLOOR + 1e-4), atol=1e-3)
    colours = values[0, : 3 * features.GRID**2].reshape(-1, 3)
    np.testing.assert_allclose(colours, [[0.5, 0, 0]] * features.GRID**2, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64, 3), (28, 28, 1), (128, 128, 3)])
def test_images_of_any_shape_have_equally_many_features(shape):
    images = RANDOM.uniform(-1, 1, (5, *shape)).astype("float32")
    values = features.extractor("gabor")(images, batch=2)
    assert values.shape == (5, 304)
    np.testing.assert_allclose(values, features.extractor("gabor")(images), rtol=1e-4, atol=1e-4)


def test_inception_resizes_images_to_its_own_size_or_names_another_way(monkeypatch):
    seen = []

    def network(images, training):
        seen.append(images.shape)
        return tf.reduce_mean(images, axis=[1, 2])

    monkeypatch.setattr(keras.applications, "InceptionV3", lambda **arguments: network)
    assert features.inception()(tf.zeros((2, 28, 28, 1))).shape == (2, 3)
    assert seen == [(2, 299, 299, 3)]
    # as without a network: TypeError
    monkeypatch.setattr(keras.applications, "InceptionV3", None)
    with pytest.raises(UserError, match="cannot be downloaded .*; use `features` gabor"):
        features.extractor("inception")
