"""Small folders: PCA, vae.toml from nothing, and vae.toml started from exported/cats: python benchmarks/small.py --other DIR

Each number of pictures is the first ones by file name. Runs that are complete in --place are not trained again. Held-out
PSNR of reconstructions; as everywhere, a tenth of the distinct pictures is held out, by content.
"""

import json
import os
from pathlib import Path

from keras_ae import commandline

# quietly, before what imports it
commandline.import_tensorflow()

import numpy as np  # noqa: E402

from keras_ae.data import pipeline  # noqa: E402
from keras_ae.files import written_whole  # noqa: E402
from keras_ae.images import figures, pictures  # noqa: E402
from keras_ae.models.networks import apply  # noqa: E402
from keras_ae.training import devices, experiment, loop, results, runs, starting  # noqa: E402

SHIPPED = "exported/cats"
# reconstructions are compared: no second stage
WAYS = {
    "from nothing": ["refinement.epochs=0"],
    f"started from {SHIPPED}": ["refinement.epochs=0", f"training.start_from={SHIPPED}"],
}
PICTURED = 40
# the code of vae.toml and of the export
DIM = 128
SHOWN = 8


def parser():
    parser = commandline.Parser("small", __doc__.partition("\n")[0])
    parser.add_argument("--cats", metavar="DIR", help="folder of cat faces")
    parser.add_argument("--other", metavar="DIR", help="folder of other pictures")
    parser.add_argument(
        "--sizes", type=commandline.whole_number(20, 10**6), nargs="+", default=[40, 100, 300, 1000], metavar="N"
    )
    parser.add_argument("--out", default="docs/results/small_folders.json", metavar="FILE.json", help="the numbers")
    parser.add_argument("--picture", metavar="FILE.png", help=f"draw the reconstructions after {PICTURED} pictures")
    parser.add_argument("--place", default="runs/small", metavar="DIR", help="the runs")
    parser.add_argument(
        "--most", type=commandline.whole_number(0, 1000), default=1000, help="trainings; the next call continues"
    )
    return parser


def subset(directory, n, place):
    """A folder of links to the first n pictures of a folder by name, made unless it is there."""
    if not place.exists():
        place.mkdir(parents=True)
        for path in pictures.find(directory)[:n]:
            os.symlink(path.resolve(), place / path.name)
    return place


def run_of(folder, way):
    """The run of a way, beside the folder of its pictures."""
    return runs.Run(folder.parent / way.replace(" ", "_").replace("/", "_"))


def trained(folder, way):
    """The finished run of vae.toml on the pictures of a folder, trained unless it is there, and its images."""
    asked = starting.adopted(experiment.read("experiments/vae.toml", WAYS[way]).with_data("folder", str(folder)))
    run, one = run_of(folder, way), devices.opened("one")
    with one.explained(), one.quiet():
        asked, image_set = loop.loaded(asked, one)
        if run.complete:
            return run, image_set
        run.write_json("config", runs.config_of(asked, image_set))
        loop.fit(run, asked, image_set, loop.first_stage(asked, image_set, run.position(), one), one)
    measured = results.measure(*run.best_networks(), image_set, None)
    # of the same size in all rows
    measured["baseline"] = results.baseline(image_set, DIM, None)
    measured["seconds"] = sum(row["seconds"] for row in run.history())
    run.write_json("metrics", measured)
    return run, image_set


def draw(folder, picture):
    """Held-out pictures above what both ways make of them."""
    rebuilt = {}
    for way in WAYS:
        run, image_set = trained(folder, way)
        encoder, decoder = run.best_networks()
        shown = pipeline.examples(image_set, "test", SHOWN)
        rebuilt[way] = np.asarray(apply(decoder, z=apply(encoder, images=shown)["z_mean"]))
    title = f"held-out pictures, rebuilt after training on {image_set.n_train} others"
    figures.rows([shown, *rebuilt.values()], ["original", *rebuilt], picture, title)


def row_of(name, done):
    """A row of the table from the metrics of the ways that are measured."""
    some = next(iter(done.values()))
    cells = [
        f"{done[way]['reconstruction']['psnr']:.2f} dB, {done[way]['seconds']:.0f} s" if way in done else "" for way in WAYS
    ]
    numbers = [name, str(some["n_train"]), str(some["baseline"]["n"]), f"{some['baseline']['psnr']:.2f} dB", *cells]
    return f"| {' | '.join(numbers)} |"


def compare(arguments):
    root, left, rows = Path(arguments.place), arguments.most, {}
    for kind, n in ((kind, n) for kind in ("other", "cats") for n in arguments.sizes if getattr(arguments, kind)):
        folder = subset(getattr(arguments, kind), n, root / f"{kind}-{n}" / "pictures")
        done = {}
        for way in WAYS:
            complete = run_of(folder, way).complete
            if complete or left:
                left -= not complete
                run, image_set = trained(folder, way)
                done[way] = run.read_json("metrics") | {"n_train": image_set.n_train}
        if done:
            rows[f"{n} {kind}"] = done
        if arguments.picture and n == PICTURED and len(done) == len(WAYS):
            draw(folder, arguments.picture)
    with written_whole(Path(arguments.out)) as partial:
        partial.write_text(json.dumps(rows, indent=2) + "\n")
    heads = ["pictures", "to train", "held out", f"PCA-{DIM}", *WAYS]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, done in rows.items():
        print(row_of(name, done))


if __name__ == "__main__":
    commandline.run(parser(), compare)
