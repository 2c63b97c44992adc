"""List the copies in a folder of pictures, and move them out of it if asked: python -m keras_ae.copies DIR

Copies are files of the same bytes; near-copies show the same picture mirrored, re-encoded, resized, cropped, turned by a few
degrees, or lighter or darker. Of each group the file of most pixels is kept, of these that of most bytes. Nothing is deleted.
"""

import os
import shutil
from pathlib import Path

import numpy as np

from keras_ae.commandline import FORCE, check_out, command, option, out, warn
from keras_ae.errors import UserError
from keras_ae.files import write_folder
from keras_ae.images import pages, pictures

MOST_GROUPS, MOST_CARDS = 200, 12  # on the page, and of a group


def measure_sharpness(path):
    """The mean difference of neighbouring pixels of a picture file of up to 512 pixels a side, in deviations of them all."""
    values = pictures.read_whole(path, 512, 1)[..., 0].astype("float32")
    return sum(np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1)) / 2 / max(values.std(), 1)


def name_changes(kept, others):
    """What each entry of `others` is to that of `kept` beside it, in words such as "identical" or "mirrored cropped"."""
    from keras_ae.data import alignment

    alike, maps, mirrored = alignment.align(kept["grey"], others["grey"])
    (a, b), (c, d) = maps[..., :2].transpose(1, 2, 0)
    enlarged, middles = a * d - b * c, [entries["grey"][:, 4:-4, 4:-4].mean(axis=(1, 2)) + 1 for entries in (kept, others)]
    named = {
        "mirrored": mirrored,
        "cropped": enlarged > 1.06,
        "wider": enlarged < 0.94,
        "turned": np.abs(np.arctan2(c - b, a + d)) > np.radians(2),
        "lighter": middles[1] > 1.08 * middles[0],
        "darker": middles[1] < 0.92 * middles[0],
        "resized": (others["sides"] != kept["sides"]).any(axis=1) & (np.abs(enlarged - 1) < 0.06),
    }
    words = [" ".join(word for word in named if named[word][row]) or "re-encoded" for row in range(len(others))]
    # alike by way of a third picture
    words = np.where(alike < 0.5, "similar", words)
    return np.where(others["digest"] == kept["digest"], "identical", words)


def list_groups(paths, entries, leaders):
    """Groups of more than one file: lists of (path, kind, entry), that of kind "kept" first."""

    def rank(row):
        # a link without the file that it leads to would be worth nothing
        return os.path.islink(paths[row]), -np.prod(entries["sides"][row], dtype=float), -entries["bytes"][row], row

    order = np.argsort(leaders, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1)
    groups = [sorted(rows, key=rank) for rows in groups if len(rows) > 1]
    pairs = np.array([(rows[0], row) for rows in groups for row in rows[1:]], int).reshape(-1, 2)
    kinds = dict(zip(pairs[:, 1], name_changes(*entries[pairs.T]).tolist(), strict=True)) if groups else {}
    # of equal files that are near-copies, one is
    _, first = np.unique(entries["digest"], return_index=True)
    kinds |= dict.fromkeys(set(pairs[:, 1]) - set(first), "identical")
    return [[(paths[row], kinds.get(row, "kept"), entries[row]) for row in rows] for rows in groups]


def make_cards(group):
    """Cards of a group for `pages.write`; how sharp the files are where they are not all the same bytes."""
    differ = len({entry["digest"] for _, _, entry in group}) > 1
    for path, kind, entry in group[:MOST_CARDS]:
        size = "{} x {}, {:,.0f} kB".format(*entry["sides"], entry["bytes"] / 1000)
        yield path, [kind, size, *([f"sharpness {measure_sharpness(path):.2f}"] if differ else [])]


def move(names, source, target):
    """Move files from one folder to the same places in another. Raises UserError if one of them is taken."""
    if taken := [name for name in names if os.path.lexists(target / name)]:
        raise UserError(f"{target / taken[0]} exists and is not replaced; move it away, or choose another folder for `move_to`")
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source / name, target / name)


@command(
    option("directory", metavar="DIR", help="folder of picture files, at any depth"),
    out("copies", "folder to write"),
    option("--move-to", metavar="DIR", help="move all files that are not kept to the same places in this folder, a new one"),
    option("--undo", action="store_true", help="move everything in --move-to back, and do nothing else"),
    FORCE,
    keras=False,
)
def main(arguments):
    directory, target = Path(arguments.directory), Path(arguments.move_to or os.devnull)
    moved = [file.relative_to(target) for file in target.rglob("*") if file.is_symlink() or not file.is_dir()]
    if arguments.move_to and target.resolve().is_relative_to(directory.resolve()):
        raise UserError(f"--move-to {target} is inside of {directory}; choose a folder outside of it")
    if arguments.undo:
        if not moved:
            raise UserError("nothing to move back; name the folder that the files were moved to with --move-to")
        move(moved, target, directory)
        print(f"{len(moved):,} files moved back from {target} to {directory}")
        return
    if moved:
        raise UserError(f"--move-to {target} has files, such as {moved[0]}; choose a new folder")
    path, found = check_out(arguments), pictures.find(directory)

    from keras_ae.data import index

    paths, entries = index.read(found, directory, warn)
    groups = list_groups(paths, entries, index.find_groups(entries))
    rows = [("file", "group", "kind", "keep")]
    for number, group in enumerate(groups, 1):
        rows += [(pictures.printable(file), number, kind, ("no", "yes")[kind == "kept"]) for file, kind, _ in group]
    others = [file for group in groups for file, *_ in group[1:]]
    same = sum(kind == "identical" for _, _, kind, _ in rows)
    counts = f"{same:,} byte-for-byte copies and {len(others) - same:,} near-copies in {len(groups):,} groups"
    said = f"{len(paths):,} pictures: {counts}"
    # those with near-copies first
    shown = sorted(enumerate(groups, 1), key=lambda pair: all(kind == "identical" for _, kind, _ in pair[1][1:]))
    sections = {f"Group {number}: {len(group)} files": make_cards(group) for number, group in shown[:MOST_GROUPS]}
    notes = [f"{said}. The frame is around what to keep: most pixels, then most bytes."]
    if len(groups) > MOST_GROUPS:
        notes.append(f"The first {MOST_GROUPS} groups, those with near-copies before others; copies.csv has all.")
    with write_folder(path, arguments.force) as folder:
        pages.write(folder / "copies.csv", rows, directory, notes, sections)
    if arguments.move_to and others:
        move([os.path.relpath(file, directory) for file in others], directory, target)
        said += f"; {len(others):,} files moved to {target}, from where --undo moves them back"
    print(f"{said} -> {path}: copies.csv, copies.html")
