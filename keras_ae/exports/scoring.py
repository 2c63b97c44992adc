"""Scores of picture files: how badly a model reconstructs them and how unlikely they are to it, the highest first."""

import csv
import itertools

import numpy as np
from tqdm import tqdm

from keras_ae import outputs
from keras_ae.images import pictures
from keras_ae.priors import space

BATCH = 64
SHOWN = 16


def scored(model, originals, labels=None):
    """Scores of uint8 images (n, H, W, C) under an export: mse, and of a VAE neg_elbo, each (n,); and reconstructions.

    mse: per pixel on [-1, 1], from the mean code. neg_elbo: in nats, -log N(image | reconstruction, variance) + KL at the mean
    code, where the variance is the model's held-out mean squared error; missing where the card has none. labels: class numbers
    (n,) for a conditional model.
    """
    codes = model.codes(originals, labels)
    rebuilt = np.clip(model.decode(codes["z"], labels), -1, 1)
    squared = np.square(pictures.to_float(originals) - rebuilt).reshape(len(originals), -1).astype("float64")
    scores = {"mse": squared.mean(axis=1)}
    variance = model.card.get("held_out", {}).get("mse")
    if "z_log_var" in codes and variance:
        kl = space.kl(codes["z_mean"].astype("float64"), codes["z_log_var"].astype("float64")).sum(axis=1)
        scores["neg_elbo"] = space.nats(squared, variance).sum(axis=1) + kl
    return scores, rebuilt


def strangeness(row):
    """What rows are sorted by: the first there is of texture, negative ELBO and error."""
    return next(row[name] for name in ("texture", "neg_elbo", "mse") if name in row)


def score_all(model, paths, directory, report, texture=None):
    """Score picture files: rows {"file", "mse"[, "neg_elbo"][, "texture"]}, the highest first, and the first with their images.

    directory: the folder whose sub-folders name the classes for a conditional model. report: see `images.pictures.readable`.
    texture: a further score, (images, reconstructions) in [-1, 1] -> (n,), or None. Returns the rows, and up to 16 triples
    (row, original, reconstruction). Raises UserError if no file can be read.
    """
    size, _, channels = model.shape
    labels = model.labels_of(paths, directory)
    rows, shown = [], []
    readable = pictures.readable(tqdm(paths, unit="file", disable=None, leave=False), size, channels, report)
    while batch := list(itertools.islice(readable, BATCH)):
        numbers, originals = zip(*batch, strict=True)
        pixels = np.stack(originals)
        scores, rebuilt = scored(model, pixels, None if labels is None else labels[list(numbers)])
        if texture:
            scores["texture"] = texture(pictures.to_float(pixels), rebuilt)
        for index, number in enumerate(numbers):
            row = {"file": pictures.printable(paths[number]), **{name: float(values[index]) for name, values in scores.items()}}
            rows.append(row)
            shown.append((row, originals[index], pictures.to_uint8(rebuilt[index])))
        shown = sorted(shown, key=lambda triple: strangeness(triple[0]), reverse=True)[:SHOWN]
    return sorted(rows, key=strangeness, reverse=True), shown


def picture_of(out):
    """The path of the picture beside the table `out`."""
    return out.with_suffix(".png")


def write(out, rows, shown):
    """Write the table `out`, and beside it a PNG of the images of `shown` over their reconstructions; returns its path."""
    picture = picture_of(out)
    columns = min(8, len(shown))
    _, originals, rebuilt = zip(*shown, strict=True)
    with outputs.into(out.parent) as partial:
        with open(partial / out.name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        rows_of_both = pictures.stacked([np.stack(originals), np.stack(rebuilt)], columns)
        pictures.write_png(partial / picture.name, pictures.grid(rows_of_both, columns))
    return picture


def separation(rows, others):
    """Areas under the ROC curve, {score: area}: the probability that one of `others` has a higher score than one of `rows`."""
    from sklearn.metrics import roc_auc_score

    truth = [0] * len(rows) + [1] * len(others)
    names = [name for name in rows[0] if name != "file"]
    return {name: float(roc_auc_score(truth, [row[name] for row in [*rows, *others]])) for name in names}
