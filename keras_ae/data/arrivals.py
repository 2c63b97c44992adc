"""Decoded images on disk in their order of arrival, in shards by digest, so that an interrupted preparation can go on.

For each file of the source, `arrived` has one ENTRY and `names` its name. Images and their thumbnails lie in `pixels-K` and
`thumbnails-K` of shard K, without gaps. An entry is written after what it speaks of: files may be too long after an
interruption, never too short.
"""

import contextlib
import os
import sys

import numpy as np
from tqdm import tqdm

from keras_ae.data import decoders, thumbnails
from keras_ae.data.known import Known

KEPT, COPY, DAMAGED = range(3)
SIDES = ("train", "test")
# name: where the next name begins in `names`. A damaged file's name is followed by NUL and the reason
ENTRY = np.dtype([("digest", "u1", 32), ("label", "<i4"), ("side", "i1"), ("fate", "i1"), ("name", "<i8")])


def _append(path, parts):
    with open(path, "ab") as file:
        file.write(b"".join(parts))


def _cut(path, size):
    if path.exists():
        os.truncate(path, size)


class Arrivals:
    """What arrived in `folder`: images uint8 `shape` in `shards` shards by the first byte of their digest."""

    def __init__(self, folder, shape, shards):
        self.folder, self.shape, self.shards = folder, shape, shards
        self.entries, self.names = np.empty(0, ENTRY), b""
        # of damaged files, by digest
        self.reasons = {}
        self._load()

    def _load(self):
        if (self.folder / "arrived").exists():
            # the last entry may be cut
            whole = (self.folder / "arrived").stat().st_size // ENTRY.itemsize
            self.entries = np.fromfile(self.folder / "arrived", ENTRY, whole)
            self.names = (self.folder / "names").read_bytes()

    def pixels_of(self, shard):
        return self.folder / f"pixels-{shard:03}"

    def thumbnails_of(self, shard):
        return self.folder / f"thumbnails-{shard:03}"

    def _shards(self):
        """The shard of each entry."""
        return self.entries["digest"][:, 0].astype(int) * self.shards >> 8

    def name(self, index):
        """Name of the file with this number, and why it is damaged, or ""."""
        first = self.entries["name"][index - 1] if index else 0
        name, _, reason = self.names[first : self.entries["name"][index]].decode().partition("\0")
        return name, reason

    def fill(self, source):
        """Decode every image of the source that has not arrived yet, on all cores, with a progress bar."""
        arrived = len(self.entries)
        if arrived >= source.count:
            return
        if arrived:
            print(f"{source.name}: {arrived:,} of {source.count:,} images were decoded before", file=sys.stderr)
        known = self._recovered(source.count)
        length = int(self.entries["name"][-1]) if arrived else 0
        items, left = source.items(arrived), source.count - arrived
        description = f"decoding {source.name}"
        with (
            tqdm(None, description, source.count, initial=arrived, unit="image", disable=None) as progress,
            contextlib.closing(decoders.decoded(items, left, self.shape, () if source.split else known)) as pieces,
        ):
            for piece in pieces:
                length = self._take(piece, known, length)
                progress.update(len(piece))
        self._load()

    def _recovered(self, count):
        """Cut what has no entry; the digests that are known."""
        ends = np.bincount(self._shards()[self.entries["fate"] == KEPT], minlength=self.shards)
        _cut(self.folder / "arrived", self.entries.nbytes)
        _cut(self.folder / "names", int(self.entries["name"][-1]) if len(self.entries) else 0)
        for shard, end in enumerate(ends.tolist()):
            _cut(self.pixels_of(shard), end * int(np.prod(self.shape)))
            _cut(self.thumbnails_of(shard), end * 2 * thumbnails.SIDE**2)
        known = Known.empty(self.folder / "known", count)
        for index, (digest, fate) in enumerate(zip(self.entries["digest"], self.entries["fate"], strict=True)):
            known.add(digest.tobytes())
            if fate == DAMAGED:
                self.reasons[digest.tobytes()] = self.name(index)[1]
        return known

    def _take(self, piece, known, length):
        """Keep a list of decoded images; `length` is that of all names, before and after."""
        entries = np.empty(len(piece), ENTRY)
        names, pixels, small = [], {}, {}
        for number, (encoded, (digest, reason, image, thumbnail)) in enumerate(piece):
            fate = DAMAGED if reason else KEPT
            # copies within a split that the data set defines are kept
            if encoded.side is None and not known.add(digest):
                # every copy of a damaged file counts as damaged
                reason = self.reasons.get(digest)
                fate = DAMAGED if reason else COPY
            if fate == DAMAGED:
                self.reasons[digest] = reason
            if fate == KEPT:
                shard = digest[0] * self.shards >> 8
                pixels.setdefault(shard, []).append(image)
                small.setdefault(shard, []).append(thumbnail)
            names.append(encoded.name.encode() + (b"\0" + reason.encode(errors="replace") if fate == DAMAGED else b""))
            length += len(names[-1])
            side = -1 if encoded.side is None else SIDES.index(encoded.side)
            entries[number] = np.frombuffer(digest, "u1"), encoded.label, side, fate, length
        for shard in pixels:
            _append(self.pixels_of(shard), pixels[shard])
            _append(self.thumbnails_of(shard), small[shard])
        _append(self.folder / "names", names)
        _append(self.folder / "arrived", [entries.tobytes()])
        return length

    def sorted(self):
        """For each shard the numbers of its kept entries, and their order by digest and name as indices of these numbers."""
        shards, kept = self._shards(), self.entries["fate"] == KEPT
        # one pass: entries of one shard lie together then, in their order of arrival
        together = np.argsort(np.where(kept, shards, self.shards), kind="stable")
        ends = np.cumsum(np.bincount(shards[kept], minlength=self.shards))
        for rows in np.split(together[: ends[-1]], ends[:-1]):
            keys = [(self.entries["digest"][row].tobytes(), self.name(row)[0]) for row in rows]
            yield rows, np.array(sorted(range(len(rows)), key=keys.__getitem__), int)

    def pixels(self, shard, n):
        """The images of a shard in their order of arrival, uint8 (n, H, W, C), on disk."""
        if not n:
            return np.empty((0, *self.shape), "uint8")
        return np.memmap(self.pixels_of(shard), "uint8", "r", shape=(n, *self.shape))

    def sorted_thumbnails(self, orders):
        """The thumbnails in the order of the digests, float16 (n, 256), on disk. orders: that of each shard."""
        path = self.folder / "thumbnails"
        path.unlink(missing_ok=True)
        for shard, order in enumerate(orders):
            if len(order):
                arrived = np.fromfile(self.thumbnails_of(shard), "float16").reshape(len(order), -1)
                _append(path, [arrived[order].tobytes()])
        return np.memmap(path, "float16", "r", shape=(sum(map(len, orders)), thumbnails.SIDE**2))

    def remove(self):
        """Remove the files, which are no part of the cache."""
        for kind in ("arrived", "names", "known", "leaders.npy", "thumbnails*", "pixels-*"):
            for path in self.folder.glob(kind):
                path.unlink()
