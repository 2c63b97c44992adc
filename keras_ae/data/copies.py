"""Near-copies: the same photograph mirrored, re-encoded, resized or re-lit, found by tiny grey thumbnails.

Thumbnails are brought to mean 0 and deviation 1, so that dark pictures are not all alike. A pair counts as near-copies when its
thumbnails, one of them mirrored perhaps, differ by less than `NEAR` (root mean square; the correlation is above
1 - NEAR**2 / 2). On 8,389 distinct cat faces this finds 71 pairs, seen to be the same photograph or the same cat.
More than `CROWD` of them together (frames of a film, digits) are look-alikes, not copies: such are split one by one, or a
single group would swallow the set.
"""

import numpy as np
from PIL import Image

SIDE = 16
NEAR = 0.28
# flat pictures (all black, all white) have no structure to compare
LEAST_DEVIATION = 2.0
BLOCK = 1000
# each picture is compared with this many at most, the nearest by one number: cost grows with the pictures, not their square
WINDOW = 20_000
# also bounds the memory and work of grouping
CROWD = 32


def thumbnail(pixels):
    """uint8 (size, size, channels) to a standardised grey thumbnail, float16 (SIDE * SIDE,); zeros for a flat picture."""
    grey = Image.fromarray(pixels.mean(axis=-1).astype("uint8"))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), "float32").ravel()
    deviation = small.std()
    return ((small - small.mean()) / deviation if deviation > LEAST_DEVIATION else np.zeros_like(small)).astype("float16")


def _mirrored(thumbnails):
    return thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(thumbnails), -1)


def _position(thumbnails):
    """A mirror-invariant number for each thumbnail; numbers never differ by more than the thumbnails do."""
    symmetric = (thumbnails + _mirrored(thumbnails)) / 2
    # the direction in which pictures differ most tells most of them apart: the first principal component
    _, vectors = np.linalg.eigh(np.cov(symmetric.T))
    return symmetric @ vectors[:, -1] / SIDE


def near_pairs(thumbnails):
    """Index pairs (smaller, larger) of near-copies among thumbnails (n, SIDE * SIDE), int (pairs, 2); none in crowds."""
    thumbnails = thumbnails.astype("float32")
    lively = np.flatnonzero(np.any(thumbnails, axis=1))
    if len(lively) < 2:
        return np.empty((0, 2), int)
    position = _position(thumbnails[lively])
    order = lively[np.argsort(position, kind="stable")]
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
        # each pair once: the other stands behind
        near = np.triu(near, 1)
        count = near.sum(axis=1)
        neighbours[rows] += count
        neighbours[others] += near.sum(axis=0)
        near[count > CROWD] = False
        row, column = np.nonzero(near)
        pairs.append(np.sort(np.stack([rows[row], others[column]], axis=1), axis=1))
    pairs = np.concatenate(pairs)
    return np.unique(pairs[np.all(neighbours[pairs] <= CROWD, axis=1)], axis=0)


def groups(thumbnails):
    """The smallest index of each thumbnail's group of near-copies, (n,) int; a near-copy of a near-copy is in the group.

    A group of more than `CROWD` is none: each is its own.
    """
    leader = np.arange(len(thumbnails))

    def root(index):
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second in near_pairs(thumbnails):
        first, second = root(first), root(second)
        leader[max(first, second)] = min(first, second)
    leader = np.array([root(index) for index in range(len(leader))])
    crowded = np.bincount(leader)[leader] > CROWD
    return np.where(crowded, np.arange(len(leader)), leader)
