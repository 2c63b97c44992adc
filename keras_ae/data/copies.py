"""Near-copies: the same photograph mirrored, re-encoded, resized or with other lighting, detected by small grey thumbnails.

Two images are near-copies if their thumbnails, standardised to mean 0 and deviation 1 and one of them possibly mirrored, differ
by less than `NEAR` (root mean square), that is, if their correlation is above 1 - NEAR**2 / 2. Among 8,389 distinct cat faces
there are 71 such pairs; each shows the same photograph or the same cat. If more than `CROWD` images resemble each other (frames
of a film, digits), they are no copies: otherwise one group would contain most of the data set.

No pair is missed. Thumbnails are first compared by low frequencies that mirroring leaves as they are: two images are never
farther apart there than their thumbnails. Sorted by the widest of these numbers, only images that are close there are compared,
by matrix products; the thumbnails of what is left decide. scikit-learn's neighbours took five times as long for 20,000 images.
"""

import mmap

import numpy as np
from PIL import Image
from tqdm import tqdm

SIDE = 16
NEAR = 0.28
# also bounds the memory and time of grouping
CROWD = 32
# thumbnails are rounded to float16, so the distances of their frequencies are slightly wrong
RADIUS = NEAR + 0.005
# frequencies in each direction; the first of all is the mean, which is 0
FREQUENCIES = 6
# images that are compared with up to WIDE others at a time, and pairs of thumbnails
BLOCK, WIDE, PAIRS = 1000, 4000, 20_000


def thumbnail(pixels):
    """uint8 (size, size, channels) to a standardised grey thumbnail, float16 (SIDE * SIDE,); zeros for a flat image."""
    # whole numbers, channel by channel: several times as fast as the mean over an axis of three
    grey = sum(channel.astype("uint16") for channel in np.moveaxis(pixels, -1, 0)) // pixels.shape[-1]
    small = np.asarray(Image.fromarray(grey.astype("uint8")).resize((SIDE, SIDE), Image.Resampling.BOX), "float32").ravel()
    deviation = small.std()
    # flat images (all black, all white) have no structure to compare
    return ((small - small.mean()) / deviation if deviation > 2 else np.zeros_like(small)).astype("float16")


def trim(pixels):
    """The part of an image on black without the black bars: they would make pictures of the same shape near-copies."""
    lit = pixels.any(axis=-1)
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else pixels


def release(array):
    """Give back the memory of an array on disk. What was read of it stays in the cache of the operating system."""
    if isinstance(array, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)


def _near(first, second):
    """Which pairs of thumbnails are near-copies. first, second: float (..., n, SIDE * SIDE) of pairs; bool (..., n)."""
    mirrored = second.reshape(*second.shape[:-1], SIDE, SIDE)[..., ::-1].reshape(second.shape)
    return np.maximum(np.mean(first * second, axis=-1), np.mean(first * mirrored, axis=-1)) > 1 - NEAR**2 / 2


def positions(thumbnails, count=FREQUENCIES):
    """Coordinates of thumbnails, (n, count**2 - 1) float32, that mirroring leaves as they are; all 0 for flat images."""
    # SciPy is of no use to the processes that make thumbnails, which start in a fraction of the time without it
    from scipy.fft import dctn

    found = np.empty((len(thumbnails), count**2 - 1), "float32")
    for start in range(0, len(thumbnails), BLOCK):
        block = thumbnails[start : start + BLOCK].astype("float32").reshape(-1, SIDE, SIDE)
        frequencies = dctn(block, axes=(1, 2), norm="ortho")[:, :count, :count] / SIDE
        # mirroring changes the sign of every other horizontal frequency
        frequencies[:, :, 1::2] = np.abs(frequencies[:, :, 1::2])
        found[start : start + BLOCK] = frequencies.reshape(len(block), -1)[:, 1:]
        release(thumbnails)
    return found


def _find_close(positions, first, last, start, end):
    """Pairs (row, column), row < column, of these images whose positions are not farther apart than RADIUS."""
    rows, columns = positions[first:last], positions[start:end]
    halves = [np.square(part).sum(axis=1, keepdims=True) / 2 for part in (rows, columns)]
    ones = [np.ones_like(half) for half in halves]
    # minus half of the squared distances, as one product
    product = np.hstack([rows, -halves[0], ones[0]]) @ np.hstack([columns, ones[1], -halves[1]]).T
    row, column = np.divmod(np.flatnonzero(product >= -(RADIUS**2) / 2), end - start)
    row, column = row + first, column + start
    return row[row < column], column[row < column]


def _confirm(row, column, thumbnails, order, neighbours, crowd):
    """Those of the pairs that are near-copies of each other, (n, 2); `neighbours` of each image are counted."""
    # between two images of crowds nothing is left to find out
    unknown = (neighbours[row] <= crowd) | (neighbours[column] <= crowd)
    row, column = row[unknown], column[unknown]
    near = _near(*(thumbnails[order[side]].astype("float32") for side in (row, column)))
    pairs = np.stack([row[near], column[near]], axis=1)
    np.add.at(neighbours, pairs, 1)
    return pairs[np.all(neighbours[pairs] <= crowd, axis=1)]


def near_pairs(thumbnails, crowd=CROWD):
    """Index pairs (smaller, larger) of near-copies among thumbnails (n, SIDE * SIDE), which may be on disk, int (pairs, 2).

    An image with more than `crowd` near-copies has no pairs.
    """
    places = positions(thumbnails)
    structured = np.flatnonzero(places.any(axis=1))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    widest = places[structured, places[structured].std(axis=0).argmax()]
    sorting = np.argsort(widest)
    order, places, widest = structured[sorting], places[structured[sorting]], widest[sorting]
    ends = np.searchsorted(widest, widest + RADIUS, "right")
    neighbours, pairs = np.zeros(len(order), int), [np.empty((0, 2), int)]
    for first in tqdm(range(0, len(order), BLOCK), "looking for near-copies", unit="thousand", disable=None, leave=False):
        last = min(first + BLOCK, len(order))
        for start in range(first, ends[last - 1], WIDE):
            row, column = _find_close(places, first, last, start, min(start + WIDE, ends[last - 1]))
            for n in range(0, len(row), PAIRS):
                pairs.append(_confirm(row[n : n + PAIRS], column[n : n + PAIRS], thumbnails, order, neighbours, crowd))
        release(thumbnails)
    pairs = np.concatenate(pairs)
    pairs = order[pairs[np.all(neighbours[pairs] <= crowd, axis=1)]]
    return np.unique(np.sort(pairs, axis=1), axis=0)


def join(pairs, n, crowd=CROWD):
    """The smallest index in the group of each of n images, int (n,), connected by index pairs (pairs, 2).

    The members of a group of more than `crowd` images each form a group of their own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, leaders, sizes = np.unique(component, return_index=True, return_counts=True)
    return np.where(sizes[component] > crowd, np.arange(n), leaders[component])


def groups(thumbnails, crowd=CROWD):
    """The smallest index in the group of near-copies of each thumbnail, int (n,), see `join`."""
    return join(near_pairs(thumbnails, crowd), len(thumbnails), crowd)
