"""Files that appear whole or not at all, output folders that are safe to replace, and locks that end with their process."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

import filelock

from keras_ae.errors import UserError


def _beside(path):
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def written_whole(path):
    """Yield a path beside `path` to write a file to; it is renamed to `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        _remove(partial)


@contextlib.contextmanager
def folder_written_whole(path):
    """Yield a new folder beside `path`; it replaces the folder `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    _remove(partial)
    try:
        partial.mkdir()
        yield partial
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise
    finally:
        for leftover in (partial, old):
            if leftover.exists():
                _remove(leftover)


def holds(name):
    """A predicate of folders: whether the folder contains a file called `name`."""
    return lambda folder: (folder / name).exists()


def check_folder(out, is_ours, kind):
    """Raise UserError unless the folder `out` is missing, empty, or one that the command may replace.

    is_ours: a predicate of the folder. kind: what the command writes, such as "a report", for the message.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and (is_ours(out) or not any(out.iterdir()))):
        raise UserError(f"{out} exists and is not {kind}; choose another --out")


@contextlib.contextmanager
def locked(path, busy, wait=False):
    """Hold an exclusive lock on the file `path`; the operating system releases it however the process ends.

    If another process holds the lock, raises UserError(`busy`), or, with `wait`, prints `busy` to stderr and waits.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    # acquired outside the block that it protects: a Timeout of a lock inside that block is not ours
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            raise UserError(busy) from None
        print(busy, file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
