"""A data set decoded once into a cache on disk: the images of each side as one array, and an index.

train.npy and test.npy are uint8 (n, H, W, C), in the order of the SHA-256 digests of the files. The split depends on these
digests alone: an image is held out if the last 64 bits of its digest are below a tenth of 2**64. index.npz has the columns
`digest`, `label`, `test` and `names` (UTF-8, a NUL between two) of both sides in this order; index.json is the rest.

While files are decoded, arrays in a hidden folder have a row for each. An entry is written after its image, so that the next
process knows what is left to do if this one is killed.
"""

import dataclasses
import glob
import hashlib
import itertools
import json
import math
import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_ae import files
from keras_ae.data import copies, sources
from keras_ae.errors import UserError, explain
from keras_ae.images import pictures
from keras_ae.images.pictures import list_some

# raise when the files of a cache change, so that old ones are not read
VERSION = 10
# raise when the pixels or the split of the same files change: it is part of the fingerprint that runs and exports keep
CONTENTS = 3
HELD_OUT = 0.1
SIDES = ("train", "test")
# brightest: value of a file of 16 bits, or 0. reason: why a file is damaged, or empty
ENTRY = np.dtype(
    [("done", "?"), ("digest", "u1", 32), ("label", "<i4"), ("side", "i1"), ("brightest", "<u2"), ("reason", "S89")]
)
# number of files up to which starting processes takes longer than they save
FEW = 1000
# pieces of up to 64 files for each core that are handed out at once
ROUND = 16


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A decoded data set on disk, in two sides: "train" and "test", the held-out images.

    shape: (H, W, C). labels: names of the classes, empty if there are none. fingerprint: a digest of contents and split.
    summary, warnings: lines for the user. images, classes: by side, uint8 (n, H, W, C) as a memory map, and int32 (n,).
    """

    name: str
    n_train: int
    n_test: int
    shape: tuple
    labels: tuple
    fingerprint: str
    summary: tuple
    warnings: tuple
    folder: Path = dataclasses.field(compare=False)
    images: dict = dataclasses.field(compare=False, repr=False)
    classes: dict = dataclasses.field(compare=False, repr=False)


def _open_arrays(folder, mode="r"):
    return [np.load(folder / f"{name}.npy", mode) for name in ("pixels", "thumbnails", "entries")]


def decode_piece(folder, first, items, shape, white, fit):
    """Decode Encoded `items` to rows `first`, `first` + 1 ... of the arrays in `folder`; their number. OSError unless read."""
    images, thumbnails, entries = (array[first : first + len(items)] for array in _open_arrays(folder, "r+"))
    for number, (data, label, side) in enumerate(items):
        digest, brightest, reason = bytes(32), 0, b""
        try:
            data = data if isinstance(data, bytes) else pictures.read_bytes(data)
            digest = hashlib.sha256(data).digest()
            picture, brightest = pictures.open_picture(data, white)
            images[number] = pictures.arrange(picture, shape, fit)
            thumbnails[number] = copies.thumbnail(copies.trim(images[number]) if fit == "pad" else images[number])
        except pictures.DamagedPicture as error:
            reason = str(error).encode(errors="replace")
        side = SIDES.index(side) if side else -1
        entries[number] = True, np.frombuffer(digest, "u1"), label, side, brightest, reason
    return len(items)


def _decode(source, shape, white, fit, folder):
    """Decode the images of a source that are not in `folder` yet, on all cores, with a progress bar: its arrays."""
    import joblib

    count, piece = len(source.names), max(1, min(64, 2**23 // math.prod(shape)))
    if not (folder / "entries.npy").exists():
        kinds = {"pixels": ("uint8", shape), "thumbnails": ("float16", (copies.SIDE**2,)), "entries": (ENTRY, ())}
        for name, (kind, of_each) in kinds.items():
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (count, *of_each))
    done = _open_arrays(folder)[-1]["done"]
    if before := int(done.sum()):
        print(f"{source.name}: {before:,} of {count:,} images were decoded before", file=sys.stderr)
    items = source.items()
    pieces = ((first, list(itertools.islice(items, piece))) for first in range(0, count, piece))
    pieces = ((first, some) for first, some in pieces if not done[first : first + piece].all())
    # all of a round is handed out at once: joblib would read the source in a thread of its own, where errors are lost
    options = {"return_as": "generator", "pre_dispatch": "all", "batch_size": 1, "idle_worker_timeout": 10}
    with (
        joblib.Parallel(1 if count - before <= FEW else -1, "loky", **options) as parallel,
        tqdm(None, f"decoding {source.name}", count, initial=before, unit="image", disable=None) as progress,
    ):
        while together := list(itertools.islice(pieces, ROUND * joblib.cpu_count())):
            for decoded in parallel(joblib.delayed(decode_piece)(folder, *one, shape, white, fit) for one in together):
                progress.update(decoded)
    return _open_arrays(folder)


def _check_damage(source, reasons):
    """Warnings about damaged files, {index: reason}. Raises UserError if they are more than 5 %."""
    count, listed = len(source.names), list_some([f"{source.names[index]} ({why})" for index, why in reasons.items()], 10)
    if len(reasons) > 0.05 * count:
        raise UserError(f"{len(reasons)} of {count} files in {source.name} are damaged, more than 5 %: {listed}")
    return [f"skipped {len(reasons)} damaged of {count} files: {listed}"] if reasons else []


def _split(digests, thumbnails):
    """Whether each image is held out, bool (n,), and how many near-copies are on the side of their original."""
    # the leader of a group is its smallest digest, wherever its files are
    leaders = copies.groups(thumbnails)
    test = (digests.view(">u8")[:, -1] < int(HELD_OUT * 2**64))[leaders]
    if test.all() == test.any():
        # neither side of a very small data set may be empty: move one image
        test[0] = not test[0]
    return test, int(np.sum(leaders != np.arange(len(leaders))))


def _summarize(source, damaged, repeated, near, n_train, n_test):
    """A line for the user. The numbers add up: files - damaged - copies = training + held out."""
    removed = {"damaged": damaged, "byte-for-byte copies": repeated}
    left_out = "".join(f" - {number:,} {what}" for what, number in removed.items() if number)
    left = f"{left_out} = {n_train + n_test:,} distinct images" if left_out else ""
    assigned = f", {near:,} near-copies assigned to the side of their original" if near else ""
    return f"{source.name}: {len(source.names):,} images{left}; {n_train:,} training + {n_test:,} held out{assigned}"


def _list_doubtful(names, first, sides, labels):
    """Warnings about byte-for-byte copies on several sides or in several classes. first: of the copies of each file."""
    counts = "all count" if sides.max(initial=-1) >= 0 else "the first counts"
    for where, values in {"across the sides": sides, f"in several classes, of which {counts}": labels}.items():
        others = np.flatnonzero(values != values[first])
        _, once = np.unique(first[others], return_index=True)
        if pairs := [f"{names[first[other]]} = {names[other]}" for other in others[once]]:
            yield f"byte-for-byte copies {where}: {len(pairs):,} ({list_some(pairs)})"


def _describe(shape, white, fit):
    """What the pixels of a file depend on, as text; the usual values are left out."""
    return " ".join([str(shape), *([str(white)] if white != pictures.WHITE else []), *([fit] if fit != "crop" else [])])


def _fingerprint(described, digests, test):
    contents = hashlib.sha256(f"{CONTENTS} {described}".encode())
    for side, chosen in zip(SIDES, (~test, test), strict=True):
        for digest in digests[chosen]:
            contents.update(f"{side} {digest.tobytes().hex()}\n".encode())
    return contents.hexdigest()


def _copy_rows(source, rows, path):
    """Write rows of an array on disk to the file `path`, in little memory."""
    target = np.lib.format.open_memmap(path, "w+", source.dtype, (len(rows), *source.shape[1:]))
    # few rows: with each, the operating system maps 64 kB around it
    block = max(1, min(1000, 2**22 // source[0].nbytes))
    for first in range(0, len(rows), block):
        target[first : first + block] = source[rows[first : first + block]]
        copies.release(source)
        copies.release(target)
    return target


def _build(source, shape, white, fit, preparing, whole):
    """Decode a source in the folder `preparing`, where an earlier call may have ended anywhere; fill the folder `whole`."""
    pixels, thumbnails, entries = _decode(source, shape, white, fit, preparing)
    usable = entries["reason"] == b""
    damaged = np.flatnonzero(~usable)
    warnings = _check_damage(source, {index: entries["reason"][index].decode() for index in damaged})
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(entries["digest"][rows].view("S32").ravel(), kind="stable")]
    digests, sides = entries["digest"][rows], entries["side"][rows]
    # the first of the copies of each file
    _, distinct, group = np.unique(digests.view("S32"), return_index=True, return_inverse=True)
    first = distinct[group.ravel()]
    warnings += _list_doubtful([source.names[row] for row in rows], first, sides, entries["label"][rows])
    # within a split that the data set defines, all copies are used
    is_split = sides.max(initial=-1) >= 0
    if not is_split:
        rows, digests = rows[distinct], digests[distinct]
    if len(rows) < 2:
        raise UserError(f"{source.name} has {len(rows)} distinct usable images; at least 2 are needed")
    if is_split:
        test, near = sides == SIDES.index("test"), 0
    else:
        test, near = _split(digests, _copy_rows(thumbnails, rows, preparing / "sorted.npy"))
    if test.all() or not test.any():
        raise UserError(f"{source.name} has no images to {'train on' if test.all() else 'hold out'}")
    brightest = int(entries["brightest"][rows].max())
    if brightest and not white // 2 < brightest <= white:
        looks, least = "too bright" if brightest > white else "dark", 2 ** brightest.bit_length() - 1
        text = f"the brightest value of 16-bit files is {brightest} of {white}, so that they are {looks}"
        warnings.append(f"{text}; data.white = {least} (`white` of load_data) makes {least} white")
    for side, chosen in zip(SIDES, (~test, test), strict=True):
        _copy_rows(pixels, rows[chosen], whole / f"{side}.npy")
    names = np.frombuffer("\0".join(source.names[row] for row in rows).encode(), "u1")
    np.savez(whole / "index.npz", digest=digests, label=entries["label"][rows], test=test, names=names)
    n_test = int(np.sum(test))
    n_train, repeated = len(rows) - n_test, len(entries) - len(damaged) - len(rows)
    index = {
        "name": source.name,
        "n_train": n_train,
        "n_test": n_test,
        "shape": shape,
        "labels": source.labels,
        "fingerprint": _fingerprint(_describe(shape, white if brightest else pictures.WHITE, fit), digests, test),
        "summary": [_summarize(source, len(damaged), repeated, near, n_train, n_test)],
        "warnings": warnings,
    }
    (whole / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _open(folder):
    """The ImageSet in a cache folder; None if files are missing or damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        index |= {name: tuple(values) for name, values in index.items() if isinstance(values, list)}
        with np.load(folder / "index.npz") as columns:
            classes = {side: columns["label"][columns["test"] == (side == "test")] for side in SIDES}
        # open until this process ends: another one may replace the cache meanwhile
        images = {side: np.load(folder / f"{side}.npy", mmap_mode="r") for side in SIDES}
        return ImageSet(**index, folder=folder, images=images, classes=classes)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def prepare(source, place, shape, white=pictures.WHITE, fit="crop"):
    """The `ImageSet` of a source decoded to `shape` (H, W, C), built unless it exists. Prints its warnings on stderr.

    place: identifies the data set, such as the path of a folder; the cache of a changed folder replaces the one before. white,
    fit: see `images.pictures.decode`. Raises UserError if more than 5 % of files are damaged, or fewer than 2 images remain.
    """
    known = hashlib.sha256(f"{place} {_describe(shape, white, fit)}".encode()).hexdigest()[:12]
    name = f"{source.name}-{'x'.join(map(str, shape))}-{known}"
    state = hashlib.sha256(f"{VERSION} {source.stamp}".encode()).hexdigest()[:8]
    root = sources.cache_root() / "images"
    folder = root / f"{name}-{state}"
    preparing = root / f".{folder.name}.preparing"
    elsewhere = "name another folder in the environment variable KERAS_AE_CACHE"
    with explain(f"cannot write the cache of decoded images; {elsewhere}", OSError):
        held = files.lock(root / f".{name}.lock", f"waiting: another process is preparing {source.name}", wait=True)
    with held:
        image_set = _open(folder)
        if not image_set:
            if folder.exists():
                print(f"the cache of {source.name} is damaged; it is built again", file=sys.stderr)
            # of this and other states of the data set
            for path in [*root.glob(f"{glob.escape(name)}-*"), *root.glob(f".{glob.escape(name)}-*.preparing")]:
                if path != preparing:
                    shutil.rmtree(path, ignore_errors=True)
            whole = preparing / "whole"
            shutil.rmtree(whole, ignore_errors=True)
            whole.mkdir(parents=True)
            try:
                _build(source, shape, white, fit, preparing, whole)
            except UserError:
                shutil.rmtree(preparing)
                raise
            os.replace(whole, folder)
            shutil.rmtree(preparing)
            image_set = _open(folder)
    summary, warnings = (image_set.summary[0] + source.said,), (*source.warnings, *image_set.warnings)
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    return dataclasses.replace(image_set, summary=summary, warnings=warnings)
