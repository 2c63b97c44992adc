"""Small folders: PCA, vae.toml from nothing, and vae.toml started from exported/cats: python benchmarks/small.py --other DIR

Each number of pictures is the first ones by file name. Runs that are complete in --place are not trained again. Held-out
PSNR of reconstructions; as everywhere, a tenth of the distinct pictures is held out, by content.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

# reconstructions are compared: no second stage
WAYS = {
    "from nothing": ["--set", "refinement.epochs=0"],
    "started from exported/cats": ["--set", "refinement.epochs=0", "--start-from", "exported/cats"],
}


def subset(directory, n, place):
    """A folder of links to the first n pictures of a folder by name, made unless it is there."""
    if not place.exists():
        place.mkdir(parents=True)
        files = sorted(path for path in Path(directory).iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        for path in files[:n]:
            os.symlink(path.resolve(), place / path.name)
    return place


def trained(pictures, way, out):
    """The metrics of vae.toml on the pictures of a folder, trained unless they are there."""
    if not (out / "metrics.json").exists():
        resume = ["--resume"] if (out / "config.json").exists() else []
        words = ["experiments/vae.toml", "--data", pictures, *WAYS[way], "--out", out, *resume]
        subprocess.run([sys.executable, "-m", "keras_ae.train", *map(str, words)], check=True)
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def row(name, done):
    """A row of the table from the metrics of both ways."""
    baseline = next(iter(done.values()))["baseline"]
    cells = [f"{metrics['reconstruction']['psnr']:.2f} dB, {metrics['training_seconds']:.0f} s" for metrics in done.values()]
    return f"| {name} | {baseline['n']} | {baseline['psnr']:.2f} dB | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(prog="python benchmarks/small.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--cats", metavar="DIR", help="folder of cat faces")
    parser.add_argument("--other", metavar="DIR", help="folder of other pictures")
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 100, 300, 1000], metavar="N", help="numbers of pictures")
    parser.add_argument("--place", type=Path, default="runs/small", metavar="DIR", help="the runs, and results.json")
    arguments = parser.parse_args()
    rows = {}
    for kind, n in ((kind, n) for kind in ("other", "cats") for n in arguments.sizes if getattr(arguments, kind)):
        place = arguments.place / f"{kind}-{n}"
        pictures = subset(getattr(arguments, kind), n, place / "pictures")
        rows[f"{n} {kind}"] = {way: trained(pictures, way, place / way.replace("/", "_").replace(" ", "_")) for way in WAYS}
        (arguments.place / "results.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    heads = ["pictures", "held out", "PCA", *WAYS]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, done in rows.items():
        print(row(name, done))


if __name__ == "__main__":
    main()
