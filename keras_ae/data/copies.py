"""Near-copies: the same photograph mirrored, re-encoded, resized or with other lighting, detected by small grey thumbnails.

Thumbnails are standardised to mean 0 and deviation 1, so that dark images are not all similar. Two images are near-copies if
their thumbnails, one of them possibly mirrored, differ by less than `NEAR` (root mean square), that is, if their correlation is
above 1 - NEAR**2 / 2. Among 8,389 distinct cat faces there are 71 such pairs; each shows the same photograph or the same cat.
If more than `CROWD` images resemble each other (frames of a film, digits), they are not treated as copies: otherwise one group
would contain most of the data set.

Up to `WINDOW` images are compared in the order of one number. More are looked up in a k-d tree of principal components, those
of the antisymmetric part without their sign. Two images are never farther apart there than their thumbnails, one of them
possibly mirrored, so the tree misses no near-copy, except where an image has more candidates than the last of `CANDIDATES`:
`near_pairs` warns about these.
"""

import mmap
import sys

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from keras_ae.data.thumbnails import SIDE

NEAR = 0.28
BLOCK = 1000
# largest number of thumbnails that are compared in the order of one number alone; more are looked up in a tree
WINDOW = 20_000
# also bounds the memory and time of grouping
CROWD = 32
# dimensions of the tree and of positions, which its candidates are compared by first, and thumbnails that these are fitted to
IN_TREE, DIMENSIONS, FITTED = 12, 32, 50_000
# candidates of one thumbnail from the tree: first, and for those that may have more
CANDIDATES = (64, 1024)
# thumbnails are rounded to float16, so their distances in the tree are slightly wrong
ROUNDING = 0.005
LEAF = 64


def _mirrored(thumbnails):
    return thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(thumbnails.shape)


def _position(thumbnails):
    """One mirror-invariant number per thumbnail; two numbers never differ by more than the two thumbnails."""
    symmetric = (thumbnails + _mirrored(thumbnails)) / 2
    # the first principal component separates images best
    _, vectors = np.linalg.eigh(np.cov(symmetric.T))
    return symmetric @ vectors[:, -1] / SIDE


def _near(first, second):
    """Which pairs of thumbnails are near-copies. first, second: float (..., n, SIDE * SIDE) of pairs; bool (..., n)."""
    limit = 1 - NEAR**2 / 2
    return np.maximum(np.mean(first * second, axis=-1), np.mean(first * _mirrored(second), axis=-1)) > limit


def _blocks(thumbnails, step=1):
    """Every `step`-th thumbnail in blocks: (start of the block, float32)."""
    for start in range(0, len(thumbnails), BLOCK * step):
        yield start, thumbnails[start : start + BLOCK * step : step].astype("float32")
        _release(thumbnails)


