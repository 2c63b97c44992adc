"""Distances between two sets of images in features (n, d), computed in float64."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances, polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

ROWS = 1024  # of a matrix of pairs that are in memory at a time


def frechet(a, b):
    """Frechet distance of normal distributions fitted to two sets of features: Heusel et al. 2017 (arXiv:1706.08500), eq. 6.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). Depends on n: compare at equal n, beside real against real.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # the eigenvalues of C_a C_b are those of the symmetric root_a C_b root_a
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def kernel(a, b):
    """Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, unbiased: Binkowski et al. 2018 (arXiv:1801.01401).

    Its expectation is 0 for equal distributions, so it can be negative.
    """

    def total(x, y):
        return sum(polynomial_kernel(x[rows], y, degree=3).sum() for rows in gen_batches(len(x), ROWS))

    def within(x):
        diagonal = (np.square(x).mean(axis=1) + 1) ** 3
        return (total(x, x) - diagonal.sum()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * total(a, b) / (len(a) * len(b)))


def manifold(real, generated, neighbours=5):
    """Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020, 2002.09797).

    precision: share of generated images inside a ball around a real one that reaches to its k-th real neighbour; recall: with
    real and generated exchanged; density: real balls around a generated image, divided by k; coverage: share of real balls with
    one.
    """

    def radii(features):
        return NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(features).kneighbors()[0][:, -1]

    of_real, of_generated = radii(real), radii(generated)
    balls, covered, recalled = np.zeros(len(generated), int), 0, 0
    for rows in gen_batches(len(real), ROWS):
        across = euclidean_distances(real[rows], generated)
        inside = across < of_real[rows, None]
        balls += inside.sum(axis=0)
        covered += inside.any(axis=1).sum()
        recalled += (across < of_generated).any(axis=1).sum()
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(balls.mean() / neighbours),
        "coverage": float(covered / len(real)),
    }


def nearest(queries, references):
    """Index (n,) of the nearest reference of each query, and its distance (n,)."""
    return pairwise_distances_argmin_min(queries, references)
