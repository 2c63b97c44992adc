"""What is known of the picture files of a folder: one entry for each, kept in the cache and extended by files that are new.

An entry has the digest of the file, its size in pixels as it is seen, a small grey picture, and its look: gradients by place
and direction (histograms of oriented gradients, Dalal & Triggs 2005) and mean colours, alike for similar pictures.
"""

import hashlib
import itertools
import os

import joblib
import numpy as np
from tqdm import tqdm

from keras_ae.data import alignment, copies, sources
from keras_ae.errors import UserError
from keras_ae.files import write_file
from keras_ae.images import pictures

SIDE = alignment.SIDE
# cells of gradients in each direction, and directions of each; cells of colours, and their weight
CELLS, DIRECTIONS, COLOUR_CELLS, COLOUR_WEIGHT = 8, 6, 4, 0.5
LOOK = CELLS**2 * DIRECTIONS + COLOUR_CELLS**2 * 3
STAMP = [("bytes", "<i8"), ("modified", "<i8")]
ENTRY = np.dtype([*STAMP, ("digest", "S32"), ("sides", "<i4", 2), ("grey", "u1", (SIDE, SIDE)), ("look", "<f2", LOOK)])
VERSION = 1  # raise when entries change
# files that are described together, and how many of them take less time than to start processes
PIECE, FEW = 64, 1000


def _pool(maps, cells):
    """Means over the cells of maps (n, SIDE, SIDE, c): (n, cells**2 * c)."""
    return maps.reshape(len(maps), cells, SIDE // cells, cells, SIDE // cells, -1).mean(axis=(2, 4)).reshape(len(maps), -1)


def look(images):
    """The look of images uint8 (n, SIDE, SIDE, 3), float32 (n, LOOK)."""
    colours = images.astype("float32") @ (pictures.LUMINANCE_AND_COLOURS / 255)
    down, across = np.gradient(colours[..., :1], axis=(1, 2))
    size = np.hypot(down, across) + 1e-6
    # of angles twice as large: dark on light is as light on dark
    angles = 2 * np.pi * np.arange(DIRECTIONS, dtype="float32") / DIRECTIONS
    energies = ((across**2 - down**2) * np.cos(angles) + 2 * across * down * np.sin(angles)) / size
    parts = np.sqrt(_pool(np.maximum(energies, 0), CELLS)), _pool(colours, COLOUR_CELLS)
    edges, colours = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-3) for part in parts)
    return np.concatenate([edges, COLOUR_WEIGHT * colours], axis=1)


def describe(paths):
    """Entries of picture files, (n,), without their stamps, and why each is not usable, or ""."""
    entries, images, reasons = np.zeros(len(paths), ENTRY), np.zeros((len(paths), SIDE, SIDE, 3), "uint8"), []
    for entry, image, path in zip(entries, images, paths, strict=True):
        try:
            data = pictures.read_bytes(path)
            picture, _ = pictures.open_picture(data)
            entry["digest"], entry["sides"] = hashlib.sha256(data).digest(), pictures.measure_sides(picture)
            image[:] = pictures.arrange(picture, image.shape, "stretch")
            reasons.append("")
        except (pictures.DamagedPicture, OSError) as error:
            reasons.append(str(error))
    entries["grey"], entries["look"] = np.rint(images @ pictures.LUMINANCE_AND_COLOURS[:, 0]), look(images)
    return entries, np.array(reasons)


def _open_kept(file):
    """{name: entry} of an index on disk; none if it is missing or damaged."""
    try:
        with np.load(file) as kept:
            names = kept["names"].tobytes().decode(errors="surrogateescape").split("\0")
            return dict(zip(names, kept["entries"].astype(ENTRY), strict=True))
    except (OSError, ValueError, KeyError, EOFError):
        return {}


def read(paths, place, report):
    """Those of the picture files that can be used, a list, and their entries (n,); shows progress.

    Only new and changed files of the folder `place` are read: its index is kept, also when this is interrupted. place: None
    keeps nothing. report: a function that hears of the other files. Raises UserError if no file can be used.
    """
    key = hashlib.sha256(os.fsencode(f"{VERSION} {place and os.path.realpath(place)}")).hexdigest()[:16]
    file, names = sources.cache_root() / "index" / f"{key}.npz", [os.path.relpath(path, place) for path in paths]
    known, entries = _open_kept(file if place else ""), np.zeros(len(paths), ENTRY)
    entries["bytes"] = -1
    for row, name in enumerate(names):
        entries[row] = known.get(name, entries[row])
    stamps = np.array([pictures.stamp(path) for path in paths])
    ready = (stamps == np.stack([entries["bytes"], entries["modified"]], axis=1)).all(axis=1)
    todo = np.flatnonzero(~ready)
    pieces = [todo[first : first + PIECE] for first in range(0, len(todo), PIECE)]
    cores = joblib.Parallel(1 if len(todo) <= FEW else -1, "loky", return_as="generator", idle_worker_timeout=10)
    try:
        with cores as parallel, tqdm(None, "reading", len(todo), unit="picture", disable=None, leave=False) as progress:
            described = parallel(joblib.delayed(describe)([paths[index] for index in piece]) for piece in pieces)
            for piece, (made, reasons) in zip(pieces, described, strict=True):
                entries[piece], ready[piece] = made, reasons == ""
                for index in np.flatnonzero(reasons != ""):
                    report(f"cannot use the picture {pictures.printable(paths[piece[index]])}: {reasons[index]}")
                progress.update(len(piece))
    finally:
        entries["bytes"], entries["modified"] = stamps.T
        if place and ready.any() and (len(todo) or len(known) > len(paths)):
            text = "\0".join(itertools.compress(names, ready)).encode(errors="surrogateescape")
            with write_file(file) as partial:
                np.savez(partial, entries=entries[ready], names=np.frombuffer(text, "u1"))
    if not ready.any():
        raise UserError(f"none of these {len(paths)} picture files can be read")
    return list(itertools.compress(paths, ready)), entries[ready]


def find_groups(entries):
    """The smallest index in the group of each entry, int (n,): groups of files of the same bytes and of near-copies.

    A picture with more than `copies.CROWD` near-copies has none.
    """
    _, first, same = np.unique(entries["digest"], return_index=True, return_inverse=True)
    greys = entries["grey"][first]
    near = copies.near_pairs(np.stack([copies.thumbnail(grey[..., None]) for grey in greys]))
    pairs = np.unique(np.concatenate([near, alignment.find_moved(greys)]), axis=0)
    crowded = np.bincount(pairs.ravel(), minlength=len(first)) > copies.CROWD
    leaders = copies.join(pairs[~crowded[pairs].any(axis=1)], len(first))
    smallest = np.full(len(first), len(entries))
    np.minimum.at(smallest, leaders, first)
    return smallest[leaders][same]
