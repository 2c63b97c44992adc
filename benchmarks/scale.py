"""Measure recall, time and memory of the search for near-copies: python benchmarks/scale.py 10000 100000

Pictures are drawn at random, smooth like photographs: sums of a few cosines. One in a hundred gets a copy: mirrored, re-encoded
as JPEG, or resized. Recall is the share of planted copies that are in the group of their original.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from keras_ae.data import copies
from keras_ae.data.thumbnails import SIDE, thumbnail

SIDE = 64
PLANTED = 100
KINDS = ("mirrored", "re-encoded", "resized")


def picture(seed, index):
    """A random smooth picture, uint8 (SIDE, SIDE, 3), a function of seed and index alone."""
    random = np.random.default_rng((seed, index))
    frequencies = np.arange(8)
    # amplitudes fall with frequency as in photographs
    falling = 1 / (1 + np.hypot(frequencies[:, None], frequencies))
    amplitudes = random.normal(size=(3, 8, 8)) * 0.4 * falling + random.normal(size=(8, 8)) * falling
    waves = np.cos(np.pi * frequencies[:, None] * (np.arange(SIDE) + 0.5) / SIDE)
    values = np.einsum("fy,cfg,gx->yxc", waves, amplitudes, waves, optimize=True)
    return np.clip(128 + 50 * values, 0, 255).astype("uint8")


def altered(pixels, kind):
    """A near-copy of the picture."""
    image = Image.fromarray(pixels)
    if kind == "mirrored":
        return pixels[:, ::-1]
    if kind == "resized":
        small = image.resize((40, 40), Image.Resampling.BICUBIC)
        return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    image.save(buffer, format="jpeg", quality=50)
    return np.asarray(Image.open(buffer))


def planted(n, seed, path):
    """Thumbnails (n, 256) float16 on disk of pictures, then of copies; copy i of the last ones is of picture PLANTED * i."""
    count = n // (PLANTED + 1)
    thumbnails = np.lib.format.open_memmap(path, "w+", "float16", (n, SIDE**2))
    for index in range(n - count):
        thumbnails[index] = thumbnail(picture(seed, index))
    for index in range(count):
        original = picture(seed, PLANTED * index)
        thumbnails[n - count + index] = thumbnail(altered(original, KINDS[index % len(KINDS)]))
    return thumbnails, count


def measured(n, seed):
    """One row of the table: recall by kind, seconds of the search, peak memory of the process so far in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        thumbnails, count = planted(n, seed, Path(folder) / "thumbnails.npy")
        begun = time.perf_counter()
        found = copies.groups(thumbnails)
        seconds = time.perf_counter() - begun
    copy = np.arange(count)
    together = found[n - count + copy] == found[PLANTED * copy]
    recall = {kind: round(float(np.mean(together[copy % len(KINDS) == k])), 4) for k, kind in enumerate(KINDS)}
    others = int(np.sum(found != np.arange(n)) - np.sum(together))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images": n, "planted": count, "recall": recall, "other pairs": others, "search s": seconds, "peak MiB": peak}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[10**4, 10**5, 10**6])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/scale.json"))
    arguments = parser.parse_args()
    rows = []
    for n in sorted(arguments.sizes):
        row = measured(n, arguments.seed)
        # growth of the time for ten times as many pictures would be 10 if it were linear
        row["growth"] = round(row["search s"] / rows[-1]["search s"], 2) if rows else None
        rows.append(row)
        recall = " ".join(f"{kind} {value:.4f}" for kind, value in row["recall"].items())
        line = f"{n:>9,} images: recall {recall}; {row['search s']:.1f} s, {row['peak MiB']:.0f} MiB, growth {row['growth']}"
        print(line, flush=True)
        arguments.out.write_text(json.dumps({"near-copies": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
