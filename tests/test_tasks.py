import numpy as np
import pytest
import tensorflow as tf

from keras_ae.data import tasks

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype("float32")


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_keeps_the_range_and_repeats_by_seed(name):
    first, second, other = (np.asarray(tasks.TASKS[name](tf.constant(IMAGES), seed)) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    assert (name == "add_noise") == np.any(first != other)


def test_noise_has_the_mean_and_deviation_asked_for():
    grey = tf.zeros((4, 64, 64, 1))
    noisy = np.asarray(tasks.add_noise(grey, (0, 0), mean=0.1, deviation=0.2))
    assert noisy.mean() == pytest.approx(0.1, abs=0.01)
    assert noisy.std() == pytest.approx(0.2, abs=0.01)


def test_downscaling_keeps_what_is_smooth_and_bicubic_brings_it_back():
    y, x = np.mgrid[:32, :32] / 32
    smooth = (0.5 * np.sin(3 * x + 2 * y))[None, ..., None].astype("float32")
    small = tasks.downscale(tf.constant(smooth), (0, 0), factor=4)
    assert small.shape == (1, 8, 8, 1)
    back = np.asarray(tasks.unlearned(small, (32, 32, 1)))
    assert np.abs(back - smooth)[:, 6:-6, 6:-6].max() < 0.02


def test_inputs_that_fit_are_left_as_they_are():
    assert tasks.unlearned(IMAGES, (16, 16, 1)) is IMAGES
