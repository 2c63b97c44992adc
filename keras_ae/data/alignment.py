"""Near-copies that were cropped, turned or enlarged: small grey pictures (n, SIDE, SIDE), laid on each other and compared.

Each is compared with those whose middles are most alike, mirrored or not. The affine map between the two is fitted by the
inverse compositional method of Gauss and Newton (Baker & Matthews 2004, "Lucas-Kanade 20 Years On"); what counts then is the
correlation of details. A map (2, 3) takes (y, x, 1) of the first picture to (y, x) of the second; coordinates are 0 in the
middle, -1 and 1 at the edges.
"""

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from keras_ae.data import copies

SIDE = 32
# least correlation of the details of copies, less the cost of a map that distorts
ALIKE, DISTORTION = 0.87, 0.4
# pictures that each is compared with, and how far apart their middles may be, as `copies.positions`
NEIGHBOURS, RADIUS = 16, 0.5
EDGE = 4  # pixels that are no part of the middle: what a crop leaves out, and the black corners of what was turned
STEPS, PAIRS = 6, 1000  # of the method, and pairs that are compared together


def _sample(pictures, places):
    """Values (n, p) of pictures (n, side, side) at places (n, 2, p), bilinear; outside, those of the edge."""
    n, side, _ = pictures.shape
    pixels = np.clip((places + 1) * (side / 2) - 0.5, 0, side - 1.001)
    corner = pixels.astype(int)
    down, across = (pixels - corner.astype("float32")).transpose(1, 0, 2)
    flat, first = pictures.ravel(), (np.arange(n)[:, None] * side + corner[:, 0]) * side + corner[:, 1]
    upper, lower = (flat[row] + (flat[row + 1] - flat[row]) * across for row in (first, first + side))
    return upper + (lower - upper) * down


def _standardise(values):
    values = values - values.mean(axis=-1, keepdims=True)
    return values / np.maximum(values.std(axis=-1, keepdims=True), 1e-3)


_AXIS = (np.arange(EDGE, SIDE - EDGE, dtype="float32") + 0.5) * (2 / SIDE) - 1
# the pixels of the middle as (y, x, 1)
PLACES = np.stack([*(grid.ravel() for grid in np.meshgrid(_AXIS, _AXIS, indexing="ij")), np.ones(len(_AXIS) ** 2, "float32")])


def _middle(pictures):
    return pictures[:, EDGE:-EDGE, EDGE:-EDGE].reshape(len(pictures), -1)


def _fit(first, second):
    """Maps (n, 2, 3) from pictures to others, which may be lighter or have more contrast."""
    n, wanted = len(first), _middle(first)
    slopes = np.stack([_middle(np.gradient(first, 2 / SIDE, axis=axis)) for axis in (1, 2)], axis=1)
    slopes = (slopes[:, :, None] * PLACES).reshape(n, 6, -1) / np.maximum(wanted.std(axis=1), 1e-3)[:, None, None]
    wanted = _standardise(wanted)
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= (slopes @ wanted[..., None] / wanted.shape[1]) * wanted[:, None]
    curvature = slopes @ slopes.transpose(0, 2, 1)
    # stripes say nothing about shifts along them
    curvature += np.eye(6, dtype="float32") * (1e-3 * np.trace(curvature, axis1=1, axis2=2) / 6 + 1e-6)[:, None, None]
    maps = np.tile(np.eye(2, 3, dtype="float32"), (n, 1, 1))
    for _ in range(STEPS):
        error = _standardise(_sample(second, maps @ PLACES)) - wanted
        change = np.linalg.solve(curvature, slopes @ error[..., None]).reshape(n, 2, 3).clip(-0.15, 0.15)
        linear = maps[..., :2] @ np.linalg.inv(change[..., :2] + np.eye(2, dtype="float32"))
        maps = np.concatenate([linear, maps[..., 2:] - linear @ change[..., 2:]], axis=2)
    return maps


def align(first, second):
    """How alike the details of grey pictures (n, SIDE, SIDE) and others are (n,), maps (n, 2, 3), which are mirrored (n,)."""
    first, second = (part.astype("float32") for part in (first, second))
    flat = [_standardise(part.reshape(len(part), -1)) for part in (first, second, second[..., ::-1])]
    mirrored = (flat[0] * flat[2]).mean(axis=1) > (flat[0] * flat[1]).mean(axis=1)
    second = np.where(mirrored[:, None, None], second[..., ::-1], second)
    maps = _fit(first, second)
    first, second = (part - uniform_filter(part, (0, 5, 5)) for part in (first, second))
    alike = (_standardise(_middle(first)) * _standardise(_sample(second, maps @ PLACES))).mean(axis=1)
    # how far a map is from a turn with a change of size
    distortion = np.hypot(maps[:, 0, 0] - maps[:, 1, 1], maps[:, 0, 1] + maps[:, 1, 0]) / 2
    return alike - DISTORTION * distortion, maps, mirrored


def find_moved(pictures):
    """Index pairs (smaller, larger) of near-copies among grey pictures uint8 (n, SIDE, SIDE), int (pairs, 2)."""
    middles = np.stack([copies.thumbnail(picture[EDGE:-EDGE, EDGE:-EDGE, None]) for picture in pictures])
    positions = copies.positions(middles, 8)
    structured = np.flatnonzero(positions.any(axis=1))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(structured)), algorithm="brute").fit(positions[structured])
    distances, neighbours = search.kneighbors(positions[structured])
    row, column = np.nonzero(distances < RADIUS)
    pairs = np.sort(np.stack([structured[row], structured[neighbours[row, column]]], axis=1), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    alike = np.zeros(len(pairs), bool)
    starts = range(0, len(pairs), PAIRS)
    for start in tqdm(starts, "comparing", unit="thousand pairs", disable=None, leave=False):
        likeness, *_ = align(*(pictures[side] for side in pairs[start : start + PAIRS].T))
        alike[start : start + PAIRS] = likeness > ALIKE
    return pairs[alike]
