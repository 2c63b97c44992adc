import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.judge import alterations, altered, distances, features, gist

RANDOM = np.random.default_rng(0)


def waves(angle, period=3.5, side=64):
    y, x = np.mgrid[:side, :side]
    wave = 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat(wave[None, ..., None], 3, axis=-1).astype("float32")


def finest(values):
    """Energies of the finest scale by cell and orientation."""
    cells = gist.GRID**2
    return values[0, 3 * cells : (3 + gist.ORIENTATIONS) * cells].reshape(cells, gist.ORIENTATIONS)


@pytest.mark.parametrize("index", range(gist.ORIENTATIONS))
def test_each_orientation_answers_to_its_own_waves(index):
    extract = features.extractor("gabor")
    energies = finest(extract(waves(np.pi * index / gist.ORIENTATIONS)))
    assert np.all(energies.argmax(axis=1) == index)


def test_flat_images_have_no_energy_and_their_own_colour():
    extract = features.extractor("gabor")
    values = extract(np.full((1, 64, 64, 3), 0.5, "float32"))
    np.testing.assert_allclose(finest(values), np.log(gist.FLOOR + 1e-4), atol=1e-3)
    colours = values[0, : 3 * gist.GRID**2].reshape(-1, 3)
    np.testing.assert_allclose(colours, [[0.5, 0, 0]] * gist.GRID**2, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64, 3), (28, 28, 1), (128, 128, 3)])
def test_images_of_any_shape_have_equally_many_features(shape):
    images = RANDOM.uniform(-1, 1, (5, *shape)).astype("float32")
    values = features.extractor("gabor")(images, batch=2)
    assert values.shape == (5, 304)
    np.testing.assert_allclose(values, features.extractor("gabor")(images), rtol=1e-4, atol=1e-4)


def test_inception_that_cannot_be_downloaded_is_a_clear_error(monkeypatch):
    def refused(**arguments):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.applications, "InceptionV3", refused)
    with pytest.raises(UserError, match="--features learned"):
        features.inception()


def test_inception_resizes_images_to_its_own_size(monkeypatch):
    seen = []

    def network(images, training):
        seen.append(images.shape)
        return tf.reduce_mean(images, axis=[1, 2])

    monkeypatch.setattr(keras.applications, "InceptionV3", lambda **arguments: network)
    assert features.inception()(tf.zeros((2, 28, 28, 1))).shape == (2, 3)
    assert seen == [(2, 299, 299, 3)]


def test_inception_counts_as_present_only_with_its_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert not features.inception_is_present()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    assert features.inception_is_present()


@pytest.mark.parametrize("alter", alterations.ALTERATIONS[1:])
def test_each_alteration_changes_images_and_is_the_same_for_the_same_seed(alter):
    images, others = RANDOM.uniform(-0.5, 0.5, (2, 6, 64, 64, 3)).astype("float32")
    once, again, other = (alter(images, others, tf.constant(seed)).numpy() for seed in ((0, 1), (0, 1), (0, 9)))
    assert once.shape == images.shape
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    # each image is altered
    assert np.abs(once - images).max(axis=(1, 2, 3)).min() > 0.01


def test_alterations_are_what_they_are_called():
    images, others = np.zeros((8, 64, 64, 3), "float32"), np.ones((8, 64, 64, 3), "float32")
    seed = tf.constant((0, 0))
    halves = alterations.halves_exchanged(images, others, seed).numpy()
    assert np.all(halves.mean(axis=(1, 2, 3)) == 0.5)
    assert set(halves[:, 0, -1, 0]) == {0.0, 1.0}
    parts = alterations.parts_exchanged(images, others, seed).numpy()[:, ::16, ::16]
    assert 0.3 < parts.mean() < 0.7
    assert 0.3 <= alterations.averaged(images, others, seed).numpy().min() <= 0.5
    # smooth images stay as they are
    np.testing.assert_allclose(alterations.blurred(others, images, seed), 1, atol=1e-5)
    np.testing.assert_allclose(alterations.sharpened(others, images, seed), 1, atol=1e-5)
    np.testing.assert_allclose(alterations.bent(others, images, seed), 1, atol=1e-5)


def test_a_batch_has_every_alteration_equally_often():
    images = RANDOM.uniform(-1, 1, (16, 64, 64, 3)).astype("float32")
    changed, kinds = alterations.altered(images, tf.constant((0, 0)))
    assert kinds.tolist() == np.repeat(np.arange(8), 2).tolist()
    assert np.array_equal(changed[:2], images[:2])
    assert np.abs(changed).max() <= 1


@pytest.fixture(scope="module")
def drawn(folder):
    return pipeline.load("folder", str(folder), 64, 3)


def test_learned_features_are_learned_once_and_see_what_energies_do_not(drawn, monkeypatch):
    monkeypatch.setattr(altered, "STEPS", 60)
    extract = features.extractor("learned", drawn)
    real, training = (pipeline.examples(drawn, side, 100) for side in ("test", "train"))
    assert extract(real).shape == (len(real), 432)
    changed = alterations.halves_exchanged(training, np.roll(training, 1, 0), tf.constant((0, 0))).numpy()

    def relative(extract):
        whole, halves = (distances.kernel(extract(training[::2]), extract(images)) for images in (training[1::2], changed))
        return halves / max(abs(whole), 1e-12)

    assert relative(extract) > relative(features.extractor("gabor"))
    monkeypatch.setattr(altered, "_learning", None)
    assert np.array_equal(features.extractor("learned", drawn)(real), extract(real))


def test_damaged_features_are_learned_again(drawn, monkeypatch):
    monkeypatch.setattr(altered, "STEPS", 2)
    images = pipeline.examples(drawn, "test", 8)
    before = features.extractor("learned", drawn)(images)
    (path,) = (altered.sources.cache_root() / "features").glob(f"{drawn.fingerprint[:16]}-*-2-v*.npz")
    path.write_bytes(path.read_bytes()[:500])
    np.testing.assert_allclose(features.extractor("learned", drawn)(images), before, rtol=1e-5)


def test_few_images_are_enough_to_learn_from(tmp_path, monkeypatch):
    monkeypatch.setattr(altered, "STEPS", 2)
    for index, image in enumerate(RANDOM.integers(0, 256, (24, 28, 28), "uint8")):
        pictures.write_png(tmp_path / f"{index}.png", image[..., None])
    few = pipeline.load("folder", str(tmp_path), 28, 1)
    assert features.extractor("learned", few)(pipeline.examples(few, "train", 5)).shape == (5, 432)
