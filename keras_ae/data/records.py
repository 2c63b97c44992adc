"""A data set decoded once into a cache on disk: shards of records for each side, index.json, and index.npz.

A record is the class (little-endian int32) and the uint8 pixels of an image. Records are sorted by the SHA-256 digests of their
files, through all shards of a side. The split depends on these digests alone: an image is held out if the last 64 bits of its
digest are below a tenth of 2**64.

index.json says how many records each shard has. index.npz has one column for each property of the images, in the order of the
digests: `digest` uint8 (n, 32), `label`, `test` (whether it is held out), `shard` and `row` among the records of its side. The
file name of image i is names[name[i] : name[i + 1]], in UTF-8.
"""

import glob
import hashlib
import json
import sys

import numpy as np
import tensorflow as tf

from keras_ae import files, outputs
from keras_ae.data import copies, sources
from keras_ae.data.arrivals import COPY, DAMAGED, SIDES, Arrivals
from keras_ae.errors import UserError
from keras_ae.files import remove, written_whole

# raise when the records, the index or the search for near-copies change, so that old caches are not read
VERSION = 7
# raise when the pixels or the split of the same files change: it is part of the fingerprint that runs and exports keep
CONTENTS = 3
HELD_OUT = 0.1
MOST_DAMAGED = 0.05
# most damaged files that a message lists
LISTED = 10
# bytes of images up to which there is one shard: the shuffle buffer holds most of it. Of more there are many shards, so that
# their order mixes the images
SHARD = 2**28
LEAST_SHARDS, MOST_SHARDS = 64, 256
# bytes of records up to which their digests are checked when a cache is opened; of more, the sizes of their files
CHECKED = 2**31


def held_out(digest):
    """Whether the image whose file has this hexadecimal SHA-256 is held out."""
    return int(digest[-16:], 16) < HELD_OUT * 2**64


def shards_for(count, shape):
    """The number of shards, a power of two, for so many images of this shape."""
    full = (count * int(np.prod(shape)) - 1) // SHARD
    return min(max(1 << full.bit_length(), LEAST_SHARDS), MOST_SHARDS) if full else 1


def files_of(folder, side, shards):
    """The paths of the records of a side."""
    return [folder / f"{side}-{shard:03}-of-{shards:03}.tfrecord" for shard in range(shards)]


def _check_damage(source, arrivals):
    """Warnings about damaged files. Raises UserError if there are too many."""
    damaged, files = np.flatnonzero(arrivals.entries["fate"] == DAMAGED), len(arrivals.entries)
    if not len(damaged):
        return []
    listed = ", ".join("{} ({})".format(*arrivals.name(index)) for index in damaged[:LISTED])
    more = f" and {len(damaged) - LISTED} more" if len(damaged) > LISTED else ""
    if len(damaged) == files or len(damaged) > MOST_DAMAGED * files:
        raise UserError(f"{len(damaged)} of {files} files in {source.name} are damaged, more than 5 %: {listed}{more}")
    return [f"skipped {len(damaged)} damaged of {files} files: {listed}{more}"]


def _leaders(arrivals, orders):
    """For each image, in the order of the digests, the first one of its group of near-copies; also saved."""
    path = arrivals.folder / "leaders.npy"
    if not path.exists():
        found = copies.groups(arrivals.sorted_thumbnails(orders))
        with written_whole(path) as partial, open(partial, "wb") as file:
            np.save(file, found)
    return np.load(path)


def _split(arrivals, order, orders):
    """Whether each image is held out, bool (n,), and the number of near-copies that are on the side of their original.

    order: the numbers of the images in the order of the digests; orders: the places of those of each shard.
    """
    sides = arrivals.entries["side"][order]
    if sides[0] >= 0:
        return sides == SIDES.index("test"), 0
    # by digest: the leader of a group is its smallest digest, wherever its files are
    leaders = _leaders(arrivals, orders)
    last = arrivals.entries["digest"][order][:, -8:].copy().view(">u8")[:, 0]
    test = (last < int(HELD_OUT * 2**64))[leaders]
    if len(test) >= 2 and test.all() == test.any():
        # neither side of a very small data set may be empty: move one image
        test[0] = not test[0]
    return test, int(np.sum(leaders != np.arange(len(leaders))))


