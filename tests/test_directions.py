import numpy as np
import pytest

from keras_ae.errors import UserError
from keras_ae.priors import directions

RANDOM = np.random.default_rng(0)


def test_the_direction_of_a_linear_property_is_recovered():
    values = RANDOM.normal(3, 2, 5000)
    way = np.array([1.0, 0.0, -0.5])
    codes = values[:, None] * way + RANDOM.normal(size=(5000, 3))
    np.testing.assert_allclose(directions.direction(codes, values), 2 * way, atol=0.1)


def test_the_direction_between_two_groups_joins_their_means():
    codes = np.concatenate([np.zeros((50, 2)), np.tile([4.0, 0.0], (50, 1))])
    np.testing.assert_allclose(directions.direction(codes, np.repeat([0, 1], 50)), [2.0, 0.0])


def test_a_constant_property_has_no_direction():
    with pytest.raises(UserError, match="all images have the same value of this property"):
        directions.direction(np.zeros((5, 2)), np.ones(5))


def test_moving_by_strength_zero_gives_the_code_itself():
    z, way = np.array([1.0, 2.0], "float32"), np.array([0.5, -1.0])
    np.testing.assert_array_equal(directions.moved(z, way, (-2, 0, 2)), np.float32([[0, 4], [1, 2], [2, 0]]))
    assert directions.moved(z, way).shape == (len(directions.STRENGTHS), 2)


def test_separate_directions_change_one_of_two_properties_that_come_together():
    values = RANDOM.normal(size=(5000, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    ways = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    codes = values @ ways + RANDOM.normal(size=(5000, 3))
    np.testing.assert_allclose(directions.separate(codes, values), ways, atol=0.1)
    assert directions.direction(codes, values[:, 0])[1] > 1
    constant = np.concatenate([values, np.ones((5000, 1))], axis=1)
    assert not directions.separate(codes, constant)[2].any()


def test_calibrated_directions_move_their_own_property_by_one_deviation():
    # properties of a code are its products with the columns; the second is measured at a third of its size
    read = np.array([[1.0, 0.4], [0.0, 1.0], [0.2, 0.0]])
    ways = np.array([[0.5, 0.0, 0.0], [0.2, 0.3, 0.0]])
    found = directions.calibrated(ways, ways @ read, ridge=1e-3)
    np.testing.assert_allclose(found @ read, np.eye(2), atol=1e-3)


def test_calibration_does_not_amplify_what_does_not_move():
    ways = np.eye(2)
    found = directions.calibrated(ways, np.diag([0.5, 0.001]))
    assert found[0, 0] == pytest.approx(2, rel=0.1)
    assert abs(found[1, 1]) < 0.5
