"""Measure how data sets of different sizes are prepared and read: python benchmarks/scale.py 10000 100000

Pictures are drawn at random, smooth like photographs: sums of a few cosines, as JPEG files of about 1 kB. One in a hundred gets
a copy: mirrored, re-encoded, or resized. Recall is the share of planted copies that are in the group of their original. Each
size is measured in a process of its own, so that its peak memory is that of this size.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64
PLANTED = 100
KINDS = ("mirrored", "re-encoded", "resized")
# files in a folder, which are drawn together
BLOCK = 1000
BATCH = 64
READ_SECONDS = 10


def pictures(seed, block):
    """BLOCK random smooth pictures, uint8 (BLOCK, SIDE, SIDE, 3), a function of seed and block alone."""
    random = np.random.default_rng((seed, block))
    frequencies = np.arange(8)
    # amplitudes fall with frequency as in photographs
    falling = (1 / (1 + np.hypot(frequencies[:, None], frequencies))).astype("float32")
    grey = random.standard_normal((BLOCK, 1, 8, 8), "float32")
    amplitudes = (random.standard_normal((BLOCK, 3, 8, 8), "float32") * 0.4 + grey) * falling
    waves = np.cos(np.pi * frequencies[:, None] * (np.arange(SIDE) + 0.5) / SIDE).astype("float32")
    values = 128 + 50 * np.matmul(np.matmul(waves.T, amplitudes), waves)
    return np.clip(values, 0, 255).astype("uint8").transpose(0, 2, 3, 1)


def copy_of(picture, kind):
    """A near-copy of a Pillow image, and the quality of its JPEG file."""
    if kind == "mirrored":
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 70
    if kind == "resized":
        small = picture.resize((40, 40), Image.Resampling.BICUBIC)
        return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), 70
    return picture, 50


def write_block(root, seed, block, n):
    """Write the first n pictures of a block into a folder, and copies of every PLANTED-th one, named copy-NUMBER."""
    # one folder above all: the folders of the blocks are no classes
    folder = Path(root) / "pictures" / f"{block:06}"
    folder.mkdir(parents=True)
    for index, pixels in enumerate(pictures(seed, block)[:n]):
        number, picture = block * BLOCK + index, Image.fromarray(pixels)
        picture.save(folder / f"{number}.jpg", quality=70)
        if number % PLANTED == 0:
            altered, quality = copy_of(picture, KINDS[number // PLANTED % len(KINDS)])
            altered.save(folder / f"copy-{number}.jpg", quality=quality)


def write_pictures(root, seed, n):
    """Write n files, with the copies, on all cores."""
    originals = n - n // (PLANTED + 1)
    blocks = range(-(-originals // BLOCK))
    sizes = [min(BLOCK, originals - block * BLOCK) for block in blocks]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(functools.partial(write_block, root, seed), blocks, sizes, chunksize=4))


def recalled(names, groups):
    """Recall of the copies of each of KINDS. groups: of each name, the index of the first picture of its group."""
    place = {Path(name).stem: index for index, name in enumerate(names)}
    found = {kind: [] for kind in KINDS}
    for name, index in place.items():
        if name.startswith("copy-"):
            number = int(name.removeprefix("copy-"))
            found[KINDS[number // PLANTED % len(KINDS)]].append(groups[index] == groups[place[str(number)]])
    return [float(np.mean(matches)) for matches in found.values()]


def measured(n, seed, root):
    """One row of the table, {column: text}, of n files in a new folder of `root`."""
    from keras_ae.data import copies, pipeline

    os.environ["KERAS_AE_CACHE"] = str(Path(root) / "cache")
    search, searched = copies.groups, {}

    def timed(thumbnails):
        begun = time.perf_counter()
        searched["groups"] = search(thumbnails)
        searched["ms"] = 1000 * (time.perf_counter() - begun) / n
        return searched["groups"]

    copies.groups = timed
    begun = time.perf_counter()
    image_set = pipeline.load("folder", str(Path(root) / "files"), SIDE, 3)
    milliseconds = 1000 * (time.perf_counter() - begun) / n
    begun = time.perf_counter()
    stream = iter(pipeline.training(image_set, BATCH, seed))
    next(stream)
    first, begun, batches = time.perf_counter() - begun, time.perf_counter(), 0
    while time.perf_counter() - begun < READ_SECONDS:
        next(stream)
        batches += 1
    read = batches * BATCH / (time.perf_counter() - begun)
    with np.load(image_set.folder / "index.npz") as columns:
        names = columns["names"].tobytes().decode().split("\0")
    recall = recalled(names, searched["groups"])
    row = {
        "images": f"{n:,}",
        "preparing, ms an image": f"{milliseconds:.2f}",
        "of which the search, ms": f"{searched['ms']:.2f}",
        "to the first batch, s": f"{first:.1f}",
        "images a second": f"{read:,.0f}",
        "peak MiB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}",
    }
    return row | {f"recall of copies: {kind}": f"{share:.3f}" for kind, share in zip(KINDS, recall, strict=True)}


def in_process(n, seed, place):
    """`measured` in a process of its own, on new files."""
    with tempfile.TemporaryDirectory(dir=place) as root:
        begun = time.perf_counter()
        write_pictures(Path(root) / "files", seed, n)
        print(f"{n:>9,} images: written in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        command = [sys.executable, __file__, str(n), "--seed", str(seed), "--in", root]
        # what libraries print comes first
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(prog="python benchmarks/scale.py", description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[10**4, 10**5, 10**6])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", help="folder for the files and the cache, 30 kB an image (default: that of temporary files)")
    parser.add_argument("--in", dest="root", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.root:
        print(json.dumps(measured(arguments.sizes[0], arguments.seed, arguments.root)))
        return
    for index, n in enumerate(sorted(arguments.sizes)):
        row = in_process(n, arguments.seed, arguments.place)
        if not index:
            print(f"| {' | '.join(row)} |\n{'|---' * len(row)}|")
        print(f"| {' | '.join(row.values())} |", flush=True)


if __name__ == "__main__":
    main()