def _release(thumbnails):
    """Give back the memory of an array on disk. What was read of it stays in the cache of the operating system."""
    if isinstance(thumbnails, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        thumbnails.base.madvise(mmap.MADV_DONTNEED)


def _principal_components(thumbnails):
    """Orthonormal vectors (SIDE * SIDE, DIMENSIONS), and whether each is antisymmetric."""
    n, sums, products = 0, np.zeros((2, SIDE**2)), np.zeros((2, SIDE**2, SIDE**2))
    for _, sample in _blocks(thumbnails, max(1, len(thumbnails) // FITTED)):
        mirrored = _mirrored(sample)
        n += len(sample)
        for kind, part in enumerate(((sample + mirrored) / 2, (sample - mirrored) / 2)):
            sums[kind] += part.sum(axis=0, dtype="float64")
            products[kind] += part.T @ part
    found = [np.linalg.eigh(product / n - np.outer(total, total) / n**2) for total, product in zip(sums, products, strict=True)]
    values, vectors = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    chosen = np.argsort(-values, kind="stable")[:DIMENSIONS]
    return vectors[:, chosen], chosen >= SIDE**2


def _positions(thumbnails, vectors, antisymmetric):
    """Coordinates (n, DIMENSIONS) float32 that mirroring leaves as they are."""
    positions = np.empty((len(thumbnails), DIMENSIONS), "float32")
    for start, block in _blocks(thumbnails):
        positions[start : start + BLOCK] = block @ vectors / SIDE
    positions[:, antisymmetric] = np.abs(positions[:, antisymmetric])
    return positions


def _looked_up(tree, positions, order, thumbnails, places, candidates):
    """Near-copies of the points `places` of the tree as pairs of places, and which of these had no room for all candidates."""
    _, found = tree.query(tree.data[places], candidates, distance_upper_bound=NEAR + ROUNDING, workers=-1)
    row, column = np.nonzero(found < tree.n)
    first, second = places[row], found[row, column]
    different = first != second
    first, second = first[different], second[different]
    near = np.zeros(len(first), bool)
    for start in range(0, len(first), 20 * BLOCK):
        squares = np.square(positions[first[start : start + 20 * BLOCK]] - positions[second[start : start + 20 * BLOCK]])
        # few of the candidates are left, and thumbnails, which are on disk, are read for these alone
        close = start + np.flatnonzero(squares.sum(axis=1) <= (NEAR + ROUNDING) ** 2)
        near[close] = _near(*(thumbnails[order[side[close]]].astype("float32") for side in (first, second)))
        _release(thumbnails)
    return np.stack([first[near], second[near]], axis=1), found[:, -1] < tree.n


def _pairs_by_tree(thumbnails, structured, crowd):
    """`near_pairs` of many thumbnails. structured: the indices of those that are not flat."""
    positions = _positions(thumbnails, *_principal_components(thumbnails))
    if len(structured) < len(positions):
        positions = positions[structured]
    # neighbours lie together in memory: looking up is several times as fast
    sorting = cKDTree(positions[:, :IN_TREE], LEAF, balanced_tree=False).indices.copy()
    order, positions = structured[sorting], positions[sorting]
    tree = cKDTree(positions[:, :IN_TREE], LEAF, balanced_tree=False)
    neighbours = np.zeros(tree.n, int)
    pairs, incomplete = [], 0
    for start in range(0, tree.n, BLOCK):
        places = np.arange(start, min(start + BLOCK, tree.n))
        for candidates in CANDIDATES:
            found, full = _looked_up(tree, positions, order, thumbnails, places, min(candidates, tree.n))
            count = np.bincount(np.searchsorted(places, found[:, 0]), minlength=len(places))
            neighbours[places] = count
            # the others are complete, or known to be in a crowd
            places = places[full & (count <= crowd)]
            waiting = np.isin(found[:, 0], places)
            pairs.append(found[~waiting & (neighbours[found[:, 0]] <= crowd)])
            if not len(places):
                break
        pairs.append(found[waiting])
        incomplete += len(places)
    if incomplete:
        print(
            f"warning: {incomplete:,} of {len(thumbnails):,} images resemble more than {CANDIDATES[-1]:,} others; "
            "some of their near-copies may be missed",
            file=sys.stderr,
        )
    pairs = np.concatenate(pairs)
    pairs = order[pairs[np.all(neighbours[pairs] <= crowd, axis=1)]]
    return np.unique(np.sort(pairs, axis=1), axis=0)


def near_pairs(thumbnails, crowd=CROWD):
    """Index pairs (smaller, larger) of near-copies among thumbnails (n, SIDE * SIDE), int (pairs, 2).

    An image with more than `crowd` near-copies has no pairs. thumbnails may be an array on disk.
    """
    structured = np.flatnonzero(np.concatenate([block.any(axis=1) for _, block in _blocks(thumbnails)]))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    if len(thumbnails) > WINDOW:
        return _pairs_by_tree(thumbnails, structured, crowd)
    thumbnails = thumbnails.astype("float32")
    position = _position(thumbnails[structured])
    order = structured[np.argsort(position, kind="stable")]
    position = np.sort(position)
    pairs = []
    neighbours = np.zeros(len(thumbnails), int)
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        end = np.searchsorted(position, position[start + len(rows) - 1] + NEAR, side="right")
        others = order[start:end]
        near = np.zeros((len(rows), len(others)), bool)
        for versions in (thumbnails[others], _mirrored(thumbnails[others])):
            near |= thumbnails[rows] @ versions.T / SIDE**2 > 1 - NEAR**2 / 2
        # each pair once: only images that come later in the order
        near = np.triu(near, 1)
        count = near.sum(axis=1)
        neighbours[rows] += count
        neighbours[others] += near.sum(axis=0)
        near[count > crowd] = False
        row, column = np.nonzero(near)
        pairs.append(np.sort(np.stack([rows[row], others[column]], axis=1), axis=1))
    pairs = np.concatenate(pairs)
    return np.unique(pairs[np.all(neighbours[pairs] <= crowd, axis=1)], axis=0)


def groups(thumbnails, crowd=CROWD):
    """The smallest index in the group of each thumbnail, int (n,). Groups are the connected components of near-copies.

    The members of a group of more than `crowd` thumbnails each form a group of their own.
    """
    n = len(thumbnails)
    first, second = near_pairs(thumbnails, crowd).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, leaders, sizes = np.unique(component, return_index=True, return_counts=True)
    return np.where(sizes[component] > crowd, np.arange(n), leaders[component])
