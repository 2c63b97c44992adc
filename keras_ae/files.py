"""Files that appear whole or not at all, and locks that end with their process."""

import contextlib
import glob
import os
import shutil
import sys
from pathlib import Path

from keras_ae.errors import UserError

# what `beside` has returned in this process, absolute
_of_this_process = set()
# files that this process keeps open, by their absolute paths
_kept = {}


def beside(path, kind):
    """A hidden path of this process beside `path`, for files that are not complete ("partial") or replaced ("old").

    `recover` leaves it to this process from then on.
    """
    place = path.with_name(f".{path.name}.{kind}-{os.getpid()}")
    _of_this_process.add(os.path.abspath(place))
    return place


def remove(path):
    """Delete a file or a folder with its contents; nothing if it is missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_left_over(place):
    """Whether the process that the path `place` of `beside` belongs to has ended."""
    process = place.name.rpartition("-")[2]
    if process == str(os.getpid()):
        # in a container, a process often has the number of the one before it, which was killed
        return os.path.abspath(place) not in _of_this_process
    # on Windows, os.kill ends the process
    if os.name == "nt" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def recover(path):
    """Undo what processes that were killed left of `path`: what they had moved away returns, what was not complete goes."""
    for kind in ("old", "partial"):
        for leftover in sorted(path.parent.glob(f".{glob.escape(path.name)}.{kind}-*")):
            if _is_left_over(leftover):
                if kind == "old" and not path.exists():
                    os.replace(leftover, path)
                else:
                    remove(leftover)


@contextlib.contextmanager
def written_whole(path):
    """Yield a path beside `path` to write a file to; it is renamed to `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path, "partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        remove(partial)


@contextlib.contextmanager
def locked(path, busy, wait=False, patience=0):
    """Hold an exclusive lock on the file `path`; the operating system releases it however the process ends.

    If another process holds the lock for `patience` seconds, raises UserError(`busy`), or, with `wait`, prints `busy` to stderr
    and waits. Without the package filelock, which programs that only use exports may lack, nothing is locked.
    """
    try:
        import filelock
    except ImportError:
        yield
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    # acquired outside the block that it protects: a Timeout of a lock inside that block is not ours
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        if not wait:
            raise UserError(busy) from None
        print(busy, file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def keep(path):
    """Mark the file `path` as in use until this process ends: see `is_kept`. Nothing happens where it cannot be locked."""
    try:
        import fcntl

        file = open(path, "rb")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return
    # an earlier file of this name is closed with its mark
    _kept[os.path.abspath(path)] = file


def _is_refused(path, kind):
    """Whether a lock of a kind of `fcntl` on the file `path` would have to wait for another. It need not be writable."""
    import fcntl

    try:
        with open(path, "rb") as file:
            # for an instant, until the file is closed
            fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        # no file yet, or none that this user may read
        return isinstance(error, BlockingIOError)
    return False


def is_kept(path):
    """Whether a live process, such as this one, has marked the file `path` with `keep`."""
    try:
        import fcntl
    except ImportError:
        return False
    return _is_refused(path, fcntl.LOCK_EX)


def is_locked(path):
    """Whether a live process holds the lock on the file `path`. The file and its folder need not be writable."""
    try:
        import fcntl
    except ImportError:
        try:
            with locked(path, "busy"):
                return False
        except UserError:
            return True
        except OSError:
            return False
    return _is_refused(path, fcntl.LOCK_SH)
