"""Copies that were cropped, turned or enlarged: pairs of small grey pictures, laid on each other and compared.

Each picture is compared with those whose middles are most alike, mirrored or not (`find_moved`). The affine map between the two
is fitted by the inverse compositional method of Gauss and Newton (Baker & Matthews 2004, "Lucas-Kanade 20 Years On"), first to
coarse pictures and then to fine ones. What counts then is the correlation of details, which different pictures of the same
colours do not share.

Pictures are (n, SIDE, SIDE); a map is (2, 3), takes (y, x, 1) of the first picture to (y, x) of the second, and its coordinates
are 0 in the middle and -1 and 1 at the edges.
"""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from keras_ae.data import copies

SIDE = 32
# correlations of copies, of their coarse pictures and of their details, the latter less the cost of a distorting map
COARSE, ALIKE, DISTORTION = 0.85, 0.87, 0.4
# pictures that each is compared with, and how far apart their middles may be, as `copies.positions`
NEIGHBOURS, RADIUS = 16, 0.5
# pixels of 16 at each edge that are no part of the middle: what a crop leaves out, and the black corners of what was turned
EDGE = 2
PAIRS = 1000  # that are aligned together


class Alignment(NamedTuple):
    """How the pictures of n pairs lie on each other: how alike their details are (n,), maps (n, 2, 3), which are mirrored."""

    alike: np.ndarray
    maps: np.ndarray
    mirrored: np.ndarray


def _shrink(pictures, side):
    return pictures.reshape(len(pictures), side, pictures.shape[1] // side, side, -1).mean(axis=(2, 4))


def _standardise(values):
    values = values - values.mean(axis=-1, keepdims=True)
    return values / np.maximum(values.std(axis=-1, keepdims=True), 1e-3)


def _sample(pictures, places):
    """Values (n, p) of pictures (n, side, side) at places (n, 2, p), bilinear; outside, those of the edge."""
    n, side, _ = pictures.shape
    pixels = np.clip((places + 1) * (side / 2) - 0.5, 0, side - 1.001)
    corner = pixels.astype(int)
    down, across = (pixels - corner.astype("float32")).transpose(1, 0, 2)
    flat, first = pictures.ravel(), (np.arange(n)[:, None] * side + corner[:, 0]) * side + corner[:, 1]
    upper = flat[first] + (flat[first + 1] - flat[first]) * across
    lower = flat[first + side] + (flat[first + side + 1] - flat[first + side]) * across
    return upper + (lower - upper) * down


def _places(side):
    """The pixels of a picture, less its edges, as (y, x, 1): (3, p)."""
    edge = side * EDGE // 16
    axis = (np.arange(side, dtype="float32")[edge:-edge] + 0.5) * (2 / side) - 1
    return np.stack([*(grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij")), np.ones(len(axis) ** 2, "float32")])


def _refine(first, second, maps, steps):
    """Maps (n, 2, 3) after `steps` of the method, and the correlation of the pictures then."""
    n, side, _ = first.shape
    places, unmoved = _places(side), np.eye(2, 3, dtype="float32")
    wanted, down, across = (
        _sample(values, np.broadcast_to(places[:2], (n, 2, places.shape[1])))
        for values in (first, np.gradient(first, 2 / side, axis=1), np.gradient(first, 2 / side, axis=2))
    )
    slopes = np.concatenate([down[:, None] * places, across[:, None] * places], axis=1)
    slopes /= np.maximum(wanted.std(axis=1), 1e-3)[:, None, None]
    wanted = _standardise(wanted)
    # brightness and contrast may differ
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= (slopes @ wanted[..., None] / wanted.shape[1]) * wanted[:, None]
    curvature = slopes @ slopes.transpose(0, 2, 1)
    # stripes say nothing about shifts along them
    curvature += np.eye(6, dtype="float32") * (1e-3 * np.trace(curvature, axis1=1, axis2=2) / 6 + 1e-6)[:, None, None]
    for _ in range(steps):
        error = _standardise(_sample(second, maps @ places)) - wanted
        change = np.linalg.solve(curvature, slopes @ error[..., None]).reshape(n, 2, 3)
        change = change.clip(-0.15, 0.15) + unmoved
        linear = maps[..., :2] @ np.linalg.inv(change[..., :2])
        maps = np.concatenate([linear, maps[..., 2:] - linear @ change[..., 2:]], axis=2)
    return maps, (_standardise(_sample(second, maps @ places)) * wanted).mean(axis=1)


def align(first, second):
    """The `Alignment` of pictures with others; `alike` is -1 where the coarse pictures are too different already."""
    from scipy.ndimage import uniform_filter

    first, second = (part.astype("float32") for part in (first, second))
    coarse = [_shrink(part, SIDE // 2) for part in (first, second)]
    flat = [_standardise(part.reshape(len(part), -1)) for part in (*coarse, coarse[1][..., ::-1])]
    mirrored = (flat[0] * flat[2]).mean(axis=1) > (flat[0] * flat[1]).mean(axis=1)
    coarse[1], second = (np.where(mirrored[:, None, None], part[..., ::-1], part) for part in (coarse[1], second))
    maps, correlation = _refine(*coarse, np.tile(np.eye(2, 3, dtype="float32"), (len(first), 1, 1)), 5)
    near, alike = correlation > COARSE, np.full(len(first), -1.0)
    first, second = first[near], second[near]
    maps[near], _ = _refine(first, second, maps[near], 4)
    details = [part - uniform_filter(part, (0, 5, 5)) for part in (first, second)]
    there = np.tile(np.eye(2, 3, dtype="float32"), (len(first), 1, 1)), maps[near]
    values = [_standardise(_sample(part, at @ _places(SIDE))) for part, at in zip(details, there, strict=True)]
    (a, b), (c, d) = maps[near, :, :2].transpose(1, 2, 0)
    # how far each map is from a turn with a change of size
    alike[near] = (values[0] * values[1]).mean(axis=1) - DISTORTION * np.hypot(a - d, b + c) / 2
    return Alignment(alike, maps, mirrored)


def find_moved(pictures):
    """Index pairs (smaller, larger) of copies among grey pictures uint8 (n, SIDE, SIDE), int (pairs, 2)."""
    from sklearn.neighbors import NearestNeighbors

    middles = np.stack([copies.thumbnail(picture[2 * EDGE : -2 * EDGE, 2 * EDGE : -2 * EDGE, None]) for picture in pictures])
    positions = copies.positions(middles, 8)
    structured = np.flatnonzero(positions.any(axis=1))
    if len(structured) < 2:
        return np.empty((0, 2), int)
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(structured)), algorithm="brute").fit(positions[structured])
    distances, neighbours = search.kneighbors(positions[structured])
    row, column = np.nonzero(distances < RADIUS)
    pairs = np.stack([structured[row], structured[neighbours[row, column]]], axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    alike = np.zeros(len(pairs), bool)
    starts = range(0, len(pairs), PAIRS)
    for start in tqdm(starts, "aligning", unit="thousand pairs", disable=None if len(pairs) > 20_000 else True, leave=False):
        alike[start : start + PAIRS] = align(*(pictures[side] for side in pairs[start : start + PAIRS].T)).alike > ALIKE
    return pairs[alike]
