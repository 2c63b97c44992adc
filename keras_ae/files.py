"""Files and folders that appear whole or not at all, what may be replaced, locks, and versions.

An output is written beside its place, and takes it by `os.replace` when it is complete: an error, Ctrl-C, a full disk or a
killed process leaves what was there before. A symbolic link as output is followed: its target is replaced.

An existing output is replaced only with `force`, or if it is visibly ours: a file with the mark of its kind near its beginning
or at its end (`MARKS`), or a folder in which each file has one. Beside a card.json, config.json or codes.csv with a mark, files
of kinds that are hardly written by hand (`UNMARKED`) need none. Symbolic links inside are not ours.
"""

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

from keras_ae import __version__
from keras_ae.errors import UserError

MARKS = {
    ".png": re.compile(rb"tEXtSoftware\0keras_ae"),
    ".gif": re.compile(rb"!\xfe.keras_ae", re.DOTALL),
    ".webp": re.compile(rb"\ARIFF.*EXIF.*keras_ae", re.DOTALL),
    ".mp4": re.compile(rb"\A....ftyp.*data.{8}keras_ae", re.DOTALL),
    ".html": re.compile(rb'<meta name="?generator"? content="?keras_ae'),
    ".json": re.compile(rb'\A\s*\{.*"keras_ae"\s*:', re.DOTALL),
    ".csv": re.compile(rb"\Afile,(label,z0|mse|group,kind|cluster)\b|\Aquery,rank,"),
}
UNMARKED = (".pb", ".index", ".data-00000-of-00001", ".onnx", ".tflite", ".npz", ".npy", ".parquet", "README.md")


def _is_marked(path):
    mark = MARKS.get(path.suffix.lower())
    if not mark or path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        beginning = file.read(2**20)
        file.seek(max(file.tell(), path.stat().st_size - 2**10))
        return mark.search(beginning + file.read()) is not None


def find_foreign(path):
    """The first file at or in the existing `path` that is not visibly ours; None if all of it is."""
    path = Path(path)
    files = [path] if not path.is_dir() else sorted(one for one in path.rglob("*") if one.is_symlink() or not one.is_dir())
    foreign = [file for file in files if not _is_marked(file)]
    if _is_marked(path / "clusters.csv"):
        foreign = [file for file in foreign if not file.is_symlink() or file.parts[-3] != "links"]
    if any(_is_marked(path / name) for name in ("card.json", "config.json", "codes.csv")):
        foreign = [file for file in foreign if file.is_symlink() or not file.name.endswith(UNMARKED)]
    return foreign[0] if foreign else None


def check_output(path, force=False, suffixes=()):
    """The output `path` as a Path. suffixes: of a file, such as (".png", ".gif"); none for a folder.

    Raises UserError for no name, another suffix, and what is not ours there, unless `force` allows it, which it does not for
    the current folder, the home folder and those around them.
    """
    text = str(path)
    if not text.strip() or "\0" in text:
        raise UserError(f"an output must have a name. Received: {text!r}")
    # a Path has lost one of the two slashes of gs://
    if re.match(r"[a-z][a-z0-9]+:/", text):
        raise UserError(f"an output must be local; copy it to {text} afterwards")
    path = Path(os.path.expanduser(path))
    place = Path(os.path.realpath(path))
    if suffixes and path.suffix.lower() not in suffixes:
        raise UserError(f"the name of the output must end in {' or '.join(suffixes)}. Received: {text}")
    if place.exists() and not (place.is_file() or place.is_dir() and not suffixes):
        raise UserError(f"{text} is not a file; choose another name for the output")
    if any(inner.resolve().is_relative_to(place) for inner in (Path.cwd(), Path(os.path.expanduser("~")))):
        raise UserError(f"{text} contains the current folder or the home folder; choose another name for the output")
    if place.exists() and not force and (foreign := find_foreign(place)):
        raise UserError(f"{foreign} exists and is not from keras_ae; choose another name for the output, or add `force`")
    return path


@contextlib.contextmanager
def _beside(path):
    """Yield a new hidden folder beside `path`, for what will become it; the folder is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".keras_ae-", dir=path.parent) as folder:
        yield Path(folder)


@contextlib.contextmanager
def write_file(path):
    """Yield a path, with the name of `path`, for a file that replaces it when the block ends without an error."""
    path = Path(os.path.realpath(path))
    with _beside(path) as folder:
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextlib.contextmanager
def write_folder(path, force=False):
    """Yield a new folder, which replaces the folder `path` with all its contents when the block ends without an error.

    Raises UserError as `check_output` does, at the beginning and again at the end.
    """
    path = Path(os.path.realpath(check_output(path, force)))
    with _beside(path) as folder:
        partial, old = folder / "new", folder / "old"
        partial.mkdir()
        yield partial
        check_output(path, force)
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(partial, path)
        finally:
            if old.exists() and not path.exists():
                os.replace(old, path)


def lock(path, message, wait=False):
    """An exclusive lock on the file `path`, held from now until the `with` block of the result or the process ends.

    If another process holds it, raises UserError(`message`), or, with `wait`, prints `message` to stderr and waits.
    """
    import filelock

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(path)
    try:
        return held.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            raise UserError(message) from None
    print(message, file=sys.stderr)
    return held.acquire()


def render(package, name, **values):
    """The text of the Jinja template `name` in assets/ of a package, such as `keras_ae.judge`; values are escaped in HTML."""
    import jinja2

    loader, escape = jinja2.PackageLoader("keras_ae", ""), jinja2.select_autoescape()
    options = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    environment = jinja2.Environment(loader=loader, autoescape=escape, **options)
    return environment.get_template(f"{package.rpartition('.')[2]}/assets/{name}").render(values)


def versions():
    """Versions of keras_ae and of the installed packages that influence its results: {name: version}."""
    import importlib.metadata

    found = {"keras_ae": __version__}
    for name in ("keras", "tensorflow", "tensorflow-datasets", "numpy", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
