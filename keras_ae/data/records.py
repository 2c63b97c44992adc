"""A data set decoded once into a cache on disk: train.tfrecord, test.tfrecord and index.json.

A record is the 4 bytes of its class (little-endian int32) and the uint8 pixels of a picture, in the order of the digests of
their files. The split depends on those digests alone: a picture is held out if its SHA-256 ends in a number below a tenth.
"""

import contextlib
import glob
import hashlib
import json
import shutil
import sys
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae.data import copies, sources
from keras_ae.errors import UserError
from keras_ae.files import folder_written_whole, locked
from keras_ae.media import images

# counts up when records or their contents change, so that old caches are not read
VERSION = 3
HELD_OUT = 0.1
MOST_DAMAGED = 0.05
NAMED = 10


def held_out(digest):
    """Whether the picture with this hexadecimal SHA-256 belongs to the test side."""
    return int(digest[-16:], 16) < HELD_OUT * 2**64


@contextlib.contextmanager
def _waiting_lock(path, what):
    told = False
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(path, "busy"))
            except UserError:
                if not told:
                    print(f"waiting: {what} is being prepared by another process", file=sys.stderr)
                told = True
                time.sleep(0.5)
                continue
            yield
            return


class _Spool:
    """Decoded pictures on disk in the order of arrival; digests, classes and thumbnails in memory."""

    def __init__(self, path, shape):
        self.path = path
        self.shape = shape
        self.digests, self.names, self.labels, self.sides, self.thumbnails = [], [], [], [], []
        self.damaged = {}
        self.copies = 0

    def fill(self, source):
        """Decode every picture of the source once, with a progress bar."""
        seen, broken = set(), {}
        with open(self.path, "wb") as file:
            for picture in tqdm(source.items(), f"decoding {source.name}", source.count, unit="picture", disable=None):
                digest = hashlib.sha256(picture.data).hexdigest()
                # a data set with a split of its own is used as it is
                if picture.side is None and digest in seen:
                    self.copies += 1
                    continue
                try:
                    # copies of a damaged file are damaged files: a hundred empty ones are a hundred
                    pixels = None if digest in broken else images.decode(picture.data, self.shape[0], self.shape[2])
                except images.DamagedPicture as error:
                    broken[digest] = str(error)
                if digest in broken:
                    self.damaged[picture.name] = broken[digest]
                    continue
                seen.add(digest)
                file.write(pixels.tobytes())
                self.digests.append(digest)
                self.names.append(picture.name)
                self.labels.append(picture.label)
                self.sides.append(picture.side)
                if picture.side is None:
                    self.thumbnails.append(copies.thumbnail(pixels))

    def pixels(self):
        return np.memmap(self.path, "uint8", "r", shape=(len(self.digests), *self.shape))


def _check_damage(source, spool):
    good, bad = len(spool.digests), len(spool.damaged)
    if not bad:
        return []
    listed = ", ".join(f"{name} ({reason})" for name, reason in list(spool.damaged.items())[:NAMED])
    more = f" and {bad - NAMED} more" if bad > NAMED else ""
    if not good or bad > MOST_DAMAGED * source.count:
        raise UserError(f"{bad} of {source.count} pictures in {source.name} are damaged, more than 5 %: {listed}{more}")
    return [f"skipped {bad} damaged of {source.count}: {listed}{more}"]


def _split(spool):
    """The side of each picture, and how many are near-copies of another."""
    if spool.sides and spool.sides[0] is not None:
        return list(spool.sides), 0
    # by digest, so that a group's leader is its smallest digest wherever its files lie
    order = sorted(range(len(spool.digests)), key=spool.digests.__getitem__)
    leaders = copies.groups(np.stack([spool.thumbnails[index] for index in order]))
    sides = [None] * len(order)
    for place, index in enumerate(order):
        sides[index] = "test" if held_out(spool.digests[order[leaders[place]]]) else "train"
    if len(order) >= 2 and len(set(sides)) == 1:
        # so few that all fell on one side: the first changes it
        first = order[0]
        sides[first] = "train" if sides[first] == "test" else "test"
    return sides, int(np.sum(leaders != np.arange(len(order))))


def _write(folder, side, indices, spool):
    pixels = spool.pixels()
    with tf.io.TFRecordWriter(str(folder / f"{side}.tfrecord")) as writer:
        for index in indices:
            writer.write(np.int32(spool.labels[index]).tobytes() + pixels[index].tobytes())


def _summary(source, spool, near, counts):
    files, distinct = source.count, len(spool.digests)
    line = f"{source.name}: {files:,} pictures"
    if spool.copies:
        line += f", {distinct:,} distinct ({spool.copies:,} byte-for-byte copies used once)"
    if near:
        line += f", {near:,} near-copies kept on their original's side"
    return [f"{line}; {counts['train']:,} to train, {counts['test']:,} held out"]


def _build(folder, source, shape):
    spool = _Spool(folder / "spool", shape)
    spool.fill(source)
    warnings = _check_damage(source, spool)
    if len(spool.digests) < 2:
        raise UserError(f"{source.name} holds {len(spool.digests)} distinct usable pictures; at least 2 are needed")
    sides, near = _split(spool)
    order = sorted(range(len(sides)), key=lambda index: (spool.digests[index], spool.names[index]))
    chosen = {side: [index for index in order if sides[index] == side] for side in ("train", "test")}
    contents = hashlib.sha256(f"{VERSION} {shape}".encode())
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
    spool.path.unlink()


def prepared(source, place, size, channels):
    """The cache folder of `source` decoded to (size, size, channels), built if it is not there.

    place: what the data set is, such as the folder's absolute path; a changed folder replaces its old cache. Raises UserError
    where too much is damaged or too little is left.
    """
    shape = (size, size, channels)
    key = hashlib.sha256(f"{place} {shape}".encode()).hexdigest()[:12]
    folder = sources.cache_root() / "records" / f"{source.name}-{size}x{size}x{channels}-{key}"
    stamp = f"{VERSION} {source.stamp}"

    def current():
        return (folder / "index.json").exists() and (folder / "stamp").read_text() == stamp

    if not current():
        with _waiting_lock(folder.with_name(f".{folder.name}.lock"), source.name):
            if not current():
                # the lock is ours: whatever lies half-written here was left by a process that was killed
                for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                with folder_written_whole(folder) as partial:
                    _build(partial, source, shape)
                    (partial / "stamp").write_text(stamp)
    return folder
