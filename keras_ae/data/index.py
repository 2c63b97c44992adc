"""What is known of the picture files of a folder: one entry for each, kept in the cache and extended by files that are new.

An entry has the digest of the file, its size in pixels as it is seen, a small grey picture, and its look: gradients by place
and direction (histograms of oriented gradients, Dalal & Triggs 2005) and mean colours, in which similar pictures are near each
other. No model is needed. With an export, the look is the mean code of the picture.
"""

import hashlib
import itertools
import os
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from keras_ae.data import alignment, copies, sources
from keras_ae.errors import UserError
from keras_ae.files import write_file
from keras_ae.images import pictures

SIDE = alignment.SIDE
# cells of gradients in each direction and the directions in each, cells of colours, and the weight of these
CELLS, DIRECTIONS, COLOUR_CELLS, COLOUR_WEIGHT = 8, 6, 4, 0.5
LOOK = CELLS**2 * DIRECTIONS + COLOUR_CELLS**2 * 3
# raise when entries change
VERSION = 1
STAMP = [("bytes", "<i8"), ("modified", "<i8")]
ENTRY = np.dtype([*STAMP, ("digest", "S32"), ("sides", "<i4", 2), ("grey", "u1", (SIDE, SIDE)), ("look", "<f2", LOOK)])
# files that are described together, and up to how many of them starting processes takes longer than it saves
PIECE, FEW = 64, 1000


class Index(NamedTuple):
    """The picture files that can be read, n paths, and their entries (n,), see `ENTRY`."""

    paths: list
    entries: np.ndarray

    def looks(self):
        """float32 (n, d)."""
        return self.entries["look"].astype("float32")


def _pool(values, cells):
    """Means (n, cells**2 * c) over the cells of maps (n, side, side, c)."""
    n, side, _, channels = values.shape
    return values.reshape(n, cells, side // cells, cells, -1, channels).mean(axis=(2, 4)).reshape(n, -1)


def look(images):
    """The look of images uint8 (n, SIDE, SIDE, 3): float32 (n, LOOK)."""
    colours = images.astype("float32") @ (pictures.LUMINANCE_AND_COLOURS / 255)
    down, across = np.gradient(colours[..., 0], axis=(1, 2))
    size = np.hypot(down, across) + 1e-6
    # of angles twice as large, so that dark on light is as light on dark
    cosine, sine = (across**2 - down**2) / size, 2 * across * down / size
    angles = 2 * np.pi * np.arange(DIRECTIONS, dtype="float32") / DIRECTIONS
    energies = np.maximum(cosine[..., None] * np.cos(angles) + sine[..., None] * np.sin(angles), 0)
    parts = np.sqrt(_pool(energies, CELLS)), _pool(colours, COLOUR_CELLS)
    edges, colours = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-3) for part in parts)
    return np.concatenate([edges, COLOUR_WEIGHT * colours], axis=1)


def describe(paths):
    """Entries of picture files, (n,) without their stamps, and why each is not usable, or ""."""
    entries, images, reasons = np.zeros(len(paths), ENTRY), np.zeros((len(paths), SIDE, SIDE, 3), "uint8"), []
    for entry, image, path in zip(entries, images, paths, strict=True):
        try:
            data = pictures.read_bytes(path)
            image[:] = pictures.decode(data, image.shape, fit="stretch")
            entry["digest"], entry["sides"] = hashlib.sha256(data).digest(), pictures.measure_sides(data)
            reasons.append("")
        except (pictures.DamagedPicture, OSError) as error:
            reasons.append(str(error))
    entries["grey"] = np.rint(images @ pictures.LUMINANCE_AND_COLOURS[:, 0])
    entries["look"] = look(images)
    return entries, reasons


