"""Find copies in pictures with known changes, beside imagededup: python benchmarks/folders.py --data DIR --n 10000

Half of the files are families of seven: an original, mirrored, as a JPEG of quality 30, at half the size, without a tenth of
each side, turned by 5 degrees, and 1.4 times as bright. The others are pictures of the folder that are there once. A pair is
found if both files are in one group (keras_ae), or if one is listed for the other (imagededup, with its default thresholds).
Precision is over all pairs, recall over the pairs of an original and its change. Near-copies that are in the folder already
count against all.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from keras_ae.data import index
from keras_ae.images import pictures


def crop(image):
    left, top = (round(0.05 * side) for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


CHANGES = {
    "mirror": ImageOps.mirror,
    "JPEG 30": lambda image: image,
    "half size": lambda image: image.resize([max(4, side // 2) for side in image.size], Image.Resampling.BICUBIC),
    "crop": crop,
    "rotation": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
}


def write_files(directory, out, n, seed):
    """Write about n files into the folder `out`: FAMILY_CHANGE.jpg, where the change of an original is "original"."""
    paths, entries = index.read(pictures.find(directory), None, lambda text: None)
    _, distinct = np.unique(entries["digest"], return_index=True)
    families = n // (2 * len(CHANGES) + 2)
    chosen = np.random.default_rng(seed).permutation(np.sort(distinct))[: n - families * len(CHANGES)]
    for family, row in enumerate(chosen):
        image = pictures.open_image(paths[row]).convert("RGB")
        changes = {"original": lambda image: image} | (CHANGES if family < families else {})
        for name, change in changes.items():
            quality = 30 if name == "JPEG 30" else 90
            change(image).save(out / f"{family:06}_{name}.jpg", quality=quality)


def find_with_keras_ae(folder):
    paths, entries = index.read(pictures.find(folder), None, print)
    leaders = index.find_groups(entries)
    order = np.argsort(leaders, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1):
        yield from itertools.combinations(sorted(paths[row].name for row in rows), 2)


def find_with_imagededup(method, folder):
    found = method(verbose=False).find_duplicates(image_dir=str(folder))
    return {tuple(sorted((name, other))) for name, others in found.items() for other in others}


def measure(name, find, folder):
    """One row of the table: precision, recall of each change, F1, seconds."""
    begun, names = time.perf_counter(), sorted(os.listdir(folder))
    pairs = set(find(folder))
    seconds = time.perf_counter() - begun
    precision = np.mean([one[:6] == other[:6] for one, other in pairs]) if pairs else 0
    recalls = []
    for change in CHANGES:
        changed = [name for name in names if name.endswith(f"_{change}.jpg")]
        recalls.append(np.mean([tuple(sorted((name, f"{name[:6]}_original.jpg"))) in pairs for name in changed]))
    f1 = 2 * precision * np.mean(recalls) / max(precision + np.mean(recalls), 1e-9)
    return [name, *(f"{share:.3f}" for share in (*recalls, precision, f1)), f"{seconds:.1f}"]


def main():
    parser = argparse.ArgumentParser(prog="python benchmarks/folders.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of pictures")
    parser.add_argument("--n", type=int, default=10_000, help="number of files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    finders = {"keras_ae.copies": find_with_keras_ae}
    try:
        from imagededup import methods

        for kind in ("PHash", "CNN"):
            finders[f"imagededup {kind}"] = lambda folder, kind=kind: find_with_imagededup(getattr(methods, kind), folder)
    except ImportError as error:
        print(f"without imagededup: {error}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        write_files(arguments.data, Path(folder), arguments.n, arguments.seed)
        print(f"{len(os.listdir(folder)):,} files of {arguments.data}; recall of each change, then precision, F1 and seconds")
        columns = ["", *CHANGES, "precision", "F1", "s"]
        print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for name, find in finders.items():
            try:
                print(f"| {' | '.join(measure(name, find, folder))} |", flush=True)
            except Exception as error:
                # such as weights that cannot be downloaded
                print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
