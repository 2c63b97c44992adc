"""Files that appear whole or not at all, and locks that die with their process."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

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
    """Yield a path beside `path` to write a file to; it takes the name `path` only when the block ends without an error."""
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


@contextlib.contextmanager
def locked(path, busy):
    """Hold an exclusive lock on the file `path`; the operating system frees it however the process ends.

    Raises UserError(`busy`) at once if a live process holds it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(busy) from error
        yield
