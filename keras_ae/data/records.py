"""A data set decoded once into a cache on disk: train.tfrecord, test.tfrecord and index.json.

A record is the class (little-endian int32) and the uint8 pixels of an image. Records are sorted by the SHA-256 digests of their
files. The split depends on these digests alone: an image is held out if the last 64 bits of its digest are below a tenth of
2**64.
"""

import collections
import functools
import glob
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae import outputs
from keras_ae.data import copies, sources
from keras_ae.errors import UserError
from keras_ae.files import locked, remove
from keras_ae.media import images

# raise when the records, the index or the search for near-copies change, so that old caches are not read
VERSION = 6
# raise when the pixels or the split of the same files change: it is part of the fingerprint that runs and exports keep
CONTENTS = 3
HELD_OUT = 0.1
MOST_DAMAGED = 0.05
# bytes of a file below which decoding is mostly Python, which runs on one core at a time
SMALL = 16_000
# bytes of files that wait to be decoded
AHEAD = 32_000_000
# most damaged files that a message lists
LISTED = 10


def held_out(digest):
    """Whether the image whose file has this hexadecimal SHA-256 is held out."""
    return int(digest[-16:], 16) < HELD_OUT * 2**64


def _read(data, shape, known):
    """A picture file as (digest, pixels uint8 `shape`, thumbnail, None), or (digest, None, None, why it is damaged).

    known: reasons or None by digest, of files that were read before and are not decoded again.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest in known:
        return digest, None, None, known[digest]
    try:
        pixels = images.decode(data, shape[0], shape[2])
    except images.DamagedPicture as error:
        return digest, None, None, str(error)
    return digest, pixels, copies.thumbnail(pixels), None


class _Spool:
    """Decoded images and their thumbnails on disk in their order of arrival; digests and classes in memory."""

    def __init__(self, path, shape):
        self.path = path
        self.shape = shape
        self.thumbnails = path.with_name("thumbnails")
        self.digests, self.names, self.labels, self.sides = [], [], [], []
        # names and reasons; and reasons, or None, by digest
        self.damaged, self.known = [], {}
        self.copies = 0

    def fill(self, source):
        """Decode every image of the source once, on all cores and in the order of the source, with a progress bar."""
        progress = tqdm(source.items(), f"decoding {source.name}", source.count, unit="image", disable=None)
        cores = os.cpu_count() or 1
        pool, waiting = ThreadPoolExecutor(cores), collections.deque()
        with open(self.path, "wb") as file, open(self.thumbnails, "wb") as thumbnails:
            try:
                for encoded in progress:
                    # copies within a split that the data set defines are kept
                    known = self.known if encoded.side is None else {}
                    read = functools.partial(_read, encoded.data, self.shape, known)
                    waiting.append((encoded, read if len(encoded.data) < SMALL else pool.submit(read).result))
                    while len(waiting) > 4 * cores or sum(len(first.data) for first, _ in waiting) > AHEAD:
                        self._take(file, thumbnails, *waiting.popleft())
                while waiting:
                    self._take(file, thumbnails, *waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _take(self, file, thumbnails, encoded, read):
        """Keep an image, or count it as damaged or as a copy. read: a function that returns what `_read` does."""
        digest, pixels, thumbnail, reason = read()
        if reason:
            # every copy of a damaged file counts as damaged
            self.damaged.append((encoded.name, reason))
        elif encoded.side is None and digest in self.known:
            self.copies += 1
        else:
            file.write(pixels.tobytes())
            self.digests.append(digest)
            self.names.append(encoded.name)
            self.labels.append(encoded.label)
            self.sides.append(encoded.side)
            if encoded.side is None:
                thumbnails.write(thumbnail.tobytes())
        self.known[digest] = reason

    def files(self):
        """The number of files that were read: damaged ones, copies, and one for each decoded image."""
        return len(self.damaged) + self.copies + len(self.digests)

    def pixels(self):
        return np.memmap(self.path, "uint8", "r", shape=(len(self.digests), *self.shape))

    def sorted_thumbnails(self, order):
        """The thumbnails in the order of the indices `order`, float16 (n, 256), on disk."""
        arrived = np.memmap(self.thumbnails, "float16", "r", shape=(len(order), copies.SIDE**2))
        path = self.thumbnails.with_name("thumbnails-sorted")
        thumbnails = np.memmap(path, "float16", "w+", shape=arrived.shape)
        for first in range(0, len(order), copies.BLOCK):
            thumbnails[first : first + copies.BLOCK] = arrived[order[first : first + copies.BLOCK]]
        return thumbnails

    def remove(self):
        """Remove the files, which are no part of the cache."""
        for path in (self.path, *self.path.parent.glob("thumbnails*")):
            path.unlink()


def _check_damage(source, spool):
    """Warnings about damaged files. Raises UserError if there are too many."""
    good, bad, files = len(spool.digests), len(spool.damaged), spool.files()
    if not bad:
        return []
    listed = ", ".join(f"{name} ({reason})" for name, reason in spool.damaged[:LISTED])
    more = f" and {bad - LISTED} more" if bad > LISTED else ""
    if not good or bad > MOST_DAMAGED * files:
        raise UserError(f"{bad} of {files} files in {source.name} are damaged, more than 5 %: {listed}{more}")
    return [f"skipped {bad} damaged of {files} files: {listed}{more}"]


def _split(spool):
    """The side of each image, and the number of near-copies that were assigned to the side of their original."""
    if spool.sides and spool.sides[0] is not None:
        return list(spool.sides), 0
    # by digest: the leader of a group is its smallest digest, wherever its files are
    order = sorted(range(len(spool.digests)), key=spool.digests.__getitem__)
    leaders = copies.groups(spool.sorted_thumbnails(order))
    sides = [None] * len(order)
    for place, index in enumerate(order):
        sides[index] = "test" if held_out(spool.digests[order[leaders[place]]]) else "train"
    if len(order) >= 2 and len(set(sides)) == 1:
        # neither side of a very small data set may be empty: move one image
        first = order[0]
        sides[first] = "train" if sides[first] == "test" else "test"
    return sides, int(np.sum(leaders != np.arange(len(order))))


def _write(folder, side, indices, spool):
    pixels = spool.pixels()
    with tf.io.TFRecordWriter(str(folder / f"{side}.tfrecord")) as writer:
        for index in indices:
            writer.write(np.int32(spool.labels[index]).tobytes() + pixels[index].tobytes())


def _summary(source, spool, near, counts):
    """Lines for the user. The numbers add up: files - damaged - copies = training + held out."""
    line = f"{source.name}: {spool.files():,} images"
    if spool.damaged:
        line += f" - {len(spool.damaged):,} damaged"
    if spool.copies:
        line += f" - {spool.copies:,} byte-for-byte copies"
    if spool.damaged or spool.copies:
        line += f" = {len(spool.digests):,} distinct images"
    line += f"; {counts['train']:,} training + {counts['test']:,} held out"
    return [line + (f", {near:,} near-copies assigned to the side of their original" if near else "")]


def _build(folder, source, shape):
    spool = _Spool(folder / "spool", shape)
    spool.fill(source)
    warnings = _check_damage(source, spool)
    if len(spool.digests) < 2:
        raise UserError(f"{source.name} has {len(spool.digests)} distinct usable images; at least 2 are needed")
    sides, near = _split(spool)
    order = sorted(range(len(sides)), key=lambda index: (spool.digests[index], spool.names[index]))
    chosen = {side: [index for index in order if sides[index] == side] for side in ("train", "test")}
    contents = hashlib.sha256(f"{CONTENTS} {shape}".encode())
    for side, indices in chosen.items():
        _write(folder, side, indices, spool)
        contents.update("".join(f"{side} {spool.digests[index]}\n" for index in indices).encode())
    counts = {side: len(indices) for side, indices in chosen.items()}
    index = {
        "name": source.name,
        "shape": shape,
        "labels": source.labels,
        "fingerprint": contents.hexdigest(),
        "counts": counts,
        "summary": _summary(source, spool, near, counts),
        "warnings": warnings,
        "files": {side: [[spool.names[i], spool.digests[i]] for i in indices] for side, indices in chosen.items()},
    }
    (folder / "index.json").write_text(json.dumps(index))
    spool.remove()


def _stamp_of(folder):
    try:
        return (folder / "stamp").read_text()
    except (OSError, ValueError):
        return None


def _earlier(stamp):
    """Whether a stamp is one of an earlier version of this package."""
    version = (stamp or "").partition(" ")[0]
    return version.isdecimal() and int(version) < VERSION


def prepared(source, place, size, channels):
    """The cache folder of `source` decoded to (size, size, channels), built unless it exists.

    place: identifies the data set, such as the absolute path of a folder; the cache of a changed folder is replaced, and so is
    a cache whose files are missing or damaged. Raises UserError if too many picture files are damaged, or fewer than 2 images
    remain.
    """
    shape = (size, size, channels)
    key = hashlib.sha256(f"{place} {shape}".encode()).hexdigest()[:12]
    folder = sources.cache_root() / "records" / f"{source.name}-{size}x{size}x{channels}-{key}"
    stamp = f"{VERSION} {source.stamp}"

    def current():
        return _stamp_of(folder) == stamp and outputs.intact(folder)

    if not current():
        busy = f"waiting: another process is preparing {source.name}"
        with locked(folder.with_name(f".{folder.name}.lock"), busy, wait=True):
            if not current():
                if folder.exists() and _stamp_of(folder) in (None, stamp):
                    print(f"the cache of {source.name} is damaged; it is built again", file=sys.stderr)
                elif _earlier(_stamp_of(folder)):
                    print(f"the cache of {source.name} is of an earlier version; it is built again", file=sys.stderr)
                # this process has the lock: partial folders here were left by processes that were killed
                for leftover in [folder, *folder.parent.glob(f".{glob.escape(folder.name)}.*-*")]:
                    remove(leftover)
                with outputs.folder(folder) as partial:
                    _build(partial, source, shape)
                    (partial / "stamp").write_text(stamp)
    return folder
