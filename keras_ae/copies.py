"""List the copies in a folder of pictures, and move them out of it if asked: python -m keras_ae.copies DIR

Copies are files of the same bytes; near-copies show the same picture mirrored, re-encoded, resized, cropped, turned by a few
degrees, or lighter or darker. Of each group one file is kept: of most pixels, not blurred, of most bytes. Nothing is deleted.
"""

import csv
import os
import shutil
from pathlib import Path

import numpy as np

from keras_ae.commandline import FORCE, check_out, command, option, out, warn
from keras_ae.errors import UserError
from keras_ae.files import write_file, write_folder
from keras_ae.images import pictures

MOST_GROUPS = 200  # on the page
JOURNAL = "moved.csv"


def measure_sharpness(path, most=512):
    """The mean difference of neighbouring pixels of a picture file of up to `most` pixels a side, in deviations of them all."""
    data = pictures.read_bytes(path)
    sides = pictures.measure_sides(data)
    shrunk = [max(2, round(side * min(1, most / max(sides)))) for side in sides]
    values = pictures.decode(data, (shrunk[1], shrunk[0], 1), fit="stretch")[..., 0].astype("float32")
    return float(np.mean([np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1)]) / max(values.std(), 1))


def name_changes(kept, others):
    """What each entry of `others` is to that of `kept` beside it, in words such as "identical" or "mirrored cropped"."""
    from keras_ae.data import alignment

    found = alignment.align(kept["grey"], others["grey"])
    (a, b), (c, d) = found.maps[..., :2].transpose(1, 2, 0)
    enlarged, angles = a * d - b * c, np.degrees(np.arctan2(c - b, a + d))
    before, after = (entries["grey"][:, 4:-4, 4:-4].mean(axis=(1, 2)) + 1 for entries in (kept, others))
    named = {
        "mirrored": found.mirrored,
        "cropped": enlarged > 1.06,
        "wider": enlarged < 0.94,
        "turned": np.abs(angles) > 2,
        "lighter": after > 1.08 * before,
        "darker": after < 0.92 * before,
        "resized": (others["sides"] != kept["sides"]).any(axis=1) & (np.abs(enlarged - 1) < 0.06),
    }
    words = [" ".join(word for word in named if named[word][row]) or "re-encoded" for row in range(len(others))]
    # alike by way of a third picture
    words = np.where(found.alike < 0, "similar", words)
    return np.where(others["digest"] == kept["digest"], "identical", words)


def list_groups(paths, entries, leaders):
    """Groups of more than one file: lists of (path, kind, entry, sharpness), the one to keep first; its kind is "kept".

    sharpness: None where all files of a group are the same bytes.
    """
    order = np.argsort(leaders, kind="stable")
    groups = [rows for rows in np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1) if len(rows) > 1]
    differ = [row for rows in groups for row in rows if len(set(entries["digest"][rows])) > 1]
    sharpness = {row: measure_sharpness(paths[row]) for row in differ}
    # a link without the file that it leads to would be worth nothing; blocks of a JPEG look a little sharper than no blocks
    scores = [
        (lambda row: not os.path.islink(paths[row]), 1),
        (lambda row: np.prod(entries["sides"][row], dtype=float), 1),
        (lambda row: sharpness.get(row, 0), 0.8),
        (lambda row: entries["bytes"][row], 1),
    ]
    for number, rows in enumerate(groups):
        best = list(rows)
        for score, share in scores:
            most = max(map(score, best))
            best = [row for row in best if score(row) >= share * most]
        groups[number] = [best[0], *(row for row in rows if row != best[0])]
    pairs = np.array([(rows[0], row) for rows in groups for row in rows[1:]], int).reshape(-1, 2)
    kinds = dict(zip(pairs[:, 1], name_changes(*entries[pairs.T]), strict=True))
    # of equal files that are near-copies, one is
    _, first = np.unique(entries["digest"], return_index=True)
    kinds |= dict.fromkeys(set(pairs[:, 1]) - set(first), "identical")
    return [[(paths[row], kinds.get(row, "kept"), entries[row], sharpness.get(row)) for row in rows] for rows in groups]