def _describe_all(paths, report):
    """Pieces of `describe`: indices of the usable paths and their entries; on all cores, with a progress bar."""
    import joblib

    pieces = [paths[first : first + PIECE] for first in range(0, len(paths), PIECE)]
    cores = joblib.Parallel(1 if len(paths) <= FEW else -1, "loky", return_as="generator", idle_worker_timeout=10)
    with cores as parallel, tqdm(None, "reading", len(paths), unit="picture", disable=None, leave=False) as progress:
        for first, (entries, reasons) in zip(itertools.count(0, PIECE), parallel(map(joblib.delayed(describe), pieces))):
            for path, reason in zip(paths[first : first + PIECE], reasons, strict=False):
                if reason:
                    report(f"cannot use the picture {pictures.printable(path)}: {reason}")
            usable = np.flatnonzero(np.array(reasons) == "")
            yield first + usable, entries[usable]
            progress.update(len(entries))


def _stamp(path):
    try:
        status = os.stat(path)
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _open_kept(file, dtype):
    """{name: row} and the entries of an index on disk; nothing if it is missing or damaged."""
    try:
        with np.load(file) as kept:
            entries, names = kept["entries"], kept["names"].tobytes().decode(errors="surrogateescape").split("\0")
        if entries.dtype == dtype and len(names) == len(entries):
            return dict(zip(names, itertools.count())), entries
    except (OSError, ValueError, KeyError, EOFError):
        pass
    return {}, np.zeros(0, dtype)


def read(paths, place, report, name="pictures", dtype=ENTRY, make=_describe_all):
    """The `Index` of picture files in the folder `place`, whose index is kept; only new and changed files are read.

    What is ready when this is interrupted is kept, too. place: None keeps nothing. report: a function that hears of files that
    cannot be used. name, dtype, make: another kind of entries, with the fields of `STAMP`, and the function that makes them as
    `_describe_all` does. Raises UserError if no file can be used.
    """
    known = hashlib.sha256(f"{VERSION} {name} {place and os.path.realpath(place)}".encode(errors="surrogateescape"))
    file = sources.cache_root() / "index" / f"{known.hexdigest()[:16]}.npz"
    rows, kept = _open_kept(file if place else "", dtype)
    names = [os.path.relpath(path, place) for path in paths]
    rows = np.array([rows.get(name, -1) for name in names], int)
    entries, stamps = np.zeros(len(paths), dtype), np.zeros(len(paths), STAMP)
    stamps[:] = [_stamp(path) for path in paths]
    entries[rows >= 0] = kept[rows[rows >= 0]]
    ready = (rows >= 0) & (entries[["bytes", "modified"]] == stamps)
    todo = np.flatnonzero(~ready)
    try:
        for indices, made in make([paths[index] for index in todo], report) if len(todo) else ():
            entries[todo[indices]] = made
            entries[["bytes", "modified"]] = stamps
            ready[todo[indices]] = True
    finally:
        if place and ready.any() and (len(todo) or len(kept) > len(paths)):
            text = "\0".join(itertools.compress(names, ready)).encode(errors="surrogateescape")
            with write_file(file) as partial:
                np.savez(partial, entries=entries[ready], names=np.frombuffer(text, "u1"))
    if not ready.any():
        raise UserError(f"none of these {len(paths)} picture files can be read")
    return Index(list(itertools.compress(paths, ready)), entries[ready])


def find_groups(entries):
    """The smallest index in the group of each entry, int (n,): groups of copies and near-copies.

    Files with the same bytes are always of a group. A picture with more than `copies.CROWD` near-copies has none.
    """
    _, first, same = np.unique(entries["digest"], return_index=True, return_inverse=True)
    greys = entries["grey"][first]
    near = copies.near_pairs(np.stack([copies.thumbnail(grey[..., None]) for grey in greys]))
    pairs = np.unique(np.concatenate([near, alignment.find_moved(greys)]), axis=0)
    crowded = np.bincount(pairs.ravel(), minlength=len(first)) > copies.CROWD
    leaders = copies.join(pairs[~crowded[pairs].any(axis=1)], len(first))
    # the first file of the group: of each digest the first, and of each group the first of these
    smallest = np.full(len(first), len(entries))
    np.minimum.at(smallest, leaders, first)
    return smallest[leaders][same]


def distances(queries, looks):
    """Euclidean distances (m, n) of queries (m, d) from looks (n, d), float32."""
    squared = (looks**2).sum(axis=1) + (queries**2).sum(axis=1)[:, None] - 2 * queries @ looks.T
    return np.sqrt(np.maximum(squared, 0))
