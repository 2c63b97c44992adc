import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_ae.errors import UserError
from keras_ae.priors import mixture
from keras_ae.priors.autoregressive import Autoregressive, transformer
from keras_ae.priors.flow import Flow, velocity_network
from keras_ae.priors.mixture import Mixture, Normal

RANDOM = np.random.default_rng(0)
TINY = {"width": 8, "blocks": 1, "steps": 4}
ARGUMENTS = {"flow": TINY, "mixture": {"components": [2]}, "normal": {}}
ARGUMENTS["autoregressive"] = TINY | {"codebook": np.linspace(-6, 6, 500)[:, None]}


def two_clusters(n=4000):
    left = RANDOM.multivariate_normal([-4, 0], [[1, 0.8], [0.8, 1]], n // 4)
    right = RANDOM.multivariate_normal([4, 1], [[0.2, 0], [0, 2]], n - n // 4)
    return np.concatenate([left, right]).astype("float32")


def ring(n=2000):
    """Codes on a circle, which no single normal distribution resembles."""
    angle = RANDOM.uniform(0, 2 * np.pi, n)
    return np.stack([3 + 2 * np.cos(angle), np.sin(angle)], axis=1) + RANDOM.normal(size=(n, 2)) * 0.05


def draw(prior, *arguments, **options):
    """Codes of a prior as an array: in a graph, where thousands of them are drawn in no time."""
    return tf.function(lambda: prior.sample(*arguments, **options))().numpy()


def radius(codes):
    return np.hypot((codes[:, 0] - 3) / 2, codes[:, 1])


@pytest.fixture(scope="module")
def flow():
    return Flow.fit(ring(), 0, width=32, blocks=1, steps=500)


def untrained(scale=1.0, mean=0.0):
    weights = [np.ravel(array) for array in velocity_network(3, 8, 1).get_weights()]
    eye = np.eye(3, dtype="float32")
    return Flow(np.full(3, mean, "float32"), scale * eye, 8, 1, 0, np.concatenate(weights).astype("float16"))


@pytest.mark.parametrize("name", mixture.PRIORS)
def test_every_prior_is_fitted_drawn_from_and_saved_alike(tmp_path, name):
    prior = mixture.PRIORS[name].fit(two_clusters(), 3, **ARGUMENTS[name])
    mixture.save_prior(prior, tmp_path / "prior.npz")
    again = mixture.load_prior(tmp_path / "prior.npz")
    assert type(again) is type(prior)
    assert again.latent_dim == 2
    whole = again.sample(40, 5)
    assert (whole.shape, whole.dtype) == ((40, 2), tf.float32)
    # a code depends on the seed and its number alone, in graphs as well
    np.testing.assert_array_equal(whole, tf.function(prior.sample)(tf.constant(40), tf.constant(5)))
    pieces = [prior.sample(3, 5), prior.sample(20, 5, first=3), prior.sample(17, 5, first=23)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert not np.array_equal(whole, prior.sample(40, 6))
    assert len(np.unique(whole, axis=0)) == 40


def test_a_fitted_mixture_draws_codes_like_those_it_saw():
    codes = two_clusters()
    prior = Mixture.fit(codes, components=[2])
    drawn = draw(prior, 4000, 1)
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.15, atol=0.15)
    for dimension in range(2):
        assert stats.ks_2samp(drawn[:, dimension], codes[:, dimension]).pvalue > 1e-3
    # at temperature 0, the means of the components
    still = prior.sample(50, 0, 0.0).numpy()
    assert np.abs(still[:, None] - prior.means[None]).max(axis=2).min(axis=1).max() < 1e-6


def test_the_normal_prior_is_normal_with_independent_dimensions():
    drawn = draw(Normal(3), 5000)
    for dimension in range(3):
        assert stats.kstest(drawn[:, dimension], "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(3), atol=0.06)


def test_the_number_of_components_is_chosen_on_held_out_codes():
    assert len(Mixture.fit(two_clusters(), components=[1, 2]).weights) == 2
    # one normal distribution in many dimensions: more components would only learn codes by heart
    codes = RANDOM.normal(size=(600, 10)).astype("float32")
    assert len(Mixture.fit(codes, components=[1, 10, 20]).weights) == 1
    assert len(Mixture.fit(codes[:30], components=[10]).weights) == 1


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("kind", [Mixture, Flow])
def test_few_codes_and_constant_dimensions_are_no_obstacle(kind, n):
    codes = np.concatenate([RANDOM.normal(size=(n, 2)), np.zeros((n, 1))], axis=1)
    drawn = kind.fit(codes, **(TINY if kind is Flow else {})).sample(20).numpy()
    assert np.isfinite(drawn).all()
    assert np.abs(drawn[:, 2]).max() < 0.1


def test_a_flow_draws_what_no_normal_distribution_does(flow):
    drawn = draw(flow, 1000, 1)
    assert np.mean(np.abs(radius(drawn) - 1) < 0.3) > 0.85
    normal = RANDOM.multivariate_normal(ring().mean(axis=0), np.cov(ring().T), 1000)
    assert np.mean(np.abs(radius(normal) - 1) < 0.3) < 0.6
    np.testing.assert_allclose(drawn.std(axis=0), ring().std(axis=0), rtol=0.15)
    # temperature scales the noise of the beginning
    still = flow.sample(20, 0, 0.0).numpy()
    np.testing.assert_allclose(still, np.repeat(still[:1], 20, axis=0), atol=1e-5)


@pytest.mark.parametrize("kind", ["flow", "mixture", "normal"])
def test_a_pool_has_the_distribution_of_the_prior_and_none_of_its_codes(kind, flow):
    prior = {"flow": flow, "mixture": Mixture.fit(two_clusters(), components=[2]), "normal": Normal(2)}[kind]
    pool, sampled = prior.pool(3000, 0), draw(prior, 3000)
    np.testing.assert_array_equal(pool, prior.pool(3000, 0))
    assert np.any(pool != prior.pool(3000, 1)) and not set(map(tuple, pool)) & set(map(tuple, sampled))
    for axis in (0, 1):
        assert stats.ks_2samp(pool[:, axis], sampled[:, axis]).pvalue > 1e-3


@pytest.mark.parametrize("classes", [0, 3])
def test_a_transformer_sees_earlier_cells_alone_and_steps_with_a_cache_evaluate_the_same(classes):
    whole, step = transformer(5, 7, 8, 2, classes)
    tokens, label = RANDOM.integers(0, 7, (4, 5), "int32"), [np.array([0, 1, 2, 0], "int32")] if classes else []
    logits = np.asarray(whole([tokens, *label]))
    for cell in range(5):
        others = tokens.copy()
        others[:, cell] = (others[:, cell] + 1) % 7
        differs = np.abs(np.asarray(whole([others, *label])) - logits).max(axis=(0, 2)) > 1e-6
        np.testing.assert_array_equal(differs, np.arange(5) > cell)
    token, cache = np.full(4, 7, "int32"), np.zeros((4, 4, 5, 8), "float32")
    for cell in range(5):
        found, cache = map(np.asarray, step([token, np.full(4, cell, "int32"), cache, *label]))
        np.testing.assert_allclose(found, logits[:, cell], atol=1e-5)
        token = tokens[:, cell]
    assert not classes or np.abs(whole([tokens, (label[0] + 1) % 3]) - logits).min(axis=(1, 2)).max() > 1e-6


def test_probabilities_of_all_codes_sum_to_one_and_are_those_of_draws():
    codebook = np.array([[1.0, 0.0], [-1.0, 2.0]])
    codes = codebook[np.stack(np.meshgrid(*[[0, 1]] * 3), axis=-1).reshape(-1, 3)].reshape(8, 6).astype("float32")
    prior = Autoregressive.fit(codes[[0, 0, 3, 5]], codebook=codebook, **TINY)
    probabilities = np.exp(-prior.neg_log_likelihood(codes).astype("float64"))
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)
    drawn = draw(prior, 800)
    counts = (np.abs(drawn[:, None] - codes) < 1e-6).all(axis=2).sum(axis=0)
    assert counts.sum() == 800 and stats.chisquare(counts, 800 * probabilities / probabilities.sum()).pvalue > 1e-3
    pool = prior.pool(50, 0)
    np.testing.assert_array_equal(pool, prior.pool(50, 0))
    assert (pool != drawn[:50]).any()


def test_a_transformer_learns_what_cells_and_labels_tell_of_each_other():
    codebook, labels = np.linspace(-1, 1, 4)[:, None], RANDOM.integers(0, 2, 600)
    first = RANDOM.integers(0, 2, 600) + 2 * labels
    codes = codebook[np.stack([first, first, 3 - first], axis=1), 0]
    prior = Autoregressive.fit(codes, 0, labels, 2, codebook, width=32, blocks=1, steps=150)
    # one bit is left to chance
    assert abs(prior.neg_log_likelihood(codes, labels).mean() - np.log(2)) < 0.1
    drawn = prior.sample(40, 0, label=np.arange(40) % 2).numpy()
    assert np.mean(np.isclose(drawn[:, 0], -drawn[:, 2])) > 0.9 and np.mean((drawn[:, 0] > 0) == np.arange(40) % 2) > 0.9
    assert len(np.unique(prior.sample(40, 0, 0.0, label=1), axis=0)) == 1
    with pytest.raises(UserError, match="needs a discrete code: latent.name = 'fsq' or 'vq'"):
        Autoregressive.fit(codes)


def test_an_untrained_flow_is_the_normal_distribution_of_the_codes():
    drawn = draw(untrained(mean=2.0, scale=0.5), 4000)
    np.testing.assert_allclose(drawn.mean(axis=0), 2.0, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), 0.25 * np.eye(3), atol=0.03)


def test_the_same_seed_trains_the_same_flow_on_all_views():
    codes = RANDOM.normal(size=(2, 200, 3)) + np.array([0, 4])[:, None, None]
    one, again, other = (Flow.fit(codes, seed, np.arange(200) % 3, **TINY) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.weights, again.weights)
    assert not np.array_equal(one.weights, other.weights)
    np.testing.assert_allclose(one.mean, codes.mean(axis=(0, 1)), atol=1e-5)


def test_a_label_chooses_the_codes_of_its_class():
    labels = np.arange(2000) % 2
    codes = RANDOM.normal(size=(2000, 2)) * 0.3 + np.where(labels, 4.0, -4.0)[:, None]
    prior = Flow.fit(codes, 0, labels, 3, width=32, blocks=1, steps=300)
    drawn = prior.sample(40, 0, label=np.arange(40, dtype="int32") % 2).numpy()
    assert (drawn[0::2] < 0).all()
    assert (drawn[1::2] > 0).all()
    # each with the label of its place, in pieces too, and one label for all; a class without codes is drawn as well
    pieces = [prior.sample(5, 0, label=[0, 1, 0, 1, 0]), prior.sample(35, 0, first=5, label=(1 + np.arange(35)) % 2)]
    np.testing.assert_array_equal(drawn, np.concatenate(pieces))
    assert (prior.sample(6, 3, label=1).numpy() > 0).all() and (prior.pool(6, 3, np.ones(6, "int32")) > 0).all()
    assert np.isfinite(prior.sample(3, label=2)).all()
