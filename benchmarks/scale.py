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
    """Recall by kind, and the number of pictures in groups that were not planted. groups: the leader of each name."""
    place = {Path(name).stem: index for index, name in enumerate(names)}
    found = {kind: [] for kind in KINDS}
    for name, index in place.items():
        if name.startswith("copy-"):
            number = int(name.removeprefix("copy-"))
            found[KINDS[number // PLANTED % len(KINDS)]].append(groups[index] == groups[place[str(number)]])
    together = sum(int(np.sum(matches)) for matches in found.values())
    recall = {kind: round(float(np.mean(matches)), 4) for kind, matches in found.items()}
    return recall, int(np.sum(groups != np.arange(len(groups)))) - together


def peak():
    """Peak memory of this process so far in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(n, seed, root):
    """One row of the table, of n files in a new folder of `root`."""
    from keras_ae.data import copies, pipeline

    os.environ["KERAS_AE_CACHE"] = str(Path(root) / "cache")
    at_start = peak()
    search, searched = copies.groups, {}

    def timed(thumbnails):
        begun = time.perf_counter()
        searched["groups"] = search(thumbnails)
        searched["s"] = time.perf_counter() - begun
        return searched["groups"]

    copies.groups = timed
    begun = time.perf_counter()
    image_set = pipeline.load("folder", str(Path(root) / "files"), SIDE, 3)
    seconds = time.perf_counter() - begun
    prepared = peak()
    begun = time.perf_counter()
    pipeline.load("folder", str(Path(root) / "files"), SIDE, 3)
    opened = time.perf_counter() - begun

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
    recall, others = recalled(names, searched["groups"])
    return {
        "images": n,
        "prepare ms per image": 1000 * seconds / n,
        "search ms per image": 1000 * searched["s"] / n,
        "open s": opened,
        "first batch s": first,
        "images per s": round(read),
        "start MiB": at_start,
        "prepare MiB": prepared,
        "read MiB": peak(),
        "planted": n // (PLANTED + 1),
        "recall": recall,
        "other pairs": others,
    }


def table(rows):
    """The rows as lines of Markdown. Growth is that of the time to prepare over that of the number of images."""
    heads = [
        "images",
        "preparing, ms an image",
        "growth",
        "of which the search, ms",
        "to the first batch, s",
        "images a second",
    ]
    heads += ["peak MiB: preparing", "reading", "recall: mirrored", "re-encoded", "resized", "other pairs"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row, before in zip(rows, [None, *rows], strict=False):
        growth = f"{row['prepare ms per image'] / before['prepare ms per image']:.2f}" if before else ""
        cells = [f"{row['images']:,}", f"{row['prepare ms per image']:.2f}", growth, f"{row['search ms per image']:.2f}"]
        cells += [f"{row['first batch s']:.1f}", f"{row['images per s']:,}", f"{row['prepare MiB']:,}", f"{row['read MiB']:,}"]
        cells += [f"{row['recall'][kind]:.3f}" for kind in KINDS]
        lines.append(f"| {' | '.join([*cells, str(row['other pairs'])])} |")
    return lines


def in_process(n, seed, place):
    """`measured` in a process of its own, on new files."""
    with tempfile.TemporaryDirectory(dir=place) as root:
        begun = time.perf_counter()
        write_pictures(Path(root) / "files", seed, n)
        print(f"{n:>9,} images: written in {time.perf_counter() - begun:.0f} s", flush=True)
        command = [sys.executable, __file__, str(n), "--seed", str(seed), "--in", root]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[10**4, 10**5, 10**6])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--place", help="folder for the files and the cache, 18 kB an image; the default is that of temporary files"
    )
    parser.add_argument("--in", dest="root", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.root:
        out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        json.dump(measured(arguments.sizes[0], arguments.seed, arguments.root), out)
        return
    rows = []
    for n in sorted(arguments.sizes):
        rows.append(in_process(n, arguments.seed, arguments.place))
        print(json.dumps(rows[-1], indent=1), flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
