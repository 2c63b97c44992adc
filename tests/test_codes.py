import numpy as np
import pytest

from keras_ae.codes import paths as codes

A, B = np.float32([1, 0, 0]), np.float32([0, 2, 0])


@pytest.mark.parametrize("way", [codes.linear, codes.spherical])
def test_every_path_begins_and_ends_at_the_given_codes(way):
    path = way(A, B, 5)
    assert path.shape == (5, 3)
    assert path.dtype == "float32"
    np.testing.assert_allclose(path[[0, -1]], [A, B], atol=1e-6)


def test_linear_is_the_weighted_mean():
    np.testing.assert_allclose(codes.linear(A, B, 3)[1], [0.5, 1, 0])


def test_spherical_goes_along_the_arc_with_evenly_changing_length():
    np.testing.assert_allclose(codes.spherical(A, B, 3)[1], 1.5 * np.sqrt([0.5, 0.5, 0]), rtol=1e-6)


@pytest.mark.parametrize("other", [np.zeros(3, "float32"), 2 * A])
def test_spherical_is_linear_where_there_is_no_arc(other):
    np.testing.assert_allclose(codes.spherical(A, other, 4), codes.linear(A, other, 4))
