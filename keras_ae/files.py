"""Files and folders that appear whole or not at all, what may be replaced, locks, and versions.

An output is written beside its place, and takes it by `os.replace` when it is complete: an error, Ctrl-C or a full disk leaves
what was there before. What a killed process left is removed by the next one that writes the same output.

An existing output is replaced only if it is visibly ours, or with `force`. Ours is

- a file with the mark of its kind near its beginning (`MARKS`): a PNG with the text `Software: keras_ae`, a GIF with the
  comment `keras_ae`, an HTML page with the generator keras_ae, a JSON object with the key "keras_ae", our header of a table;
- a folder in which each file has such a mark, an empty one too; beside a card.json, config.json or codes.csv with a mark, files
  of kinds that are hardly written by hand (`UNMARKED`) need none. Symbolic links inside are not ours.

A symbolic link as output is followed: its target is replaced.
"""

import contextlib
import glob
import itertools
import os
import re
import shutil
import sys
from pathlib import Path

from keras_ae.errors import UserError

MARKS = {
    ".png": re.compile(rb"tEXtSoftware\0keras_ae"),
    ".gif": re.compile(rb"!\xfe.keras_ae", re.DOTALL),
    ".html": re.compile(rb'<meta name="?generator"? content="?keras_ae'),
    ".json": re.compile(rb'\A\s*\{.*"keras_ae"\s*:', re.DOTALL),
    ".csv": re.compile(rb"\Afile,(label,z0|mse)\b"),
}
UNMARKED = (".pb", ".index", ".data-00000-of-00001", ".onnx", ".tflite", ".npz", ".tsv", ".pbtxt", "README.md")

# partial files and folders that this process is writing
_open = set()
_numbers = itertools.count()


def _is_marked(path):
    mark = MARKS.get(path.suffix.lower())
    if not mark or path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        return mark.search(file.read(2**20)) is not None


def find_foreign(path):
    """The first file at or in the existing `path` that is not visibly ours; None if all of it is."""
    path = Path(path)
    if not path.is_dir():
        return None if _is_marked(path) else path
    files = sorted(file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    others = [file for file in files if not _is_marked(file)]
    if any(_is_marked(path / name) for name in ("card.json", "config.json", "codes.csv")):
        others = [file for file in others if file.is_symlink() or not file.name.endswith(UNMARKED)]
    return others[0] if others else None


def check_output(path, force=False, suffixes=()):
    """The output `path` as a Path.

    suffixes: of a file, such as (".png", ".gif"); none for a folder. Raises UserError if the name is none or has another
    suffix, or what is there is not ours. With `force` the latter is allowed, except for the current folder, the home folder and
    the folders around them.
    """
    text = str(path)
    if not text.strip() or "\0" in text:
        raise UserError(f"an output must have a name. Received: {text!r}")
    # a Path has lost one of the two slashes of gs://
    if re.match(r"[a-z][a-z0-9]+:/", text):
        raise UserError(f"an output must be local; copy it to {text} afterwards")
    path, place = Path(path), Path(os.path.realpath(path))
    if suffixes and path.suffix.lower() not in suffixes:
        raise UserError(f"the name of the output must end in {' or '.join(suffixes)}. Received: {text}")
    if place.exists() and not (place.is_file() or place.is_dir() and not suffixes):
        raise UserError(f"{text} is not a file; choose another name for the output")
    if any(inner.resolve().is_relative_to(place) for inner in (Path.cwd(), Path(os.path.expanduser("~")))):
        raise UserError(f"{text} contains the current folder or the home folder; choose another name for the output")
    if place.exists() and not force and (foreign := find_foreign(place)):
        raise UserError(f"{foreign} exists and is not from keras_ae; choose another name for the output, or add `force`")
    return path


def remove(path):
    """Delete a file, or a folder with its contents; nothing if it is missing."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_dead(partial):
    """Whether the process that a partial output belongs to has ended."""
    process = partial.name.rpartition(".partial-")[2].partition("-")[0]
    # in a container, a process often has the number of the one before it, which was killed
    if process == str(os.getpid()):
        return partial not in _open
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


@contextlib.contextmanager
def _beside(path):
    """Yield a hidden path beside `path` for its partial contents, which is removed at the end if it still exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # what is inside another partial output ends with it
    if path.parent not in _open:
        for partial in path.parent.glob(f".{glob.escape(path.stem)}.partial-*-*{glob.escape(path.suffix)}"):
            if _is_dead(partial):
                remove(partial)
    partial = path.with_name(f".{path.stem}.partial-{os.getpid()}-{next(_numbers)}{path.suffix}")
    _open.add(partial)
    try:
        yield partial
    finally:
        remove(partial)
        _open.discard(partial)


@contextlib.contextmanager
def write_file(path):
    """Yield a path, with the suffix of `path`, for a file that becomes `path` when the block ends without an error.

    It replaces whatever file is there: `check_output` comes first for outputs that users name.
    """
    path = Path(os.path.realpath(path))
    with _beside(path) as partial:
        yield partial
        os.replace(partial, path)


@contextlib.contextmanager
def write_folder(path, force=False):
    """Yield a new folder, which replaces the folder `path` with all its contents when the block ends without an error.

    Raises UserError as `check_output` does, at the beginning and again at the end.
    """
    path = Path(os.path.realpath(check_output(path, force)))
    with _beside(path) as partial:
        partial.mkdir()
        yield partial
        check_output(path, force)
        with _beside(path) as old:
            try:
                if path.exists():
                    os.replace(path, old)
                os.replace(partial, path)
            finally:
                if old.exists() and not path.exists():
                    os.replace(old, path)


@contextlib.contextmanager
def lock(path, message, wait=False):
    """Hold an exclusive lock on the file `path`; the operating system releases it however the process ends.

    If another process holds it, raises UserError(`message`), or, with `wait`, prints `message` to stderr and waits.
    """
    import filelock

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(path)
    # acquired outside the block that it protects: a Timeout of a lock inside that block is not ours
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            raise UserError(message) from None
        print(message, file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def versions():
    """Versions of keras_ae and of the installed packages that influence its results: {name: version}."""
    import importlib.metadata

    from keras_ae import __version__

    found = {"keras_ae": __version__}
    for name in ("keras", "tensorflow", "tensorflow-datasets", "numpy", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
