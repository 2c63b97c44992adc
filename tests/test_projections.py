import sys
import types

import numpy as np

from keras_ae.priors import projections

Z = np.random.default_rng(0).normal(size=(200, 5)) * [5, 0.1, 3, 0.1, 0.1]


def test_the_plane_holds_the_two_widest_directions():
    places = projections.principal(Z)
    assert places.shape == (200, 2)
    np.testing.assert_allclose(np.abs(np.corrcoef(places.T, Z[:, [0, 2]].T)[[0, 1], [2, 3]]), 1, atol=0.01)


def test_codes_of_two_numbers_are_unchanged_and_codes_of_one_lie_on_a_line():
    np.testing.assert_array_equal(projections.principal(Z[:, :2]), Z[:, :2])
    np.testing.assert_array_equal(projections.principal(Z[:, :1]), np.stack([Z[:, 0], np.zeros(200)], axis=1))


def test_one_code_lies_in_the_middle_of_the_plane():
    np.testing.assert_allclose(projections.principal(Z[:1]), [[0, 0]], atol=1e-12)


def test_umap_is_used_where_it_is_installed(monkeypatch):
    class UMAP:
        def __init__(self, random_state):
            self.seed = random_state

        def fit_transform(self, z):
            return np.full((len(z), 2), self.seed)

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    places, name = projections.project(Z, 7)
    assert name == "UMAP"
    assert np.all(places == 7)
    for n in (1, 3, 16):
        places, name = projections.project(Z[:n], 7)
        assert name == "PCA" and places.shape == (n, 2)
    monkeypatch.setitem(sys.modules, "umap", None)
    assert projections.project(Z, 7)[1] == "PCA"
