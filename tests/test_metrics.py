import math

import numpy as np
import pytest
import tensorflow as tf

from keras_ae.judge import metrics

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (10, 16, 16, 3)).astype("float32")


def blurred(images):
    return tf.nn.avg_pool2d(images, 3, 1, "SAME")


def smooth(n, side):
    """Images with structure on all scales, where similarity is neither 0 nor 1."""
    noise = RANDOM.normal(size=(n, side, side, 3)).astype("float32")
    coarse = np.repeat(np.repeat(RANDOM.normal(size=(n, side // 8, side // 8, 3)), 8, axis=1), 8, axis=2)
    return np.clip(0.2 * noise + 0.4 * coarse, -1, 1).astype("float32")


def test_numbers_are_pooled_over_batches_of_any_size():
    whole = metrics.reconstruction([(IMAGES, blurred(IMAGES))])
    parts = metrics.reconstruction((images, blurred(images)) for images in (IMAGES[:7], IMAGES[7:]))
    assert parts == pytest.approx(whole, rel=1e-5)
    error = IMAGES - blurred(IMAGES).numpy()
    assert whole["n"] == 10
    assert whole["mse"] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert whole["l1"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert whole["psnr"] == pytest.approx(10 * math.log10(4 / np.mean(error**2)), rel=1e-5)
    assert whole["sharpness"] < 0.7


def test_perfect_reconstructions_score_best_and_others_are_clipped():
    perfect = metrics.reconstruction([(IMAGES, IMAGES)])
    assert perfect["mse"] == 0
    assert perfect["ssim"] == pytest.approx(1)
    assert perfect["sharpness"] == pytest.approx(1)
    ones = np.ones((2, 16, 16, 1), "float32")
    assert metrics.reconstruction([(ones, 5 * ones)])["mse"] == 0
    # smaller images than the window have no similarity
    small = IMAGES[:, :8, :8]
    assert "ssim" not in metrics.reconstruction([(small, small)])


def test_ssim_is_that_of_scikit_image_and_falls_with_blur():
    from skimage.metrics import structural_similarity

    images = smooth(3, 64)
    once, twice = blurred(images).numpy(), blurred(blurred(images))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "channel_axis": -1}
    theirs = [structural_similarity(x / 2 + 0.5, y / 2 + 0.5, **settings) for x, y in zip(images, once, strict=True)]
    np.testing.assert_allclose(metrics.ssim(images, once), theirs, atol=1e-4)
    np.testing.assert_allclose(metrics.ssim(images, images), 1, atol=1e-6)
    assert np.all(metrics.ssim(images, once) > metrics.ssim(images, twice))


def test_intervals_cover_the_truth():
    covered = 0
    for _ in range(100):
        found = metrics.intervals(lambda mse: {"psnr": metrics.psnr(mse.mean())}, RANDOM.exponential(0.04, 80), groups=20)
        low, high = found["psnr"]
        covered += low <= metrics.psnr(0.04) <= high
    assert covered >= 85
    assert metrics.intervals_of(metrics.means, {"l1": np.ones(80)}) == {"l1": [1, 1]}


def test_the_use_of_a_codebook_counts_entries():
    # of 8 entries with two channels, one is in half of the cells, two in a quarter
    z = np.array([[0, 0, 1, 1], [0, 0, -1, 1]], "float32")
    used = metrics.code_usage(np.repeat(z, 5, axis=0), 8, 2)
    assert used == pytest.approx({"entries": 8, "used": 3 / 8, "perplexity": 2**1.5, "bits": 6})