def draw_page(directory, said, groups):
    """The page of the groups, as HTML; those with near-copies come first."""
    from keras_ae.images import pages

    near = sorted(enumerate(groups, 1), key=lambda pair: all(kind in ("kept", "identical") for _, kind, *_ in pair[1]))
    parts = [
        f"<p>{pages.html.escape(said)} The frame is around the file to keep: of most pixels, not blurred, of most bytes.</p>"
    ]
    if len(groups) > MOST_GROUPS:
        parts.append(f"<p>The first {MOST_GROUPS} groups, those with near-copies before others; copies.csv has all.</p>")
    for number, group in near[:MOST_GROUPS]:
        cards = []
        for path, kind, entry, sharp in group[:12]:
            size = "{} x {}, {:,.0f} kB".format(*entry["sides"], entry["bytes"] / 1000)
            lines = [os.path.relpath(path, directory), kind, size, *([] if sharp is None else [f"sharpness {sharp:.2f}"])]
            cards.append(pages.card(path, lines, kind == "kept"))
        parts.append(pages.section(f"Group {number}: {len(group)} files", cards))
    return pages.document(f"Copies in {pictures.printable(directory)}", parts)


def move(paths, directory, target):
    """Move files to the same places below the folder `target`, whose moved.csv says where they were. Raises UserError."""
    rows = [(os.path.abspath(path), os.path.relpath(path, directory)) for path in paths]
    if taken := [place for _, place in rows if os.path.lexists(target / place)]:
        raise UserError(f"{target / taken[0]} exists; choose another folder for `move_to`")
    before = read_journal(target) if (target / JOURNAL).exists() else []
    with write_file(target / JOURNAL) as partial, open(partial, "w", newline="", errors="surrogateescape") as file:
        csv.writer(file).writerows([("file", "place"), *before, *rows])
    for path, place in rows:
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target / place)


def read_journal(target):
    """Pairs (where a file was, its place in `target`). Raises UserError if nothing was moved there."""
    try:
        with open(target / JOURNAL, newline="", errors="surrogateescape") as file:
            return [tuple(row) for row in csv.reader(file)][1:]
    except OSError:
        raise UserError(f"nothing was moved to {target}: it has no {JOURNAL}") from None


def undo(target):
    """Move everything back from the folder `target`, and return how many files. Raises UserError if a place is taken."""
    rows = [(path, place) for path, place in read_journal(target) if os.path.lexists(target / place)]
    if taken := [path for path, _ in rows if os.path.lexists(path)]:
        raise UserError(f"{taken[0]} exists; move it away, and nothing is overwritten")
    for path, place in rows:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.move(target / place, path)
    (target / JOURNAL).unlink()
    return len(rows)


@command(
    option("directory", metavar="DIR", help="folder of picture files, at any depth"),
    out("copies", "folder to write"),
    option("--move-to", metavar="DIR", help="move all files that are not to keep into this folder; moved.csv lists them"),
    option("--undo", action="store_true", help="move everything back from --move-to, and write nothing"),
    FORCE,
    keras=False,
)
def main(arguments):
    target = Path(arguments.move_to or "")
    if arguments.undo:
        if not arguments.move_to:
            raise UserError("--undo needs the folder that the files were moved to; name it with --move-to")
        print(f"{undo(target)} files moved back from {target}")
        return
    path, directory = check_out(arguments), Path(arguments.directory)
    if arguments.move_to and (target.resolve().is_relative_to(directory.resolve()) or target.is_file()):
        raise UserError(f"--move-to {target} is a file or inside of {directory}; choose a folder outside of it")
    found = pictures.find(directory)

    from keras_ae.data import index

    paths, entries = index.read(found, directory, warn)
    groups = list_groups(paths, entries, index.find_groups(entries))
    kinds = [kind for group in groups for _, kind, *_ in group]
    identical, near = kinds.count("identical"), len(kinds) - len(groups) - kinds.count("identical")
    said = f"{len(paths):,} pictures: {identical:,} byte-for-byte copies and {near:,} near-copies in {len(groups):,} groups."
    with write_folder(path, arguments.force) as folder:
        with open(folder / "copies.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "group", "kind", "keep"])
            for number, group in enumerate(groups, 1):
                rows = [(pictures.printable(file), number, kind, ("no", "yes")[kind == "kept"]) for file, kind, *_ in group]
                writer.writerows(rows)
        (folder / "copies.html").write_text(draw_page(directory, said, groups), encoding="utf-8")
    moved = [file for group in groups for file, kind, *_ in group if kind != "kept"]
    if arguments.move_to and moved:
        move(moved, directory, target)
        said += f" {len(moved):,} files moved to {target}; --undo moves them back."
    print(f"{said} -> {path}: copies.csv, copies.html")


if __name__ == "__main__":
    main()
