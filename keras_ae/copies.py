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

MOST_GROUPS, MOST_CARDS = 200, 12  # on the page, and of a group


def measure_sharpness(path):
    """The mean difference of neighbouring pixels of a picture file of up to 512 pixels a side, in deviations of them all."""
    data = pictures.read_bytes(path)
    width, height = pictures.shrink_sides(pictures.measure_sides(data), 512)
    values = pictures.decode(data, (height, width, 1), fit="stretch")[..., 0].astype("float32")
    return sum(np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1)) / 2 / max(values.std(), 1)


def name_changes(kept, others):
    """What each entry of `others` is to that of `kept` beside it, in words such as "identical" or "mirrored cropped"."""
    from keras_ae.data import alignment

    found = alignment.align(kept["grey"], others["grey"])
    (a, b), (c, d) = found.maps[..., :2].transpose(1, 2, 0)
    enlarged, middles = a * d - b * c, [entries["grey"][:, 4:-4, 4:-4].mean(axis=(1, 2)) + 1 for entries in (kept, others)]
    named = {
        "mirrored": found.mirrored,
        "cropped": enlarged > 1.06,
        "wider": enlarged < 0.94,
        "turned": np.abs(np.arctan2(c - b, a + d)) > np.radians(2),
        "lighter": middles[1] > 1.08 * middles[0],
        "darker": middles[1] < 0.92 * middles[0],
        "resized": (others["sides"] != kept["sides"]).any(axis=1) & (np.abs(enlarged - 1) < 0.06),
    }
    words = [" ".join(word for word in named if named[word][row]) or "re-encoded" for row in range(len(others))]
    # alike by way of a third picture
    words = np.where(found.alike < 0.5, "similar", words)
    return np.where(others["digest"] == kept["digest"], "identical", words)


def choose_kept(paths, entries, sharpness, rows):
    """The row of the file to keep."""
    scores = {
        # a link without the file that it leads to would be worth nothing
        lambda row: not os.path.islink(paths[row]): 1,
        lambda row: np.prod(entries["sides"][row], dtype=float): 1,
        # the blocks of a JPEG look a little sharper than none
        lambda row: sharpness.get(row, 0): 0.8,
        lambda row: entries["bytes"][row]: 1,
    }
    for score, share in scores.items():
        most = max(map(score, rows))
        rows = [row for row in rows if score(row) >= share * most]
    return rows[0]


def list_groups(paths, entries, leaders):
    """Groups of more than one file: lists of {"path", "kind", "sides", "bytes"[, "sharpness"]}, that of kind "kept" first."""
    order = np.argsort(leaders, kind="stable")
    groups = [rows for rows in np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1) if len(rows) > 1]
    differ = [row for rows in groups if len(set(entries["digest"][rows])) > 1 for row in rows]
    sharpness = {row: measure_sharpness(paths[row]) for row in differ}
    kept = np.array([choose_kept(paths, entries, sharpness, rows) for rows in groups for _ in rows], int)
    rows = np.concatenate([*groups, np.zeros(0, int)])
    kinds = name_changes(entries[kept], entries[rows])
    # of equal files that are near-copies, one is
    _, first = np.unique(entries["digest"], return_index=True)
    kinds = np.where(rows == kept, "kept", np.where(np.isin(rows, first), kinds, "identical"))
    found = {}
    for row, leader, kind in zip(rows, kept, kinds, strict=True):
        entry = {"path": paths[row], "kind": str(kind)} | {name: entries[name][row] for name in ("sides", "bytes")}
        found.setdefault(leader, []).append(entry | ({"sharpness": sharpness[row]} if row in sharpness else {}))
    return [sorted(group, key=lambda entry: entry["kind"] != "kept") for group in found.values()]


