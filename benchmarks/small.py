"""Small folders: PCA, vae.toml from nothing, and vae.toml started from exported/cats: python benchmarks/small.py --other DIR

Each number of pictures is a subset by file name. What was measured before is kept in --out and not measured again. Held-out
PSNR of reconstructions; as everywhere, a tenth of the distinct pictures is held out, by content.
"""

import json
import os
import tempfile
from pathlib import Path

from keras_ae import commandline

# quietly, before what imports it
commandline.import_tensorflow()

import numpy as np  # noqa: E402

from keras_ae.data import pipeline  # noqa: E402
from keras_ae.files import written_whole  # noqa: E402
from keras_ae.media import figures, images  # noqa: E402
from keras_ae.models.networks import apply  # noqa: E402
from keras_ae.training import devices, experiment, few, loop, results, runs, starting  # noqa: E402

SHIPPED = "exported/cats"
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
    parser.add_argument("--picture", metavar="FILE.png", help="reconstructions of the last row measured")
    return parser


def subset(directory, n, place):
    """A folder of links to the first n pictures of a folder by name."""
    place.mkdir()
    for path in images.find(directory)[:n]:
        os.symlink(path.resolve(), place / path.name)
    return place


def trained(folder, overrides):
    """A run of vae.toml on the pictures of a folder, its metrics, the seconds of its training, and its images."""
    asked = experiment.read("experiments/vae.toml", overrides).with_data("folder", str(folder))
    asked = starting.adopted(asked)
    image_set = pipeline.load("folder", str(folder), asked.data.size, asked.data.channels)
    asked, line = few.adapted(asked, image_set.n_train)
    print(line)
    one = devices.opened("one")
    run = runs.Run(folder.parent / f"run-{bool(overrides)}")
    with one.explained(), one.quiet():
        stage = loop.first_stage(asked, image_set, runs.Position(), one)
        run.write_json("config", runs.config_of(asked, image_set))
        loop.fit(run, asked, image_set, stage, one)
    return run, image_set


def measured(directory, n, picture):
    """One row: numbers of pictures, PSNR in dB of all, seconds of both trainings."""
    with tempfile.TemporaryDirectory() as place:
        folder = subset(directory, n, Path(place) / "pictures")
        row, rebuilt = {"pictures": n}, {}
        for name, overrides in (("nothing", []), ("started", [f"training.start_from={SHIPPED}"])):
            run, image_set = trained(folder, overrides)
            networks = run.best_networks()
            row[name] = results.measure(*networks, image_set, None)["reconstruction"]["psnr"]
            row[f"{name}_seconds"] = sum(line["seconds"] for line in run.history())
            shown = pipeline.examples(image_set, "test", SHOWN)
            z = apply(networks[0], images=shown)["z_mean"]
            rebuilt[name] = np.asarray(apply(networks[1], z=z))
        row |= {"train": image_set.n_train, "held_out": image_set.n_test}
        row["pca"] = results.baseline(image_set, DIM, None)["psnr"]
        if picture:
            kinds = {"original": shown, "from nothing": rebuilt["nothing"], f"started from {SHIPPED}": rebuilt["started"]}
            title = f"held-out pictures, rebuilt after training on {image_set.n_train} others"
            figures.rows(list(kinds.values()), list(kinds), picture, title)
    return row


def compare(arguments):
    out = Path(arguments.out)
    rows = json.loads(out.read_text()) if out.exists() else {}
    for kind in ("cats", "other"):
        directory = getattr(arguments, kind)
        for n in arguments.sizes if directory else []:
            if f"{kind} {n}" not in rows and len(images.find(directory)) >= n:
                rows[f"{kind} {n}"] = measured(directory, n, arguments.picture)
                with written_whole(out) as partial:
                    partial.write_text(json.dumps(rows, indent=2) + "\n")
    print(
        "| pictures | to train | held out | PCA-128 | from nothing | started from `exported/cats` |\n|---|---|---|---|---|---|"
    )
    for name, row in rows.items():
        cells = [f"{row[key]:.2f} dB, {row[f'{key}_seconds'] / 60:.1f} min" for key in ("nothing", "started")]
        print(f"| {name} | {row['train']} | {row['held_out']} | {row['pca']:.2f} dB | {' | '.join(cells)} |")


if __name__ == "__main__":
    commandline.run(parser(), compare)
