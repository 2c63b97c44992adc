"""Folders of picture files."""

import hashlib
import itertools
import os
from pathlib import Path

from keras_ae.data.encoded import Encoded, Source
from keras_ae.errors import UserError
from keras_ae.images import pictures


def place(directory):
    """The whole path of a directory that a command line names. Raises UserError for one that is not local."""
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: it is not a local folder; mount it as a folder, or copy it")
    return str(Path(directory).resolve())


def listing(root, names):
    """A digest of the names, sizes and modification times of files in the folder `root`."""
    described = hashlib.sha256()
    for name in names:
        status = os.stat(os.path.join(root, name))
        described.update(os.fsencode(name) + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return described.hexdigest()


def _top(name):
    """The first folder of a relative name, or ""."""
    return pictures.printable(name.partition(os.sep)[0]) if os.sep in name else ""


def folder(directory):
    """A folder of picture files at any depth. If all are in two or more sub-folders, the sub-folders are the classes."""
    if directory is None:
        raise UserError("which folder? add --data DIR, or directory = in [data]")
    root = Path(place(directory))
    names = pictures.find_names(directory)
    labels = sorted({_top(name) for name in names})
    numbers = {label: number for number, label in enumerate(labels)} if len(labels) > 1 and "" not in labels else {}

    def items(first=0):
        chosen = itertools.islice(names, first, None)
        # each file is read where it is decoded
        for name in chosen:
            yield Encoded(pictures.printable(name), os.path.join(directory, name), numbers[_top(name)] if numbers else 0)

    return Source(pictures.printable(root.name), len(names), listing(directory, names), items, tuple(numbers))
