import numpy as np
import pytest

from keras_ae.judge import distances

RANDOM = np.random.default_rng(0)


def test_the_frechet_distance_is_that_of_its_formula_and_ignores_rotations():
    from scipy.linalg import sqrtm

    a = RANDOM.normal(size=(5000, 4)) @ RANDOM.normal(size=(4, 4))
    b = RANDOM.normal(size=(5000, 4)) @ RANDOM.normal(size=(4, 4)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert distances.frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert distances.frechet(a, a) == pytest.approx(0, abs=1e-8)
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(4, 4)))
    assert distances.frechet(a @ rotation, b @ rotation) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_unbiased_for_equal_distributions_and_positive_for_others():
    equal = [distances.kernel(RANDOM.normal(size=(40, 8)), RANDOM.normal(size=(30, 8))) for _ in range(100)]
    # the mean of 100 trials lies within three standard errors of 0; the biased estimator's does not
    assert abs(np.mean(equal)) < 3 * np.std(equal) / 10
    assert min(equal) < 0 < max(equal)
    assert distances.kernel(RANDOM.normal(size=(500, 8)), 1.6 * RANDOM.normal(size=(500, 8))) > 5 * np.std(equal)


def test_equal_sets_are_precise_and_complete_far_ones_neither_and_collapsed_ones_are_precise_alone():
    a, b = RANDOM.normal(size=(2, 500, 3))
    numbers = distances.manifold(a, b)
    assert min(numbers["precision"], numbers["recall"], numbers["coverage"]) > 0.9
    assert numbers["density"] == pytest.approx(1, abs=0.1)
    assert all(value == 0 for value in distances.manifold(a, b + 100).values())
    numbers = distances.manifold(a, 0.05 * b)
    assert numbers["precision"] > 0.95
    assert numbers["recall"] < 0.1
    assert numbers["coverage"] < 0.3


def test_pairs_are_counted_block_by_block(monkeypatch):
    a, b = RANDOM.normal(size=(130, 4)), RANDOM.normal(size=(90, 4)) + 0.3
    whole = [distances.manifold(a, b), {"kernel": distances.kernel(a, b)}]
    monkeypatch.setattr(distances, "ROWS", 32)
    parts = [distances.manifold(a, b), {"kernel": distances.kernel(a, b)}]
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
