"""Folders of picture files: local ones, and those of Google Cloud Storage (`gs://`), which are read through etils.epath."""

import contextlib
import hashlib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf
from etils import epath

from keras_ae.data.encoded import Encoded, Source
from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.processes import in_order

REMOTE = "gs://"
# requests that wait for an answer at a time
REQUESTS = 32


def is_remote(directory):
    """Whether a directory is in Google Cloud Storage. Raises UserError for other places that are not local."""
    if str(directory).startswith(REMOTE):
        return True
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: local folders and {REMOTE} work; mount it as a folder, or copy it")
    return False


def place(directory):
    """The whole path of a directory that a command line names."""
    return str(directory).rstrip("/") if is_remote(directory) else str(Path(directory).resolve())


def listing(root, names):
    """A digest of the names, sizes and modification times of files in the folder `root`."""
    described = hashlib.sha256()
    for name in names:
        status = os.stat(os.path.join(root, name))
        described.update(os.fsencode(name) + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return described.hexdigest()


def _requested(function, values):
    """The function of each value, in their order, up to REQUESTS at a time."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        try:
            yield from in_order(pool, function, values, REQUESTS)
        finally:
            pool.shutdown(cancel_futures=True)


def _raise(error):
    raise error


@contextlib.contextmanager
def reading(root):
    """Turn errors of reading the directory `root` of Google Cloud Storage into a UserError."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"cannot read {root}: {reason}") from error


def _remote_names(root):
    """What `pictures.find_names` does, for a folder of Google Cloud Storage."""
    found = []
    for folder, _, files in root.walk(on_error=_raise):
        inside = str(folder)[len(str(root)) :].strip("/")
        names = [f"{inside}/{name}" if inside else name for name in files]
        found += [name for name in names if pictures.is_picture(name)]
    if not found:
        raise UserError(f"no picture files in {root}: looked for {', '.join(pictures.SUFFIXES)} at any depth")
    return sorted(found, key=lambda name: name.split("/"))


def _remote_listing(root, names):
    described = hashlib.sha256()
    for name, status in zip(names, _requested(lambda name: (root / name).stat(), names), strict=True):
        described.update(f"{name}\0{status.length}\0{status.mtime}\n".encode())
    return described.hexdigest()


def _remote_contents(root, names):
    def contents(name):
        with reading(root), (root / name).open("rb") as file:
            return file.read(pictures.MOST_BYTES + 1)

    return _requested(contents, names)


def _top(name):
    """The first folder of a relative name, or ""."""
    return pictures.printable(name.partition(os.sep)[0]) if os.sep in name else ""


def folder(directory):
    """A folder of picture files at any depth. If all are in two or more sub-folders, the sub-folders are the classes."""
    if directory is None:
        raise UserError("which folder? add --data DIR, or directory = in [data]")
    if is_remote(directory):
        root = epath.Path(place(directory))
        with reading(root):
            names = _remote_names(root)
            stamp, contents = _remote_listing(root, names), lambda chosen: _remote_contents(root, chosen)
    else:
        root = Path(directory)
        names = pictures.find_names(root)
        # each is read where it is decoded
        stamp, contents = listing(root, names), lambda chosen: (os.path.join(root, name) for name in chosen)
    labels = sorted({_top(name) for name in names})
    numbers = {label: number for number, label in enumerate(labels)} if len(labels) > 1 and "" not in labels else {}

    def items(first=0):
        chosen = itertools.islice(names, first, None)
        for name, data in zip(itertools.islice(names, first, None), contents(chosen), strict=True):
            yield Encoded(pictures.printable(name), data, numbers[_top(name)] if numbers else 0)

    return Source(pictures.printable(Path(place(directory)).name), len(names), stamp, items, tuple(numbers))
