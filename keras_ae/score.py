"""Rank pictures by how strange they are to a model: python -m keras_ae.score --data DIR"""

import csv
import math
import sys
from pathlib import Path

from keras_ae import commandline

BATCH = 64
STRANGEST = 16


def parser():
    parser = commandline.Parser(
        "score", "Give each picture its reconstruction error and negative ELBO; the strangest come first."
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture files (any size and mode)")
    parser.add_argument("--data", metavar="DIR", help="folder of pictures to score")
    parser.add_argument("--against", metavar="DIR", help="folder of other pictures: how well the scores tell the two apart")
    commandline.add_common(parser, "scores.csv", "table to write, and a picture of the strangest beside it")
    commandline.add_label(parser)
    return parser


def readable(paths, shape):
    """(path, uint8 picture) of each file that can be read; the others are told on stderr."""
    from keras_ae.errors import UserError
    from keras_ae.media import images

    height, _, channels = shape
    for path in paths:
        try:
            yield path, images.read(path, height, channels)
        except UserError as error:
            print(f"warning: {error}", file=sys.stderr)


def scored(model, originals):
    """Numbers of uint8 pictures (n, H, W, C) under an export: mse, and of a VAE neg_elbo, each (n,); and reconstructions.

    mse per pixel on [-1, 1] from the mean code. neg_elbo in nats: -log N(picture | reconstruction, variance) + KL, with the
    model's held-out mean squared error as the variance, at the mean code.
    """
    import numpy as np

    from keras_ae.media import images

    pictures = images.to_float(originals)
    codes = model.codes(pictures)
    rebuilt = np.clip(model.decode(codes["z"]), -1, 1)
    squared = np.square(pictures - rebuilt).reshape(len(pictures), -1).astype("float64")
    numbers = {"mse": squared.mean(axis=1)}
    variance = model.card.get("held_out", {}).get("mse")
    if "z_log_var" in codes and variance:
        mean, log_var = codes["z_mean"].astype("float64"), codes["z_log_var"].astype("float64")
        kl = 0.5 * (np.square(mean) + np.exp(log_var) - 1 - log_var).sum(axis=1)
        nats = (squared / (2 * variance) + 0.5 * math.log(2 * math.pi * variance)).sum(axis=1)
        numbers["neg_elbo"] = nats + kl
    return numbers, rebuilt


def score_all(model, paths):
    """Rows {"file", "mse"[, "neg_elbo"]} of picture files, strangest first, and the strangest with their reconstructions."""
    import itertools

    import numpy as np
    from tqdm import tqdm

    from keras_ae.errors import UserError

    rows, shown = [], []
    pairs = iter(readable(tqdm(paths, unit="picture", disable=None, leave=False), model.shape))
    while batch := list(itertools.islice(pairs, BATCH)):
        originals = np.stack([picture for _, picture in batch])
        numbers, rebuilt = scored(model, originals)
        for index, (path, picture) in enumerate(batch):
            rows.append({"file": str(path), **{name: float(values[index]) for name, values in numbers.items()}})
            shown.append((rows[-1], picture, rebuilt[index]))
        shown = sorted(shown, key=lambda one: strangeness(one[0]), reverse=True)[:STRANGEST]
    if not rows:
        raise UserError("none of these pictures can be read")
    return sorted(rows, key=strangeness, reverse=True), shown


def strangeness(row):
    """What pictures are ranked by: the negative ELBO where there is one, else the error."""
    return row.get("neg_elbo", row["mse"])


def write(out, rows, shown):
    """The table, and the strangest pictures over their reconstructions in a PNG of the same name."""
    import numpy as np

    from keras_ae.files import written_whole
    from keras_ae.media import images

    with written_whole(out) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    columns = min(8, len(shown))
    stacked = []
    for first in range(0, len(shown) - len(shown) % columns, columns):
        part = shown[first : first + columns]
        stacked += [picture for _, picture, _ in part] + [images.to_uint8(rebuilt) for _, _, rebuilt in part]
    picture = out.with_suffix(".png")
    images.write_png(picture, images.grid(np.stack(stacked), columns))
    return picture


def score(arguments):
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.media import images

    out = Path(arguments.out)
    if out.suffix == ".png":
        raise UserError(f"--out names the table, such as scores.csv; the picture goes beside it. Received: {out}")
    model = Exported(arguments.model, arguments.label)
    model.check_rebuilds()
    paths = images.chosen(arguments.pictures, arguments.data, None, arguments.seed)
    rows, shown = score_all(model, paths)
    picture = write(out, rows, shown)
    for row in rows[:10]:
        nats = f"{row['neg_elbo']:10.0f} nats" if "neg_elbo" in row else ""
        print(f"  mse {row['mse']:.4f} {nats}  {row['file']}")
    print(f"{len(rows)} pictures scored by {model.folder}, strangest first -> {out}, {picture}")
    if arguments.against:
        from sklearn.metrics import roc_auc_score

        others, _ = score_all(model, images.find(arguments.against))
        for name in [name for name in ("mse", "neg_elbo") if name in rows[0]]:
            values = [row[name] for row in [*rows, *others]]
            area = roc_auc_score([0] * len(rows) + [1] * len(others), values)
            print(
                f"ROC-AUC of {name}, {len(rows)} of {arguments.data} against {len(others)} of {arguments.against}: {area:.4f}"
            )


def main(argv=None):
    commandline.run(parser(), score, argv)


if __name__ == "__main__":
    main()
