import numpy as np
import pytest
from scipy import stats

from keras_ae.errors import UserError
from keras_ae.priors import space

RANDOM = np.random.default_rng(0)
ROWS = np.arange(10.0)[:, None]
# two wide dimensions among narrow ones
WIDE = RANDOM.normal(size=(200, 5)) * [5, 0.1, 3, 0.1, 0.1]


@pytest.mark.parametrize("batch", [1, 3, 10, 99])
def test_batches_are_joined_in_order_and_are_no_larger_than_asked(batch):
    sizes = []

    def double(rows):
        sizes.append(len(rows))
        return {"twice": 2 * rows, "negative": -rows}

    joined = space.batched(double, ROWS, batch)
    np.testing.assert_array_equal(joined["twice"], 2 * ROWS)
    np.testing.assert_array_equal(joined["negative"], -ROWS)
    assert (max(sizes), sum(sizes)) == (min(batch, 10), 10)
    assert space.batched(lambda rows: rows, ROWS[:0], batch).shape == (0, 1)


def test_kl_equals_a_monte_carlo_estimate_and_is_zero_at_the_prior():
    z_mean, z_log_var = np.float32([[0.7, -1.5, 0.0]]), np.float32([[-1.0, 0.5, -3.0]])
    scale = np.exp(z_log_var / 2)
    z = z_mean + scale * RANDOM.normal(size=(400_000, 3))
    estimate = np.mean(stats.norm.logpdf(z, z_mean, scale) - stats.norm.logpdf(z), axis=0)
    np.testing.assert_allclose(space.kl(z_mean, z_log_var)[0], estimate, atol=0.01)
    assert not space.kl(np.zeros((2, 3)), np.zeros((2, 3))).any()


@pytest.mark.parametrize("closed", [False, True])
def test_a_curve_goes_through_its_keys_without_corners_and_keeps_their_length(closed):
    keys = RANDOM.normal(size=(5, 64))
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    path = space.curve(keys, closed, points=50)
    assert len(path) == 50 * (len(keys) - (not closed)) + 1
    np.testing.assert_allclose(path[::50], [*keys, *keys[:closed]], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, atol=1e-12)
    turns = np.linalg.norm(np.diff(path, 2, axis=0), axis=1) / np.linalg.norm(np.diff(path, axis=0), axis=1)[1:]
    assert turns.max() < 0.3


def test_a_curve_passes_near_zero_between_opposite_keys():
    path = space.curve(np.array([[1.0, 0], [-1, 0.01]]), points=100)
    assert np.linalg.norm(path, axis=1).min() < 0.1
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.1


def test_even_codes_have_images_at_equal_distances():
    path = np.linspace(0, 1, 100)[:, None] ** [[1, 2]]
    codes = space.even(path, path[:, :, None] ** 3, 40)
    np.testing.assert_allclose(codes[[0, -1]], path[[0, -1]])
    steps = np.linalg.norm(np.diff(codes**3, axis=0), axis=1)
    assert steps.max() < 1.1 * steps.mean()
    np.testing.assert_array_equal(space.even(path[:1].repeat(5, 0), np.zeros((5, 2)), 3), np.zeros((3, 2)))


def test_the_direction_of_a_linear_property_is_recovered():
    values = RANDOM.normal(3, 2, 5000)
    way = np.array([1.0, 0.0, -0.5])
    codes = values[:, None] * way + RANDOM.normal(size=(5000, 3))
    np.testing.assert_allclose(space.direction(codes, values), 2 * way, atol=0.1)
    # of two groups: half the difference of their means
    codes = np.concatenate([np.zeros((50, 2)), np.tile([4.0, 0.0], (50, 1))])
    np.testing.assert_allclose(space.direction(codes, np.repeat([0, 1], 50)), [2.0, 0.0])
    with pytest.raises(UserError, match="all images have the same value of this property"):
        space.direction(np.zeros((5, 2)), np.ones(5))


def test_separate_directions_change_one_of_two_properties_that_come_together():
    values = RANDOM.normal(size=(5000, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    ways = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    codes = values @ ways + RANDOM.normal(size=(5000, 3))
    np.testing.assert_allclose(space.separate(codes, values), ways, atol=0.1)
    assert space.direction(codes, values[:, 0])[1] > 1
    constant = np.concatenate([values, np.ones((5000, 1))], axis=1)
    assert not space.separate(codes, constant)[2].any()
    z, way = np.array([1.0, 2.0], "float32"), np.array([0.5, -1.0])
    np.testing.assert_array_equal(space.move(z, way, (-2, 0, 2)), np.float32([[0, 4], [1, 2], [2, 0]]))


def test_the_plane_holds_the_two_widest_directions():
    places = space.principal(WIDE)
    np.testing.assert_allclose(np.abs(np.corrcoef(places.T, WIDE[:, [0, 2]].T)[[0, 1], [2, 3]]), 1, atol=0.01)
    np.testing.assert_array_equal(space.principal(WIDE[:, :2]), WIDE[:, :2])
    np.testing.assert_array_equal(space.principal(WIDE[:, :1]), np.stack([WIDE[:, 0], np.zeros(200)], axis=1))
    np.testing.assert_allclose(space.principal(WIDE[:1]), [[0, 0]], atol=1e-12)