def _write(arrivals, shard, order, labels, test):
    """Write the records of a shard, sorted, and remove its images in their order of arrival."""
    paths = [files_of(arrivals.folder, side, arrivals.shards)[shard] for side in SIDES]
    if not all(path.exists() for path in paths):
        pixels = arrivals.pixels(shard, len(order))
        for path, held in zip(paths, (False, True), strict=True):
            with written_whole(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
                for place in np.flatnonzero(test == held):
                    writer.write(labels[place].tobytes() + pixels[order[place]].tobytes())
    arrivals.pixels_of(shard).unlink(missing_ok=True)


def _summary(source, arrivals, near, counts):
    """Lines for the user. The numbers add up: files - damaged - copies = training + held out."""
    files = len(arrivals.entries)
    damaged, repeated = (int(np.sum(arrivals.entries["fate"] == fate)) for fate in (DAMAGED, COPY))
    line = f"{source.name}: {files:,} images"
    if damaged:
        line += f" - {damaged:,} damaged"
    if repeated:
        line += f" - {repeated:,} byte-for-byte copies"
    if damaged or repeated:
        line += f" = {files - damaged - repeated:,} distinct images"
    line += f"; {counts['train']:,} training + {counts['test']:,} held out"
    return [line + (f", {near:,} near-copies assigned to the side of their original" if near else "")]


def _fingerprint(shape, digests, test):
    contents = hashlib.sha256(f"{CONTENTS} {shape}".encode())
    for side, chosen in zip(SIDES, (~test, test), strict=True):
        for digest in digests[chosen]:
            contents.update(f"{side} {digest.tobytes().hex()}\n".encode())
    return contents.hexdigest()


def _write_columns(arrivals, order, shard, test):
    """Write index.npz. shard: that of each image."""
    row = np.empty(len(order), "int64")
    for chosen in (~test, test):
        of = shard[chosen]
        row[chosen] = np.arange(len(of)) - np.searchsorted(of, of)
    names = [arrivals.name(index)[0].encode() for index in order]
    entries = arrivals.entries[order]
    with written_whole(arrivals.folder / "index.npz") as partial, open(partial, "wb") as file:
        np.savez(
            file,
            digest=entries["digest"],
            label=entries["label"],
            test=test,
            shard=shard.astype("uint8"),
            row=row.astype("uint32"),
            name=np.cumsum([0, *map(len, names)]),
            names=np.frombuffer(b"".join(names), "u1"),
        )


def _build(arrivals, source):
    """Make the files of the cache from what arrived, in the same folder; an earlier call may have ended at any moment."""
    folder, shape = arrivals.folder, arrivals.shape
    arrivals.fill(source)
    warnings = _check_damage(source, arrivals)
    rows, orders = zip(*arrivals.sorted(), strict=True)
    order = np.concatenate([of[places] for of, places in zip(rows, orders, strict=True)])
    if len(order) < 2:
        raise UserError(f"{source.name} has {len(order)} distinct usable images; at least 2 are needed")
    test, near = _split(arrivals, order, orders)
    shard = np.repeat(np.arange(arrivals.shards), list(map(len, orders)))
    for number, places in enumerate(orders):
        inside = shard == number
        _write(arrivals, number, places, arrivals.entries["label"][order[inside]], test[inside])
    _write_columns(arrivals, order, shard, test)
    counts = {side: int(np.sum(chosen)) for side, chosen in zip(SIDES, (~test, test), strict=True)}
    index = {
        "name": source.name,
        "shape": shape,
        "labels": source.labels,
        "fingerprint": _fingerprint(shape, arrivals.entries["digest"][order], test),
        "counts": counts,
        "shards": {
            side: np.bincount(shard[chosen], minlength=arrivals.shards).tolist()
            for side, chosen in zip(SIDES, (~test, test), strict=True)
        },
        "summary": _summary(source, arrivals, near, counts),
        "warnings": warnings,
    }
    with written_whole(folder / "index.json") as partial:
        partial.write_text(json.dumps(index), encoding="utf-8")


def _stamp_of(folder):
    try:
        return (folder / "stamp").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _earlier(stamp):
    """Whether a stamp is one of an earlier version of this package."""
    version = (stamp or "").partition(" ")[0]
    return version.isdecimal() and int(version) < VERSION


def _whole(folder):
    """Whether a cache is as it was written: digests of all files, or, where there are many records, sizes of theirs."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        # length and two checksums, class, pixels
        record = 16 + 4 + int(np.prod(index["shape"]))
        sizes = {}
        for side, counts in index["shards"].items():
            sizes |= {path: record * n for path, n in zip(files_of(folder, side, len(counts)), counts, strict=True)}
        if any(path.stat().st_size != size for path, size in sizes.items()):
            return False
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return outputs.intact(folder, {path.name for path in sizes} if sum(sizes.values()) > CHECKED else ())


def prepared(source, place, size, channels):
    """The cache folder of `source` decoded to (size, size, channels), built unless it exists.

    place: identifies the data set, such as the absolute path of a folder; the cache of a changed folder is replaced as soon as
    no process uses it, and a cache whose files are missing or damaged at once. If this is interrupted, the next call goes on.
    Raises UserError if too many picture files are damaged, or fewer than 2 images remain.
    """
    shape = (size, size, channels)
    name = f"{source.name}-{size}x{size}x{channels}-{hashlib.sha256(f'{place} {shape}'.encode()).hexdigest()[:12]}"
    stamp = f"{VERSION} {source.stamp}"
    folder = sources.cache_root() / "records" / f"{name}-{hashlib.sha256(stamp.encode()).hexdigest()[:8]}"

    def current():
        return _stamp_of(folder) == stamp and _whole(folder)

    files.keep(folder / "stamp")
    if not current():
        with files.locked(folder.with_name(f".{name}.lock"), f"waiting: another process is preparing {source.name}", wait=True):
            if not current():
                # of other states of the data set; the first version had a single one
                others = [path for path in folder.parent.glob(f"{glob.escape(name)}*") if path != folder]
                earlier = any(_earlier(_stamp_of(path)) for path in (folder, *others))
                if reason := "of an earlier version" if earlier else "damaged" if folder.exists() else "":
                    print(f"the cache of {source.name} is {reason}; it is built again", file=sys.stderr)
                # this process has the lock: partial folders here were left by processes that were killed
                unused = [path for path in others if not files.is_kept(path / "stamp")]
                for leftover in [folder, *unused, *folder.parent.glob(f".{glob.escape(name)}*.*-*")]:
                    remove(leftover)
                preparing = folder.with_name(f".{name}.preparing")
                if _stamp_of(preparing) != stamp:
                    remove(preparing)
                    preparing.mkdir(parents=True)
                    (preparing / "stamp").write_text(stamp, encoding="utf-8")
                arrivals = Arrivals(preparing, shape, shards_for(source.count, shape))
                try:
                    # written last
                    if not (preparing / "index.json").exists():
                        _build(arrivals, source)
                except UserError:
                    remove(preparing)
                    raise
                arrivals.remove()
                outputs.complete(preparing, folder)
        files.keep(folder / "stamp")
    return folder
