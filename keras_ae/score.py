"""Rank pictures by how unusual they are to a model, the most unusual first: python -m keras_ae.score --data DIR

Scores are the reconstruction error and, of a VAE, the negative ELBO.
"""

import csv

import numpy as np

from keras_ae import commandline
from keras_ae.commandline import EXPORT, check_out, command, option, out, picture_options, read_batches
from keras_ae.files import check_output, write_file
from keras_ae.images import pictures
from keras_ae.priors import space


def score(model, images, labels=None):
    """Scores of uint8 images (n, H, W, C) under an export: mse, and of a VAE neg_elbo, each (n,); and reconstructions.

    mse: per pixel on [-1, 1], from the mean code. neg_elbo: in nats, -log N(image | reconstruction, variance) + KL at the mean
    code, where the variance is the model's held-out mean squared error; missing where the card has none. labels: class numbers
    (n,) for a conditional model.
    """
    codes = model.codes(images, labels)
    rebuilt = np.clip(model.decode(codes["z"], labels), -1, 1)
    squared = np.square(pictures.to_float(images) - rebuilt).reshape(len(images), -1).astype("float64")
    scores = {"mse": squared.mean(axis=1)}
    variance = model.card.get("held_out", {}).get("mse")
    if "z_log_var" in codes and variance:
        kl = space.kl(codes["z_mean"].astype("float64"), codes["z_log_var"].astype("float64")).sum(axis=1)
        scores["neg_elbo"] = space.nats(squared, variance).sum(axis=1) + kl
    return scores, rebuilt


def rank_files(model, paths, directory, texture=None):
    """Score picture files, the highest last score first: rows {"file", "mse"[, "neg_elbo"][, "texture"]}.

    directory: the folder whose sub-folders name the classes for a conditional model. texture: a further score, (images,
    reconstructions) in [-1, 1] -> (n,), or None. Returns the rows, and originals and reconstructions of up to the first 16.
    """

    def rank(row):
        return list(row.values())[-1]

    rows, shown = [], []
    for files, images, labels in read_batches(model, paths, directory, 64):
        scores, rebuilt = score(model, images, labels)
        if texture:
            scores["texture"] = texture(pictures.to_float(images), rebuilt)
        for index, file in enumerate(files):
            row = {"file": pictures.printable(file), **{name: float(values[index]) for name, values in scores.items()}}
            rows.append(row)
            shown.append((row, images[index], pictures.to_uint8(rebuilt[index])))
        # all images of a large folder would not fit into memory
        shown = sorted(shown, key=lambda triple: rank(triple[0]), reverse=True)[:16]
    _, originals, reconstructions = zip(*shown, strict=True)
    return sorted(rows, key=rank, reverse=True), [np.stack(originals), np.stack(reconstructions)]


@command(
    *picture_options(data="folder of picture files; its sub-folders are the classes for a conditional model"),
    option("--reference", metavar="DIR", help="folder of usual pictures: score the texture that is not reproduced, too"),
    out("scores.csv", "table to write; a picture of the most unusual is written beside it"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments, (".csv",))
    drawing = check_output(path.with_suffix(".png"), arguments.force)
    model = commandline.open_model(arguments)
    model.check_rebuilds()
    paths = pictures.choose(arguments.pictures, arguments.data)
    texture = None
    if arguments.reference:
        with commandline.native_lines_hidden():
            from keras_ae.judge.features import Texture
        usual = pictures.choose((), arguments.reference, 10_000, arguments.seed)
        ((_, images, labels),) = read_batches(model, usual, arguments.reference, len(usual))
        texture = Texture(pictures.to_float(images), score(model, images, labels)[1])
    rows, shown = rank_files(model, paths, arguments.data, texture)
    with write_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    columns = min(8, len(shown[0]))
    pictures.write(drawing, pictures.stack(shown, columns), columns)
    for row in rows[:10]:
        nats = f"{row['neg_elbo']:10.0f} nats" if "neg_elbo" in row else ""
        missing = f"  texture {row['texture']:8.1f}" if "texture" in row else ""
        print(f"  mse {row['mse']:.4f} {nats}{missing}  {row['file']}")
    print(f"{len(rows)} pictures scored by {model.folder}, the most unusual first -> {path}, {drawing}")


if __name__ == "__main__":
    main()
