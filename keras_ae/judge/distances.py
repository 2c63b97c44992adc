"""Distances between two sets of images: in features (n, d), and between patches of the images.

All are computed in float64 with NumPy; the tests compare them with closed forms.
"""

import numpy as np

from keras_ae.priors.space import batched

NEIGHBOURS = 5
GROUPS = 20
# rows of a matrix of pairs that are in memory at a time
ROWS = 1024


def _blocks(x):
    return (x[first : first + ROWS] for first in range(0, len(x), ROWS))


def _moments(features):
    features = np.asarray(features, "float64")
    return features.mean(axis=0), np.cov(features, rowvar=False)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def frechet(a, b):
    """Frechet distance of normal distributions fitted to two sets of features: Heusel et al. 2017 (arXiv:1706.08500), eq. 6.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). Depends on n: compare at equal n, beside real against real.
    """
    (mean_a, cov_a), (mean_b, cov_b) = _moments(a), _moments(b)
    root = _root(cov_a)
    # the eigenvalues of C_a C_b are those of the symmetric root_a C_b root_a
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def kernel(a, b):
    """Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, unbiased: Binkowski et al. 2018 (arXiv:1801.01401).

    Its expectation is 0 for equal distributions, so it can be negative.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")

    def cubic(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def total(x, y):
        return sum(cubic(rows, y).sum() for rows in _blocks(x))

    def within(x):
        diagonal = (np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3
        return (total(x, x) - diagonal.sum()) / (len(x) * (len(x) - 1))

    return float(within(a) + within(b) - 2 * total(a, b) / (len(a) * len(b)))


def squared_distances(a, b):
    """Squared Euclidean distance of every row of a (n, d) from every row of b (m, d), (n, m)."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * a @ b.T
    return np.maximum(squares, 0)


def manifold(real, generated, neighbours=NEIGHBOURS):
    """Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020, 2002.09797).

    precision: share of generated images inside a ball around a real one that reaches to its k-th real neighbour; recall: the
    same with real and generated images exchanged; density: the number of real balls that contain a generated image, divided by
    k; coverage: share of real balls that contain a generated image.
    """

    def radii(features):
        def of_rows(rows):
            # place 0 of the sorted row is the image itself
            return np.partition(squared_distances(rows, features), neighbours, axis=1)[:, neighbours]

        return batched(of_rows, features, ROWS)

    balls, of_generated = np.zeros(len(generated), int), radii(generated)[None]
    covered, recalled = 0, 0
    for block, reach in zip(_blocks(np.asarray(real)), _blocks(radii(real)), strict=True):
        across = squared_distances(block, generated)
        inside = across < reach[:, None]
        balls += inside.sum(axis=0)
        covered += inside.any(axis=1).sum()
        recalled += (across < of_generated).any(axis=1).sum()
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled / len(real)),
        "density": float(balls.mean() / neighbours),
        "coverage": float(covered / len(real)),
    }


def diversity(features, real):
    """Mean distance of two images of a set divided by that of two real ones; below 1: more alike than real images."""

    def spread(x):
        total = sum(np.sqrt(squared_distances(rows, x)).sum() for rows in _blocks(x))
        return total / (len(x) * (len(x) - 1))

    return float(spread(features) / spread(real))


def nearest(queries, references):
    """Index (n,) of the nearest reference of each query, and its distance (n,)."""

    def closest(part):
        squares = squared_distances(part, references)
        index = squares.argmin(axis=1)
        return {"index": index, "distance": np.sqrt(squares[np.arange(len(squares)), index])}

    # all distances between samples and a large training set would not fit in memory
    found = batched(closest, queries, 256)
    return found["index"], found["distance"]


def jackknife(statistic, *sets, groups=GROUPS):
    """Half the width of the 95 % interval of each number of `statistic(*sets)`, a dict, by leaving out one group at a time.

    The delete-a-group jackknife (Kott 2001): a bootstrap would put copies of an image into a set, and these distances measure
    copies as a lack of variety.
    """
    parts = [np.arange(len(features)) % groups for features in sets]
    left = [statistic(*(x[part != group] for x, part in zip(sets, parts, strict=True))) for group in range(groups)]
    widths = {}
    for name in left[0]:
        values = np.array([numbers[name] for numbers in left])
        widths[name] = float(1.96 * np.sqrt((groups - 1) / groups * np.square(values - values.mean()).sum()))
    return widths


def _halved(images):
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _laplacian_pyramid(images, least=16):
    """Differences of each scale from the next coarser one, finest first; the last level is the coarse image itself."""
    levels = []
    while images.shape[1] % 2 == 0 and images.shape[1] // 2 >= least:
        coarse = _halved(images)
        levels.append(images - coarse.repeat(2, axis=1).repeat(2, axis=2))
        images = coarse
    return [*levels, images]


def _patches(images, rng, each, side):
    n, height, width, channels = images.shape
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    rows, columns = rng.integers(0, height - side + 1, (n, each)), rng.integers(0, width - side + 1, (n, each))
    found = windows[np.arange(n)[:, None], rows, columns]
    return found.reshape(n * each, channels, side * side).astype("float64")


def sliced_wasserstein(a, b, seed, each=32, side=7, projections=128):
    """Sliced Wasserstein distance between patches of two equally large sets of images, finest scale first (Karras et al. 2018).

    arXiv:1710.10196, section 5: per level of a Laplacian pyramid (here of 2x2 means), 7x7 patches, the mean absolute difference
    of their sorted projections, times 1000. Both sets are standardised by channel with the moments of the first, where the
    paper takes each set's own: a loss of contrast by blur must count. Returns {side of the level: distance}.
    """
    n = min(len(a), len(b))
    found = {}
    for level, (x, y) in enumerate(zip(_laplacian_pyramid(a[:n]), _laplacian_pyramid(b[:n]), strict=True)):
        rng = np.random.default_rng([seed, level])
        directions = rng.normal(size=(side * side * x.shape[-1], projections))
        directions /= np.linalg.norm(directions, axis=0)
        height = x.shape[1]
        x, y = (_patches(images, rng, each, side) for images in (x, y))
        mean, deviation = x.mean(axis=(0, 2), keepdims=True), x.std(axis=(0, 2), keepdims=True)
        projected = (((patches - mean) / deviation).reshape(len(patches), -1) @ directions for patches in (x, y))
        x, y = (np.sort(values, axis=0) for values in projected)
        found[height] = float(1000 * np.abs(x - y).mean())
    return found
