"""Near-copies: the same photograph mirrored, re-encoded, resized or with other lighting, detected by small grey thumbnails.

Thumbnails are standardised to mean 0 and deviation 1, so that dark images are not all similar. Two images are near-copies if
their thumbnails, one of them possibly mirrored, differ by less than `NEAR` (root mean square), that is, if their correlation is
above 1 - NEAR**2 / 2. Among 8,389 distinct cat faces there are 71 such pairs; each shows the same photograph or the same cat.
If more than `CROWD` images resemble each other (frames of a film, digits), they are not treated as copies: otherwise one group
would contain most of the data set.

No pair is missed, however many images there are. Thumbnails are compared by their principal components first, those of the
antisymmetric part without their sign: two images are never farther apart there than their thumbnails, one of them possibly
mirrored. The first components divide the images into cells as wide as near-copies may be apart, so that only neighbouring
cells are compared, by matrix products of all components; the thumbnails of the pairs that are left give the verdict.
"""

import itertools
import mmap

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from keras_ae.data.thumbnails import SIDE

NEAR = 0.28
# also bounds the memory and time of grouping
CROWD = 32
# thumbnails are rounded to float16, so their distances between principal components are slightly wrong
RADIUS = NEAR + 0.005
# principal components that cells are made of and that are compared, and thumbnails that these are fitted to
CELLED, DIMENSIONS, FITTED = 4, 32, 50_000
# images that are compared with WIDE others at a time, and pairs of thumbnails
BLOCK, WIDE, PAIRS = 1000, 4000, 20_000
# images above which progress is shown
MANY = 20_000


def _mirrored(thumbnails):
    return thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(thumbnails.shape)


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


def _cells(positions):
    """The cell of each position, an int (n,), and what is added to it along each axis of the grid.

    No cell lies at an edge of the grid, so that all have neighbours with numbers of their own.
    """
    coordinates = positions[:, :CELLED] - positions[:, :CELLED].min(axis=0)
    bins = (coordinates / RADIUS).astype(int) + 1
    sides = bins.max(axis=0) + 2
    return np.ravel_multi_index(bins.T, sides), np.cumprod([1, *sides[:0:-1]])[::-1]


def _compared(cells, steps):
    """What is compared: images first ... last - 1 of one cell with images start ... end - 1, as (first, last, start, end).

    cells: that of each image, in ascending order. Each pair of images of one cell or of neighbouring cells is met once.
    """
    found, starts = np.unique(cells, return_index=True)
    # along the last axis neighbouring cells follow each other; of all other directions, one of each two opposite ones
    ahead = [way for way in itertools.product((-1, 0, 1), repeat=CELLED - 1) if way > (0,) * (CELLED - 1)]
    towards = np.array(ahead) @ steps[:-1]
    low = np.searchsorted(cells, found[:, None] + towards - 1)
    high = np.searchsorted(cells, found[:, None] + towards + 1, "right")
    beside = np.searchsorted(cells, found + 1, "right")
    for number, (head, tail) in enumerate(zip(starts, [*starts[1:], len(cells)], strict=True)):
        for first in range(head, tail, BLOCK):
            last = min(first + BLOCK, tail)
            for low_, high_ in ((first, beside[number]), *zip(low[number], high[number], strict=True)):
                yield from ((first, last, start, min(start + WIDE, high_)) for start in range(low_, high_, WIDE))


def _close(positions, first, last, start, end):
    """Pairs (row, column), row < column, of these images whose positions are not farther apart than RADIUS."""
    rows, columns = positions[first:last], positions[start:end]
    halves = [np.square(part).sum(axis=1, keepdims=True) / 2 for part in (rows, columns)]
    ones = [np.ones_like(half) for half in halves]
    # minus half of the squared distances, as one product
    product = np.hstack([rows, -halves[0], ones[0]]) @ np.hstack([columns, ones[1], -halves[1]]).T
    row, column = np.divmod(np.flatnonzero(product >= -(RADIUS**2) / 2), end - start)
    row, column = row + first, column + start
    return row[row < column], column[row < column]


def _confirmed(row, column, thumbnails, order, neighbours, crowd):
    """Those of the pairs that are near-copies of each other, (n, 2); `neighbours` of each image are counted."""
    # between two images of crowds nothing is left to find out
    unknown = (neighbours[row] <= crowd) | (neighbours[column] <= crowd)
    row, column = row[unknown], column[unknown]
    near = _near(*(thumbnails[order[side]].astype("float32") for side in (row, column)))
    pairs = np.stack([row[near], column[near]], axis=1)
    np.add.at(neighbours, pairs, 1)
    return pairs[np.all(neighbours[pairs] <= crowd, axis=1)]


def near_pairs(thumbnails, crowd=CROWD):
    """Index pairs (smaller, larger) of near-copies among thumbnails (n, SIDE * SIDE), int (pairs, 2).

    An image with more than `crowd` near-copies has no pairs. thumbnails may be an array on disk. Progress is shown for many.
    """
    structured = np.flatnonzero(np.concatenate([block.any(axis=1) for _, block in _blocks(thumbnails)]))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    positions = _positions(thumbnails, *_principal_components(thumbnails))[structured]
    cells, steps = _cells(positions)
    sorting = np.argsort(cells, kind="stable")
    order, positions = structured[sorting], positions[sorting]
    neighbours = np.zeros(len(order), int)
    pairs = [np.empty((0, 2), int)]
    hidden = None if len(order) > MANY else True
    with tqdm(None, "looking for near-copies", len(order), unit="image", disable=hidden) as progress:
        for first, last, start, end in _compared(cells[sorting], steps):
            row, column = _close(positions, first, last, start, end)
            for n in range(0, len(row), PAIRS):
                pairs.append(_confirmed(row[n : n + PAIRS], column[n : n + PAIRS], thumbnails, order, neighbours, crowd))
            if start == first:
                _release(thumbnails)
                progress.update(last - first)
    pairs = np.concatenate(pairs)
    pairs = order[pairs[np.all(neighbours[pairs] <= crowd, axis=1)]]
    return np.unique(np.sort(pairs, axis=1), axis=0)


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