def page_html(directory, said, groups):
    """The page of the groups, those with near-copies first."""
    from keras_ae.images.pages import Card, Section, cards_html

    said = [said, "The frame is around what to keep: most pixels, not blurred, most bytes."]
    if len(groups) > MOST_GROUPS:
        said.append(f"The first {MOST_GROUPS} groups, those with near-copies before others; copies.csv has all.")
    sections = []
    for number, group in sorted(enumerate(groups, 1), key=lambda pair: "sharpness" not in pair[1][0])[:MOST_GROUPS]:
        cards = []
        for entry in group[:MOST_CARDS]:
            size = "{} x {}, {:,.0f} kB".format(*entry["sides"], entry["bytes"] / 1000)
            sharp = [f"sharpness {entry['sharpness']:.2f}"] if "sharpness" in entry else []
            name = pictures.printable(os.path.relpath(entry["path"], directory))
            cards.append(Card(entry["path"], [name, entry["kind"], size, *sharp], entry["kind"] == "kept"))
        sections.append(Section(f"Group {number}: {len(group)} files", cards))
    return cards_html(f"Copies in {pictures.printable(directory)}", said, sections)


def move(pairs):
    """Move files, pairs (from, to), if no place is taken; raises UserError otherwise."""
    if taken := [place for _, place in pairs if os.path.lexists(place)]:
        raise UserError(f"{taken[0]} exists and is not replaced; move it away, or choose another folder for `move_to`")
    for path, place in pairs:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)


def read_journal(target):
    """Pairs (from, to) of what was moved into the folder `target`."""
    with open(target / "moved.csv", newline="", errors="surrogateescape") as file:
        return [(row["from"], row["to"]) for row in csv.DictReader(file)]


def move_away(paths, directory, target):
    """Move files to the same places below the folder `target`, whose moved.csv says where they were; see `move_back`."""
    pairs = [(os.path.abspath(path), os.path.abspath(target / os.path.relpath(path, directory))) for path in paths]
    before = read_journal(target) if (target / "moved.csv").exists() else []
    if not any(os.path.lexists(place) for _, place in pairs):
        with write_file(target / "moved.csv") as partial, open(partial, "w", newline="", errors="surrogateescape") as file:
            csv.writer(file).writerows([("from", "to"), *before, *pairs])
    move(pairs)


def move_back(target):
    """Move all files of moved.csv in the folder `target` back, and return how many. Raises UserError if nothing was moved."""
    if not (target / "moved.csv").exists():
        raise UserError(f"nothing was moved to {target}: it has no moved.csv")
    pairs = [(place, path) for path, place in read_journal(target) if os.path.lexists(place)]
    move(pairs)
    (target / "moved.csv").unlink()
    return len(pairs)


@command(
    option("directory", metavar="DIR", help="folder of picture files, at any depth"),
    out("copies", "folder to write"),
    option("--move-to", metavar="DIR", help="move all files that are not kept into this folder; its moved.csv lists them"),
    option("--undo", action="store_true", help="move everything back from --move-to, and do nothing else"),
    FORCE,
    keras=False,
)
def main(arguments):
    directory, target = Path(arguments.directory), Path(arguments.move_to or "")
    if arguments.undo:
        if not arguments.move_to:
            raise UserError("--undo needs the folder that the files were moved to; name it with --move-to")
        print(f"{move_back(target)} files moved back from {target}")
        return
    path = check_out(arguments)
    if arguments.move_to and (target.resolve().is_relative_to(directory.resolve()) or target.is_file()):
        raise UserError(f"--move-to {target} is a file or inside of {directory}; choose a folder outside of it")
    found = pictures.find(directory)

    from keras_ae.data import index

    paths, entries = index.read(found, directory, warn)
    groups = list_groups(paths, entries, index.find_groups(entries))
    others = [entry for group in groups for entry in group[1:]]
    identical = sum(entry["kind"] == "identical" for entry in others)
    near = len(others) - identical
    said = f"{len(paths):,} pictures: {identical:,} byte-for-byte copies and {near:,} near-copies in {len(groups):,} groups"
    with write_folder(path, arguments.force) as folder:
        with open(folder / "copies.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "group", "kind", "keep"])
            for number, group in enumerate(groups, 1):
                for entry in group:
                    keep = "yes" if entry["kind"] == "kept" else "no"
                    writer.writerow([pictures.printable(entry["path"]), number, entry["kind"], keep])
        (folder / "copies.html").write_text(page_html(directory, f"{said}.", groups), encoding="utf-8")
    if arguments.move_to and others:
        move_away([entry["path"] for entry in others], directory, target)
        said += f"; {len(others):,} files moved to {target}, from where --undo moves them back"
    print(f"{said} -> {path}: copies.csv, copies.html")


if __name__ == "__main__":
    main()
