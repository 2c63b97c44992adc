import numpy as np
import pytest

from keras_ae.priors import paths

A, B = np.float32([1, 0, 0]), np.float32([0, 2, 0])


@pytest.mark.parametrize("path", [paths.linear, paths.spherical])
def test_every_path_begins_and_ends_at_the_given_codes(path):
    codes = path(A, B, 5)
    assert codes.shape == (5, 3)
    assert codes.dtype == "float32"
    np.testing.assert_allclose(codes[[0, -1]], [A, B], atol=1e-6)


def test_linear_is_the_weighted_mean():
    np.testing.assert_allclose(paths.linear(A, B, 3)[1], [0.5, 1, 0])


def test_spherical_follows_the_arc_with_linearly_changing_length():
    np.testing.assert_allclose(paths.spherical(A, B, 3)[1], 1.5 * np.sqrt([0.5, 0.5, 0]), rtol=1e-6)


@pytest.mark.parametrize("other", [np.zeros(3, "float32"), 2 * A])
def test_spherical_is_linear_where_there_is_no_arc(other):
    np.testing.assert_allclose(paths.spherical(A, other, 4), paths.linear(A, other, 4))
