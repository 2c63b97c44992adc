"""Near-copies: the same photograph mirrored, re-encoded or resized, found by tiny grey thumbnails.

A pair counts when its thumbnails, one of them mirrored perhaps, differ by less than `NEAR` grey levels (root mean square). The
search sorts by one mirror-invariant number and compares neighbours within a window, so that it is exact in that window and
costs seconds for tens of thousands of pictures.
"""

import numpy as np
from PIL import Image

SIDE = 16
NEAR = 4.0
# flat pictures (all black, all white) resemble each other without being copies
LEAST_CONTRAST = 8.0
# at most this many neighbours are compared with each picture: a set of look-alikes costs no more
WINDOW = 2000


def thumbnail(pixels):
    """uint8 (size, size, channels) to a grey thumbnail, float32 (SIDE, SIDE)."""
    grey = Image.fromarray(pixels.mean(axis=-1).astype("uint8"))
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), "float32")


def _rising(thumbnails):
    """A mirror-invariant number for each thumbnail whose differences never exceed the thumbnails' rms distance."""
    symmetric = (thumbnails + thumbnails[:, :, ::-1]).reshape(len(thumbnails), -1) / 2
    centred = symmetric - symmetric.mean(axis=0)
    # the direction in which pictures differ most tells most of them apart: first principal component
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return centred @ vectors[:, -1] / SIDE


def groups(thumbnails):
    """For thumbnails (n, SIDE, SIDE), the smallest index of each one's group of near-copies, (n,) int."""
    n = len(thumbnails)
    leader = np.arange(n)

    def root(index):
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    flat = thumbnails.reshape(n, -1)
    mirrored = thumbnails[:, :, ::-1].reshape(n, -1)
    lively = flat.std(axis=1) > LEAST_CONTRAST
    rising = _rising(thumbnails)
    order = np.argsort(rising, kind="stable")
    order = order[lively[order]]
    position = rising[order]
    for place, index in enumerate(order):
        end = min(np.searchsorted(position, position[place] + NEAR, side="right"), place + 1 + WINDOW)
        others = order[place + 1 : end]
        if not len(others):
            continue
        for versions in (flat, mirrored):
            distance = np.sqrt(np.mean(np.square(versions[others] - flat[index]), axis=1))
            for other in others[distance < NEAR]:
                first, second = root(index), root(other)
                leader[max(first, second)] = min(first, second)
    return np.array([root(index) for index in range(n)])
