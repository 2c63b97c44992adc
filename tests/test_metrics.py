import math

import numpy as np
import pytest
import tensorflow as tf

from keras_ae import metrics

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (10, 16, 16, 3)).astype("float32")


def blurred(images):
    return tf.nn.avg_pool2d(images, 3, 1, "SAME")


def test_psnr_of_known_errors():
    assert metrics.psnr(4.0) == pytest.approx(0)
    assert metrics.psnr(0.04) == pytest.approx(20)


def test_numbers_are_pooled_over_batches_of_any_size():
    whole = metrics.reconstruction([IMAGES], blurred)
    parts = metrics.reconstruction([IMAGES[:7], IMAGES[7:]], blurred)
    assert parts == pytest.approx(whole, rel=1e-5)
    error = IMAGES - blurred(IMAGES).numpy()
    assert whole["n"] == 10
    assert whole["mse"] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert whole["l1"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert whole["psnr"] == pytest.approx(10 * math.log10(4 / np.mean(error**2)), rel=1e-5)


def test_ssim_follows_its_formula_under_a_flat_window():
    """One 11x11 picture has one window: the Gaussian-weighted moments can be written down (Wang et al. 2004)."""
    x, y = RANDOM.uniform(0, 1, (2, 11, 11))
    axis = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    weights = np.outer(axis, axis) / axis.sum() ** 2
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * x * x).sum() - mean_x**2, (weights * y * y).sum() - mean_y**2
    covariance = (weights * x * y).sum() - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    images, rebuilt = (tf.constant(2 * a[None, ..., None] - 1, tf.float32) for a in (x, y))
    assert float(metrics.ssim(images, rebuilt)[0]) == pytest.approx(expected, abs=1e-4)


def test_perfect_reconstructions_score_best():
    perfect = metrics.reconstruction([IMAGES], tf.identity)
    assert perfect["mse"] == 0
    assert perfect["ssim"] == pytest.approx(1)
    assert perfect["sharpness"] == pytest.approx(1)


def test_blur_lowers_sharpness():
    assert metrics.reconstruction([IMAGES], blurred)["sharpness"] < 0.7


def test_reconstructions_are_clipped():
    assert metrics.reconstruction([np.ones((2, 16, 16, 1), "float32")], lambda images: 5 * images)["mse"] == 0


def test_pictures_smaller_than_the_window_have_no_ssim():
    assert "ssim" not in metrics.reconstruction([IMAGES[:, :8, :8]], tf.identity)
