"""Near-copies: the same photograph mirrored, re-encoded, resized or with other lighting, detected by small grey thumbnails.

Thumbnails are standardised to mean 0 and deviation 1, so that dark images are not all similar. Two images are near-copies if
their thumbnails, one of them possibly mirrored, differ by less than `NEAR` (root mean square), that is, if their correlation is
above 1 - NEAR**2 / 2. Among 8,389 distinct cat faces there are 71 such pairs; each shows the same photograph or the same cat.
If more than `CROWD` images resemble each other (frames of a film, digits), they are not treated as copies: otherwise one group
would contain most of the data set.
"""

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16
NEAR = 0.28
# flat images (all black, all white) have no structure to compare
LEAST_DEVIATION = 2.0
BLOCK = 1000
# most images that one image is compared with, nearest first by one number: the cost is linear in the number of images
WINDOW = 20_000
# also bounds the memory and time of grouping
CROWD = 32


def thumbnail(pixels):
    """uint8 (size, size, channels) to a standardised grey thumbnail, float16 (SIDE * SIDE,); zeros for a flat image."""
    grey = Image.fromarray(pixels.mean(axis=-1).astype("uint8"))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), "float32").ravel()
    deviation = small.std()
    return ((small - small.mean()) / deviation if deviation > LEAST_DEVIATION else np.zeros_like(small)).astype("float16")


def _mirrored(thumbnails):
    return thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(thumbnails), -1)


def _position(thumbnails):
    """One mirror-invariant number per thumbnail; two numbers never differ by more than the two thumbnails."""
    symmetric = (thumbnails + _mirrored(thumbnails)) / 2
    # the first principal component separates images best
    _, vectors = np.linalg.eigh(np.cov(symmetric.T))
    return symmetric @ vectors[:, -1] / SIDE


def near_pairs(thumbnails, crowd=CROWD):
    """Index pairs (smaller, larger) of near-copies among thumbnails (n, SIDE * SIDE), int (pairs, 2).

    An image with more than `crowd` near-copies has no pairs.
    """
    thumbnails = thumbnails.astype("float32")
    structured = np.flatnonzero(np.any(thumbnails, axis=1))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    position = _position(thumbnails[structured])
    order = structured[np.argsort(position, kind="stable")]
    position = np.sort(position)
    pairs = []
    neighbours = np.zeros(len(thumbnails), int)
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        end = np.searchsorted(position, position[start + len(rows) - 1] + NEAR, side="right")
        others = order[start : min(end, start + WINDOW)]
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
