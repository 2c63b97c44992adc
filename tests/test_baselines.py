import numpy as np
import pytest
from sklearn.decomposition import PCA

from keras_ae.judge.baselines import fit_pca

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "latent_dim"), [(300, 5), (300, 40), (20, 128)])
def test_streamed_components_rebuild_as_well_as_exact_ones(n, latent_dim):
    spectrum = np.exp(-np.arange(192) / 20)
    images = (RANDOM.normal(size=(n, 192)) * spectrum @ RANDOM.normal(size=(192, 192))).reshape(n, 8, 8, 3).astype("float32")
    rebuilt = fit_pca(lambda: np.array_split(images, 7), latent_dim).rebuild(images)
    exact = PCA(min(latent_dim, n)).fit(images.reshape(n, -1))
    expected = exact.inverse_transform(exact.transform(images.reshape(n, -1))).reshape(images.shape)
    variance = np.var(images)
    assert np.mean((images - rebuilt) ** 2) <= 1.002 * np.mean((images - expected) ** 2) + 1e-5 * variance


def test_one_channel_and_few_pixels():
    images = RANDOM.normal(size=(30, 4, 4, 1)).astype("float32")
    np.testing.assert_allclose(fit_pca(lambda: [images], 128).rebuild(images), images, atol=1e-4)


def test_drawn_scores_have_the_spread_of_the_training_scores():
    images = (RANDOM.normal(size=(500, 48)) * np.linspace(3, 0.1, 48)).reshape(500, 4, 4, 3).astype("float32")
    pca = fit_pca(lambda: [images], 10)
    np.testing.assert_allclose(pca.deviations, pca.encode(images).std(axis=0), rtol=1e-3)
    np.testing.assert_allclose(pca.sample(20_000, 0).std(axis=0), pca.deviations, rtol=0.05)
    assert pca.decode(pca.sample(3, 0)).shape == (3, 4, 4, 3)
