import numpy as np
import pytest

from keras_ae.codes import directions as attributes
from keras_ae.data.sets.cat_drawing import sample_factors
from keras_ae.errors import UserError
from keras_ae.studies.factors import mutual_information_gap

RANDOM = np.random.default_rng(0)


def test_the_direction_of_a_linear_property_is_found():
    values = RANDOM.normal(3, 2, 5000)
    way = np.array([1.0, 0.0, -0.5])
    codes = values[:, None] * way + RANDOM.normal(size=(5000, 3))
    np.testing.assert_allclose(attributes.direction(codes, values), 2 * way, atol=0.1)


def test_the_direction_between_two_groups_joins_their_means():
    codes = np.concatenate([np.zeros((50, 2)), np.tile([4.0, 0.0], (50, 1))])
    np.testing.assert_allclose(attributes.direction(codes, np.repeat([0, 1], 50)), [2.0, 0.0])


def test_a_property_that_all_share_has_no_direction():
    with pytest.raises(UserError, match="all pictures are alike"):
        attributes.direction(np.zeros((5, 2)), np.ones(5))


def test_every_name_has_a_value():
    factors = sample_factors(0, 0)
    values = {name: attributes.value(factors, name) for name in attributes.names()}
    assert values["eye_size"] == factors.eye_size
    assert sum(value for name, value in values.items() if name.startswith("coat=")) == 1


def test_the_gap_is_wide_where_each_factor_has_its_own_code_and_closes_when_two_share_it():
    factors = RANDOM.integers(0, 10, (2, 20_000))
    apart = np.stack([factors[0], factors[1], RANDOM.normal(size=20_000)], axis=1)
    mig, gaps = mutual_information_gap(apart, {"a": factors[0], "b": factors[1]})
    assert mig > 0.95
    assert set(gaps) == {"a", "b"}
    shared = np.stack([factors[0] + 0.01 * factors[1], factors[0] - 0.01 * factors[1]], axis=1)
    assert mutual_information_gap(shared, {"a": factors[0]})[0] < 0.1
