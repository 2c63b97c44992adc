"""What commands write for the user: files and folders that they replace only where they can prove that they wrote them.

The proof is a manifest, the hidden file `.keras_ae.json` in the folder of the files, with the SHA-256 of each file that a
command wrote there. A file that is not in it, or that was changed since, is the user's own: commands refuse to replace it, and
never delete it.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from keras_ae import files
from keras_ae.errors import UserError

MANIFEST = ".keras_ae.json"


def digest(path):
    """The SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written(folder):
    """{name: [SHA-256, ...]} of the files below `folder` that its manifest lists; {} without a manifest that can be read.

    More than one digest: a file was about to be replaced when its process ended.
    """
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {name: list(digests) for name, digests in listed.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _write_manifest(folder, listed):
    with files.written_whole(folder / MANIFEST) as partial:
        partial.write_text(json.dumps({"files": listed}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _inside(folder):
    """Names of the files below `folder`, relative to it with slashes; links to folders count as files."""
    for root, folders, names in os.walk(folder):
        place = Path(root)
        links = [name for name in folders if (place / name).is_symlink()]
        yield from ((place / name).relative_to(folder).as_posix() for name in [*names, *links])


def _proven(path, digests):
    return path.is_file() and not path.is_symlink() and digest(path) in digests


def _own(folder, name, listed):
    """Whether a command wrote the file `name` of `folder`, as part of the folder or on its own."""
    path = folder / name
    alone = [] if path.parent == folder else written(path.parent).get(path.name, [])
    return path.name == MANIFEST or _proven(path, [*listed.get(name, []), *alone])


def _named(out):
    """`out` as a path that has a name. Raises UserError for "", "." and "/"."""
    path = Path(out)
    if not str(out).strip() or not path.name or path.name == "..":
        raise UserError(f"--out must name a file or a folder. Received: '{out}'")
    # a Path has lost one of the two slashes of gs://
    if re.fullmatch(r"[a-z][a-z0-9]+:", path.parts[0]):
        raise UserError(f"--out must be local, and may be copied to {path.parts[0]}// afterwards. Received: {out}")
    if "\0" in str(out):
        raise UserError(f"--out must not contain a NUL character. Received: {str(out)!r}")
    return path


def check_file(out):
    """`out` as a Path. Raises UserError unless the file is missing, or a command wrote it and nobody has changed it since."""
    path = _named(out)
    if path.is_dir():
        raise UserError(f"--out {path} is a folder; name a file in it")
    if (path.exists() or path.is_symlink()) and not _proven(path, written(path.parent).get(path.name, [])):
        raise UserError(f"{path} exists, and keras_ae did not write it as it is now; move it, or choose another --out")
    return path


def check_folder(out):
    """`out` as a Path. Raises UserError unless it is missing, empty, or a folder of files that commands wrote, unchanged."""
    path = check_place(out)
    listed = written(path)
    for name in sorted(_inside(path)) if path.exists() else ():
        if not _own(path, name, listed):
            raise UserError(
                f"{path} contains {name}, which keras_ae did not write as it is now; move it, or choose another --out"
            )
    return path


def check_place(out):
    """`out` as a Path, for a folder that gets files beside what is there. Raises UserError unless it is missing or a folder."""
    path = _named(out)
    if path.exists() and not path.is_dir():
        raise UserError(f"--out {path} is a file; name a folder")
    return path


def intact(folder, unread=()):
    """Whether `folder` contains every file that its manifest lists, with the contents that were written.

    The contents of the files named in `unread` are not compared.
    """
    listed = written(folder)
    return bool(listed) and all(
        (folder / name).is_file() if name in unread else _proven(folder / name, digests) for name, digests in listed.items()
    )


def _remove_own(folder, listed):
    """Delete the listed files of `folder`, and its folders that are empty then; whether nothing is left of it."""
    own = [name for name in _inside(folder) if _own(folder, name, listed)]
    for name in own:
        (folder / name).unlink()
    for root, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(root)
    return not folder.exists()


def complete(partial, path):
    """Give the folder `partial`, which lies beside `path`, a manifest; then it replaces the folder `path`, or nothing changes.

    Raises UserError as `check_folder` does.
    """
    old = files.beside(path, "old")
    try:
        _write_manifest(partial, {name: [digest(partial / name)] for name in sorted(_inside(partial)) if name != MANIFEST})
        listed = written(check_folder(path))
        if path.exists():
            os.replace(path, old)
        os.replace(partial, path)
        if old.exists() and not _remove_own(old, listed):
            # something was added while the folder was replaced
            raise UserError(f"{path} is complete; files that were added to the old folder meanwhile are in {old}")
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise


@contextlib.contextmanager
def folder(out):
    """Yield a new folder beside `out`; at the end of the block it gets a manifest and replaces the folder `out`.

    An error in the block leaves `out` as it was. Raises UserError as `check_folder` does, at the beginning and at the end.
    """
    path = check_folder(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.recover(path)
    partial = files.beside(path, "partial")
    try:
        partial.mkdir()
        yield partial
        complete(partial, path)
    finally:
        files.remove(partial)


def _lock_name(place):
    # per user: another user cannot open the lock, and cannot write to this user's folders either
    user = os.getuid() if hasattr(os, "getuid") else ""
    return f"keras_ae-{user}-{hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]}.lock"


@contextlib.contextmanager
def into(place):
    """Yield a new folder; at the end of the block the files in it move into the folder `place`, beside what is there.

    Raises UserError, and moves nothing, where one of the names is taken as `check_file` says. After an error, folders that were
    made for `place` and are empty are gone again.
    """
    place = Path(place)
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    place.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".keras_ae.partial-", dir=place))
    try:
        yield partial
        new = {name: digest(partial / name) for name in sorted(_inside(partial)) if name != MANIFEST}
        lock = Path(tempfile.gettempdir()) / _lock_name(place)
        with files.locked(lock, f"waiting: another process is writing to {place}", wait=True):
            for name in new:
                check_file(place / name)
            # the manifest first: a process that is killed between the two leaves files that can still be proven
            listed = written(place)
            for name, contents in new.items():
                before = [digest(place / name)] if (place / name).exists() else []
                listed[name] = [contents, *(one for one in before if one != contents)]
            _write_manifest(place, listed)
            for name in new:
                os.replace(partial / name, place / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        # only after an error are they empty
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


@contextlib.contextmanager
def file(out):
    """Yield a path to write a file to; at the end of the block it becomes the file `out`. Raises UserError as `check_file`."""
    path = check_file(out)
    with into(path.parent) as partial:
        yield partial / path.name


def show(path):
    """Open a file in the program that the user's desktop shows it with; nothing where there is none."""
    import webbrowser

    webbrowser.open(Path(path).resolve().as_uri())
