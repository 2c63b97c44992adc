import typing

import numpy as np
import pytest
import tensorflow as tf
from annotated_types import Ge, Gt, Le

from keras_ae.data import tasks

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype("float32")


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_keeps_the_range_and_is_reproducible_by_seed(name):
    first, second, other = (np.asarray(tasks.TASKS[name](tf.constant(IMAGES), seed)) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    assert (name == "add_noise") == np.any(first != other)


@pytest.mark.parametrize(("mean", "deviation"), [(0.1, 0.2), (-0.3, 0.1)])
def test_noise_has_the_given_mean_and_deviation(mean, deviation):
    grey = tf.zeros((4, 64, 64, 1))
    noisy = np.asarray(tasks.add_noise(grey, (0, 0), mean=mean, deviation=deviation))
    assert noisy.mean() == pytest.approx(mean, abs=0.01)
    assert noisy.std() == pytest.approx(deviation, abs=0.01)


@pytest.mark.parametrize(
    ("name", "parameter", "inside", "outside"),
    [
        ("add_noise", "mean", [-0.3, 0, 2], [-2.1, 3]),
        ("add_noise", "deviation", [0.01, 10], [0, -1, 11]),
        ("downscale", "factor", [2, 16], [1, 0, 17]),
    ],
)
def test_the_signatures_give_the_bounds_of_the_parameters(name, parameter, inside, outside):
    _, *bounds = typing.get_args(typing.get_type_hints(tasks.TASKS[name], include_extras=True)[parameter])

    def allowed(value):
        tests = {Ge: lambda bound: value >= bound.ge, Gt: lambda bound: value > bound.gt, Le: lambda bound: value <= bound.le}
        return all(tests[type(bound)](bound) for bound in bounds)

    assert all(map(allowed, inside))
    assert not any(map(allowed, outside))


def test_bicubic_enlargement_restores_a_smooth_image_that_was_downscaled():
    y, x = np.mgrid[:32, :32] / 32
    smooth = (0.5 * np.sin(3 * x + 2 * y))[None, ..., None].astype("float32")
    small = tasks.downscale(tf.constant(smooth), (0, 0), factor=4)
    assert small.shape == (1, 8, 8, 1)
    back = np.asarray(tasks.unlearned(small, (32, 32, 1)))
    assert np.abs(back - smooth)[:, 6:-6, 6:-6].max() < 0.02


def test_inputs_of_the_right_size_are_unchanged():
    assert tasks.unlearned(IMAGES, (16, 16, 1)) is IMAGES
