import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_ae.errors import UserError
from keras_ae.priors import priors

RANDOM = np.random.default_rng(0)

QUICK = {"flow": {"width": 16, "blocks": 1, "steps": 20}}


def two_clusters(n=4000):
    left = RANDOM.multivariate_normal([-4, 0], [[1, 0.8], [0.8, 1]], n // 4)
    right = RANDOM.multivariate_normal([4, 1], [[0.2, 0], [0, 2]], n - n // 4)
    return np.concatenate([left, right]).astype("float32")


def compiled(prior):
    """Drawing as the generator of an export does it, in a graph: (n, seed) -> codes."""
    return tf.function(prior.sample)


def test_a_fitted_mixture_draws_codes_like_those_it_saw():
    codes = two_clusters()
    drawn = compiled(priors.Mixture.fit(codes, components=[2]))(4000, 1).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.15, atol=0.15)
    for dimension in range(2):
        assert stats.ks_2samp(drawn[:, dimension], codes[:, dimension]).pvalue > 1e-3


def test_a_single_code_is_enough():
    drawn = priors.Mixture.fit([[1.0, -2.0]]).sample(50).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.01)


def test_the_normal_prior_is_normal_with_independent_dimensions():
    drawn = compiled(priors.Normal.of(3))(5000, 0).numpy()
    assert drawn.shape == (5000, 3)
    for dimension in range(3):
        assert stats.kstest(drawn[:, dimension], "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(3), atol=0.06)


def test_a_code_depends_on_the_seed_and_its_number_alone():
    prior = priors.Mixture.fit(two_clusters(), components=[2])
    whole = prior.sample(10, 5, 1.0).numpy()
    assert np.array_equal(whole, np.concatenate([prior.sample(3, 5), prior.sample(7, 5, first=3)]))
    assert not np.array_equal(whole, prior.sample(10, 6, 1.0).numpy())
    assert len(np.unique(whole, axis=0)) == 10


def test_temperature_zero_gives_the_components_means():
    prior = priors.Mixture.fit(two_clusters(), components=[2])
    drawn = prior.sample(50, 0, 0.0).numpy()
    distance = np.abs(drawn[:, None] - prior.means[None]).max(axis=2).min(axis=1)
    assert distance.max() < 1e-6


def test_few_codes_get_few_components():
    codes = RANDOM.normal(size=(30, 10)).astype("float32")
    assert len(priors.Mixture.fit(codes, components=[10]).weights) == 1


def test_the_number_of_components_is_chosen_on_held_out_codes():
    assert len(priors.Mixture.fit(two_clusters(), components=[1, 2]).weights) == 2
    # one normal distribution in many dimensions: more components would only learn codes by heart
    codes = RANDOM.normal(size=(600, 10)).astype("float32")
    assert len(priors.Mixture.fit(codes, components=[1, 10, 20]).weights) == 1


def test_a_mixture_needs_a_number_of_components():
    with pytest.raises(UserError, match=r"components must have at least one number\. Received: \(\)"):
        priors.Mixture.fit(np.zeros((20, 2)), components=())


def test_a_dimension_that_never_varies_is_no_obstacle():
    codes = np.concatenate([two_clusters(), np.zeros((4000, 1), "float32")], axis=1)
    assert np.all(np.isfinite(priors.Mixture.fit(codes, components=[2]).scales))


def test_a_mixture_survives_its_file(tmp_path):
    prior = priors.Mixture.fit(two_clusters(), components=[2])
    priors.save(prior, tmp_path / "prior.npz")
    assert np.array_equal(priors.load(tmp_path / "prior.npz").sample(5), prior.sample(5))


def test_files_of_earlier_versions_hold_mixtures_without_a_name(tmp_path):
    prior = priors.Mixture.fit(two_clusters(), components=[2])
    np.savez(tmp_path / "prior.npz", weights=prior.weights, means=prior.means, scales=prior.scales)
    assert np.array_equal(priors.load(tmp_path / "prior.npz").sample(5), prior.sample(5))


@pytest.mark.parametrize("name", priors.PRIORS)
def test_every_prior_is_fitted_drawn_from_and_saved_alike(tmp_path, name):
    prior = priors.PRIORS[name].fit(two_clusters(), 3, **QUICK.get(name, {}))
    priors.save(prior, tmp_path / "prior.npz")
    again = priors.load(tmp_path / "prior.npz")
    assert type(again) is priors.PRIORS[name]
    drawn = again.sample(4, seed=1, temperature=0.5, first=2)
    assert (drawn.shape, drawn.dtype) == ((4, 2), tf.float32)
    np.testing.assert_array_equal(drawn, prior.sample(4, seed=1, temperature=0.5, first=2))


def test_a_fit_that_does_not_converge_is_reported_in_one_line(capfd):
    priors.Mixture.fit(two_clusters(), components=[5], iterations=1)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: the fit of a mixture with 5 components did not converge")


@pytest.mark.parametrize("n", [1, 7])
def test_sampling_works_inside_a_graph(n):
    prior = priors.Normal.of(4)
    sample = tf.function(lambda n: prior.sample(n, 3, 1.0))
    np.testing.assert_array_equal(sample(tf.constant(n)), prior.sample(n, 3, 1.0))
